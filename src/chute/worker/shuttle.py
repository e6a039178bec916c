"""The round trips on one route: every outcome since the last one goes out, a claim comes back with jobs. It sends what it is told to.

While none is under way a single outcome leaves at once; under load batches form by themselves.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from chute.script import Command
from chute.worker import finish
from chute.worker.finish import Finisher
from chute.worker.lane import Lane
from chute.worker.route import Route
from chute.worker.slots import Slots

Claim: TypeAlias = tuple[Command, Callable[[Any], None]]
"""A claim, and who reads its answer."""


class Shuttle:
    """Goes between the queues of one route and the server that has them. `poke` is called when a round trip has ended."""

    def __init__(self, route: Route, finisher: Finisher, slots: Slots, poke: Callable[[], None]) -> None:
        self.route, self.finisher = route, finisher
        self.lanes: list[Lane] = []
        self._slots, self._poke = slots, poke
        self._before = 0

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way, nor waits for it."""
        return not (self.route.flights or self.finisher.waiting or self.finisher.unanswered)

    @property
    def pressing(self) -> bool:
        """Whether the outcomes that wait are worth a round trip without a claim."""
        ready = self.finisher.ready
        return bool(ready) and self.route.open and (not self.route.flights or ready >= self._slots.allowance // 4)

    def fly(self, lane: Lane | None = None, claim: Claim | None = None) -> None:
        """One round trip: every outcome since the last one, the length of the queues that nobody looks at, one claim."""
        batches = self.finisher.batches()
        peeks = [each for each in self.lanes if each is not lane and each.live and not each.more and not each.waiting]
        commands = [finish.command(batch) for batch in batches] + [each.holdings.length for each in peeks]
        if claim:
            commands.append(claim[0])
        before, self._before = self._before, self._slots.done
        self.route.flights += 1

        def landed(replies: list[Any] | None) -> None:
            self.route.flights -= 1
            for i, (_, records) in enumerate(batches):
                self.finisher.answered(records, replies and replies[i])
            for each, length in zip(peeks, replies[len(batches) :] if replies else (), strict=False):
                each.more = each.more or (isinstance(length, int) and length > 0)
            self._slots.adapt(self._slots.done - before)
            if claim:
                claim[1](replies and replies[-1])
            self._poke()

        self.route.line.send(commands, landed)
