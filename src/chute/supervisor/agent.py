"""What the supervisor says to the server for its children: beats, the care for their queues, the settling of what dead ones held.

It speaks over one line of its own, from when the first child is ready. Knows children by their identities and boards, not how they are kept.
"""

import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from chute import settings
from chute.address import Address
from chute.connection import Endpoint
from chute.envelope import Refused
from chute.holdings import Holdings, length_of
from chute.line import Line
from chute.rest import Rest
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
        self.depth = 0
        """How many jobs were ready when that was last measured."""
        self.settled: Counter[str] = Counter()
        """Jobs that dead children had held, by queue."""
        self._do, self._children = do, children
        self._rest = Rest()
        self._caretakers: list[Caretaker] = []
        self._queues: list[str] = []
        self._line: Line | None = None

    def serve(self, ready: Ready) -> None:
        """Begins where the first child works; from then on cares for every queue that a child names."""
        timing = Timing(settings.beat_every(), settings.dead_after())
        if self._line is None:
            self._line = Line(Endpoint(Address(ready.url, ready.how)), lambda _: None, rest=self._rest)
            self._line.open()
            self._beats = Beats(self._line)
            self._do(clock.every(timing.beat, self._beats.beat))
            self._do(clock.every(CHECK_EVERY, self._line.check))
        if new := [queue for queue in ready.queues if queue not in self._queues]:
            self._queues += new
            self._caretakers.append(Caretaker(self._line, new, timing, self._ours))
            for step in self._caretakers[-1].steps():
                self._do(step)

    def introduce(self, identity: Identity) -> None:
        """Beats for this one from now on."""
        self._beats.add(identity)

    @property
    def errors(self) -> Counter[str]:
        """What the server refused, by the word that its refusals begin with."""
        return self._rest.errors

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
        if self._line is None:
            return Counter()
        for identity in child.identities.values():
            self._beats.drop(identity)
        settled = await settle(insist(self._line), child)
        self.settled += settled.back
        return settled.ended

    def report(self, text: str, child: Child, marks: Marks) -> None:
        """Logs the text with the names of jobs, which only the server knows."""
        self._do(self._report(text, child, marks))

    async def close(self) -> None:
        """Ends the line."""
        if self._line:
            await self._line.close()

    async def _report(self, text: str, child: Child, marks: Marks) -> None:
        names = [await self._name(child.identities[number], lease) for number, lease in marks if number in child.identities]
        log.warning("%s: %s", text, ", ".join(names) or "no job")

    async def _name(self, identity: Identity, lease: int) -> str:
        theirs, field = Holdings(identity.queue, identity.worker), b"%d" % lease
        bodies = await answer(self._line, theirs.peek([field])) if self._line else None
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
        if self._line:
            self._line.send(map(length_of, self._queues), self._measured)

    def _measured(self, replies: list[Any] | None) -> None:
        self.depth = sum(reply for reply in replies or () if isinstance(reply, int))
