"""Beats for workers that may be unable to beat themselves: a handler that holds the interpreter or blocks the loop is busy, not dead.

Runs in a process of its own: the supervisor of `chute work`, or the helper of a worker inside a program. Never registers anybody: an identity
that others closed is forgotten here. One that the server does not know yet is kept: it is told of before it is registered.
"""

from dataclasses import dataclass
from typing import Any

import redis

from chute.holdings import beat_of, place_of
from chute.lines import Lines
from chute.script import LOAD
from chute.worker import clock
from chute.worker.board import Board


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a worker is on one queue: `number` on its board, `lane` = which of its queues."""

    queue: str
    worker: str
    number: int
    lane: int
    board: Board


class Beats:
    """The identities to beat for."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._alive: dict[str, dict[str, Identity]] = {}
        self._new: set[Identity] = set()
        """Those of them that the server has not yet known."""

    def add(self, identity: Identity) -> None:
        """Beats for this one from now on. One before it on that lane that is still new was not registered and never will be."""
        for other in [new for new in self._new if (new.board, new.lane) == (identity.board, identity.lane)]:
            self.drop(other)
        self._new.add(identity)
        self._lines.to(place_of(identity.queue))  # dials now, so that the next beat is heard
        self._alive.setdefault(identity.queue, {})[identity.worker] = identity

    def drop(self, identity: Identity) -> None:
        """No more beats for this one."""
        self._new.discard(identity)
        self._alive.get(identity.queue, {}).pop(identity.worker, None)

    def beat(self) -> None:
        """One beat for each."""
        for queue, alive in self._alive.items():
            if alive:
                self._beat(queue, list(alive.values()))

    def _beat(self, queue: str, alive: list[Identity]) -> None:
        sent = clock.now()

        def answered(replies: list[Any] | None) -> None:
            if replies and isinstance(replies[0], redis.exceptions.NoScriptError):
                self._lines.send(place_of(queue), LOAD, lambda _: None)
            elif replies and isinstance(replies[0], list):
                fenced = {worker.decode() for worker in replies[0]}
                for each in alive:
                    if each.worker not in fenced:
                        self._new.discard(each)
                        each.board.prove(each.lane, sent)
                    elif each not in self._new:
                        self.drop(each)

        self._lines.send(place_of(queue), [beat_of(queue, [each.worker for each in alive])], answered)
