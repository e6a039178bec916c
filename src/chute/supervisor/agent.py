"""What the supervisor says to the server for its children: beats, the care for their queues, the settling of what dead ones held.

It speaks over lines of its own, from when the first child is ready. Knows children by their identities and boards, not how they are kept.
"""

import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from chute import connection, settings
from chute.address import Address
from chute.envelope import Refused
from chute.holdings import Holdings, length_of, place_of
from chute.lines import Lines
from chute.supervisor.child import Child
from chute.supervisor.settle import settle
from chute.supervisor.watch import Marks
from chute.worker import clock
from chute.worker.beats import Beats, Identity
from chute.worker.care import Caretaker
from chute.worker.clock import Timing
from chute.worker.reclaim import answer, insist, left_behind, read
from chute.worker.wire import Ready

log = logging.getLogger("chute.worker")
CHECK_EVERY = 0.1


class Agent:
    """`do` runs a step until it is cancelled; `children` are those who are not settled."""

    def __init__(self, do: Callable[[Coroutine[Any, Any, Any]], None], children: Callable[[], Iterable[Child]]) -> None:
        self._depths: dict[str, int] = {}
        self.settled: Counter[str] = Counter()
        """Jobs that dead children had held, by queue."""
        self._do, self._children = do, children
        self._caretakers: list[Caretaker] = []
        self._queues: list[str] = []
        self._lines: Lines | None = None

    def serve(self, ready: Ready) -> None:
        """Begins where the first child works; from then on cares for every queue that a child names."""
        timing = Timing(settings.beat_every(), settings.dead_after())
        if self._lines is None:
            self._lines = Lines(connection.reach(Address(ready.url, ready.how)), lambda _: None, resting=True)
            self._beats = Beats(self._lines)
            self._do(clock.every(timing.beat, self._beats.beat))
            self._do(clock.every(CHECK_EVERY, self._lines.check))
        if new := [queue for queue in ready.queues if queue not in self._queues]:
            self._queues += new
            self._caretakers.append(Caretaker(self._lines, new, timing, self._ours))
            for step in self._caretakers[-1].steps():
                self._do(step)

    def introduce(self, identity: Identity) -> None:
        """Beats for this one from now on."""
        self._beats.add(identity)

    @property
    def depth(self) -> int:
        """How many jobs were ready when that was last measured."""
        return sum(self._depths.values())

    @property
    def errors(self) -> Counter[str]:
        """What the server refused, by the word that its refusals begin with."""
        return self._lines.errors if self._lines else Counter()

    @property
    def reclaimed(self) -> Counter[str]:
        """Jobs that were taken over from dead workers and dead children, by queue."""
        return sum((each.reclaimed for each in self._caretakers), Counter(self.settled))

    @property
    def dropped(self) -> Counter[str]:
        """Dead letters that were dropped, by queue."""
        return sum((each.dropped for each in self._caretakers), Counter())

    async def settle(self, child: Child) -> Counter[tuple[str, str, str]]:
        """What a child that has ended held goes where it belongs; the outcomes by queue, task and kind. Returns once the server has answered."""
        if self._lines is None:
            return Counter()
        for identity in child.identities.values():
            self._beats.drop(identity)
        settled = await settle(insist(self._lines), child)
        self.settled += settled.back
        return settled.ended

    def report(self, text: str, child: Child, marks: Marks) -> None:
        """Logs the text with the names of jobs, which only the server knows."""
        self._do(self._report(text, child, marks))

    async def close(self) -> None:
        """Ends the lines."""
        if self._lines:
            await self._lines.close()

    async def _report(self, text: str, child: Child, marks: Marks) -> None:
        names = [await self._name(child.identities[number], lease) for number, lease in marks if number in child.identities]
        log.warning("%s: %s", text, ", ".join(names) or "no job")

    async def _name(self, identity: Identity, lease: int) -> str:
        theirs, field = Holdings(identity.queue, identity.worker), b"%d" % lease
        bodies = await answer(self._lines, theirs.peek(field)) if self._lines else None
        if not bodies or bodies[0] is None:
            return f"lease {lease}"
        held = left_behind(theirs, field, bodies[0])
        try:
            read(held)
        except Refused:
            return f"lease {lease}"
        return f"job {held.job_id or lease}{held.task and f' of task {held.task}'}"

    def _ours(self) -> set[str]:
        return {identity.worker for child in self._children() for identity in child.identities.values()}

    def measure(self) -> None:
        """Asks how many jobs are ready."""
        if self._lines:
            for queue in self._queues:
                self._lines.send(place_of(queue), [length_of(queue)], partial(self._measured, queue))

    def _measured(self, queue: str, replies: list[Any] | None) -> None:
        if replies and isinstance(replies[0], int):
            self._depths[queue] = replies[0]
