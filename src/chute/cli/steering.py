"""What a key means in `chute top`: which queue is chosen, what is to be done with it, and the question before what cannot be taken back. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from chute.snapshot import Watched

Deed: TypeAlias = Literal["pause", "resume", "requeue", "quit"]
_MOVES = {"up": -1, "k": -1, "down": 1, "j": 1}
_DEEDS: dict[str, Deed] = {"p": "pause", "r": "resume", "q": "quit"}


@dataclass(frozen=True, slots=True)
class View:
    """What whoever looks has chosen. `asking`: whether a requeue waits for a yes; `message`: what was done last."""

    selected: str = ""
    asking: bool = False
    message: str = ""


def press(view: View, key: str, queues: Sequence[Watched]) -> tuple[View, Deed | None]:
    """The view after a key, and what is to be done with the selected queue."""
    view = settle(view, queues)
    if view.asking:
        if key == "y":
            return replace(view, asking=False), "requeue"
        return replace(view, asking=False, message="nothing was requeued"), None
    if key in _MOVES and queues:
        names = [each.stats.queue for each in queues]
        place = names.index(view.selected) + _MOVES[key]
        return View(names[max(0, min(place, len(names) - 1))]), None
    if key == "R" and queues:
        dead = next(each.stats.dead for each in queues if each.stats.queue == view.selected)
        if not dead:
            return replace(view, message=f"queue {view.selected} has no dead letters"), None
        return replace(view, asking=True, message=f"requeue all {dead:,} dead letters of queue {view.selected}? y/n"), None
    deed = _DEEDS.get(key)
    return replace(view, message=""), deed if queues or deed == "quit" else None


def settle(view: View, queues: Sequence[Watched]) -> View:
    """The view with a queue selected that is there."""
    names = [each.stats.queue for each in queues]
    if view.selected in names:
        return view
    return replace(view, selected=names[0] if names else "", asking=False)
