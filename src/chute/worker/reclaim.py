"""The leases of a dead worker -> queued, or a dead letter. Death is lack of progress: a beat that did not change for `dead_after` of our own time.

Time counts only while our own looks succeed without a gap: whoever was suspended or cut off judges nobody by what it missed. A worker is closed
by a compare on its beat, so one that lives after all is never closed by a late judge. What it held goes back to the front in its old order.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Set
from typing import Any, TypeAlias, cast

import redis

from chute import envelope, outcome, policy
from chute.holdings import Holdings, place_of, workers_of
from chute.lines import Asked
from chute.outcome import Outcome
from chute.script import LOAD, Command, key_of
from chute.store import worker_ids
from chute.worker import charge, clock, finish
from chute.worker.clock import Timing
from chute.worker.held import Held

log = logging.getLogger("chute.worker")
DEAD = b"dead"
GAP = 3
"""Looks that may be missing before what was seen counts for nothing."""
ASK_AGAIN, REFUSED_AGAIN = 0.1, 0.5
"""Seconds until a command is sent again for which there was no line, or which the server refused."""
PATIENCE = 10.0
"""Seconds that who ends waits for a server that does not answer. What it held is then taken over by others."""
PAGE = 32
"""Jobs that are taken in hand at once: each may have a megabyte."""

Ask: TypeAlias = Callable[[Command], Awaitable[Any]]
"""One command -> its answer, or None when it was lost or refused."""
Fate: TypeAlias = Callable[[Held], bytes | Outcome]
"""A job that was left behind -> the bytes that go back to the front, or how it ends."""


class Judge:
    """Watches the other workers of each queue. `ours` are the ids of workers that somebody else looks after."""

    def __init__(self, lines: Asked, queues: list[str], timing: Timing, ours: Callable[[], Set[str]]) -> None:
        self._lines, self._queues, self._timing, self._ours = lines, queues, timing, ours
        self._seen: dict[tuple[str, str], tuple[bytes, float]] = {}
        """(queue, worker) -> its beat, and since when it is that."""
        self._looked: dict[str, float] = {}
        """Of each queue, when a look at it was answered last."""
        self.reclaimed: Counter[str] = Counter()
        """Jobs that were taken over, by queue."""

    async def look(self) -> None:
        """Looks at every worker once, and takes over from those that are dead."""
        for queue in self._queues:
            now = clock.now()
            replies = await self._lines.ask(place_of(queue), [workers_of(queue)])
            if not replies or not isinstance(replies[0], dict):
                continue  # its server may be another than those of the others
            late = now - self._looked.get(queue, now) > GAP * self._timing.beat
            there = {(queue, worker) for worker in worker_ids(replies[0])}
            for gone in [each for each in self._seen if each[0] == queue and (late or each not in there)]:
                del self._seen[gone]
            ours = self._ours()
            for _, worker in there:
                if worker not in ours:
                    await self._judge(queue, worker, replies[0][worker.encode()])
            self._looked[queue] = clock.now()

    async def _judge(self, queue: str, worker: str, beat: bytes) -> None:
        now = clock.now()
        last, since = self._seen.get((queue, worker), (b"", now))
        if beat not in (DEAD, last):
            self._seen[queue, worker] = (beat, now)
        elif beat == DEAD or now - since > self._timing.dead_after:
            theirs = Holdings(queue, worker)
            if await self._answer(theirs.closing(beat)) == 1:
                count = await take_over(self._answer, theirs, all_started)
                self.reclaimed[queue] += count
                log.warning(
                    "queue %s: worker %s made no progress and was closed; %d jobs that it held went back", queue, theirs.worker[:8], count
                )

    async def _answer(self, command: Command) -> Any:
        return await answer(self._lines, command)


def insist(lines: Asked) -> Ask:
    """Asks until there is an answer that is no error."""

    async def ask(command: Command) -> Any:
        while True:
            if (reply := await answer(lines, command)) is not None:
                return reply
            await asyncio.sleep(REFUSED_AGAIN if lines.up(_place(command)) else ASK_AGAIN)

    return ask


async def answer(lines: Asked, command: Command) -> Any:
    """The answer to one command, None when it was lost or refused. A server that does not know the scripts is told them."""
    place = _place(command)
    replies = await lines.ask(place, [command])
    if replies and isinstance(replies[0], redis.exceptions.NoScriptError):
        replies = await lines.ask(place, [*LOAD, command])
    return None if not replies or isinstance(replies[-1], Exception) else replies[-1]


def _place(command: Command) -> str:
    """The key that says where a command goes."""
    key = key_of(command)
    return key if isinstance(key, str) else ""


def all_started(held: Held) -> bytes | Outcome:
    """The fate of a job that had started, or of which that is unknown: it is charged."""
    end = charge.charged(held.body)
    if not isinstance(end, bytes):
        read(held)
        held.deaths += 1
        told = "job %s is a dead letter (poison): %s. Kept: chute dead list %s"
        log.warning(told, held.job_id or held.lease, end.error, held.holdings.name, extra=held.named)
    return end


def none_started(held: Held) -> bytes:
    """The fate of a job that is not to blame: it goes back as it is."""
    return held.body


def read(held: Held) -> dict[str, Any]:
    """What a job that was left behind says of itself, noted in it too. Raises Refused for what is no job."""
    job = envelope.check(held.body)
    held.job_id, held.task = job.get("job_id", ""), job.get("@task", "")
    held.attempt, held.deaths = job.get("@attempt", 0) + 1, job.get("@deaths", 0)
    held.result_ttl = job.get("@result_ttl", policy.DEFAULT_TTL)
    return job


async def take_over(ask: Ask, theirs: Holdings, fate: Fate) -> int:
    """Empties the hash of a closed worker, the youngest first, so that the oldest ends at the very front; how many jobs that were.

    Stops where the server does not answer: what is left is found by the next who looks.
    """
    count = 0
    while leases := await ask(theirs.held):
        for page in _pages(sorted(leases, key=_number, reverse=True)):
            adopted = await ask(theirs.adopt(page))
            if adopted is None:
                return count
            first, bodies = adopted  # under new tags, so a result is newer than what the dead one may have written
            jobs = [
                (lease, left_behind(theirs, lease, body, first + place))
                for place, (lease, body) in enumerate(zip(page, bodies, strict=True))
                if body is not None
            ]
            given_back = await _hand_out(ask, theirs, jobs, fate)
            if given_back is None:
                return count
            count += given_back
    await ask(theirs.reclaim(()))
    return count


async def _hand_out(ask: Ask, theirs: Holdings, jobs: list[tuple[bytes, Held]], fate: Fate) -> int | None:
    """Each job to its fate; how many there were, None when the server did not answer, or does not know them for closed."""
    fates = [(lease, held, fate(held)) for lease, held in jobs]
    for lease, held, end in fates:
        if not isinstance(end, bytes) and not await _end(ask, theirs, lease, held, end):
            return None
    back = [(lease, end) for lease, _, end in fates if isinstance(end, bytes)]
    given_back = await ask(theirs.reclaim(back)) if back else 0
    return len(fates) if isinstance(given_back, int) and given_back >= 0 else None


async def _end(ask: Ask, theirs: Holdings, lease: bytes, held: Held, end: Outcome) -> bool:
    """Stores how a job ended; whether the server took it."""
    record = finish.record(held, end, outcome.now())
    if record.job_id:  # it may have to go to another server than the queue's, so it goes first
        if await ask(theirs.store(record.job_id, held.tag, record.packed)) is None:
            return False
        record = record.stored
    return bool(await ask(theirs.finish([record.job_id], [record.packed])) in (b"1", b"0"))


def left_behind(holdings: Holdings, lease: bytes, body: bytes, tag: int = 0) -> Held:
    """A job that was left behind. It has no lane: nobody here works it. `tag`: under which it was taken up."""
    return Held(cast(Any, None), holdings, _number(lease), tag, body, 0.0)


def _number(lease: bytes) -> int:
    """For the order; a field that is no number of ours goes back too, behind all others."""
    return int(lease) if lease.isdigit() else 0


def _pages(leases: list[bytes]) -> list[list[bytes]]:
    return [leases[i : i + PAGE] for i in range(0, len(leases), PAGE)]
