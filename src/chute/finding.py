"""Finds a job by its id in all that a queue has: in pieces that hold nobody up, from the end that is handed out first, within bounds. Blocking.

An entry is the job when its JSON says so; a quick look at its bytes comes first. A job may move while it is looked for.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from chute.admin import STREAMS, Letter, letter_of
from chute.connection import Endpoint
from chute.operation import Operation
from chute.sight import Ready, Sight
from chute.store import CHUNK, Store, worker_ids

T = TypeVar("T")
MOST, LONGEST = 1_000_000, 30.0
"""Entries that are looked at, and seconds, until a search gives up."""
FIRST_PAGE = 100
PAGE_BYTES = 4 << 20
"""About so much is read at once: an entry may have a megabyte."""


class Job(msgspec.Struct, frozen=True, rename={"task": "@task", "attempt": "@attempt"}):
    """What an entry says of itself, unchecked: it may be anything."""

    job_id: Any = None
    task: Any = None
    attempt: Any = 0


_job = msgspec.json.Decoder(Job)


@dataclass(frozen=True, slots=True)
class Held:
    """A worker has it."""

    queue: str
    job: Job
    worker: str
    lease: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Queued:
    """It is ready, behind `ahead` others."""

    queue: str
    job: Job
    ahead: int


@dataclass(frozen=True, slots=True)
class Due:
    """It is scheduled for `when`, in seconds by the server's clock."""

    queue: str
    job: Job
    when: float


@dataclass(frozen=True, slots=True)
class Dead:
    """It is a dead letter."""

    queue: str
    letter: Letter


class Search:
    """One search for one job. `looked`: entries that were looked at so far."""

    def __init__(self, endpoint: Endpoint, job_id: str, most: int = MOST, seconds: float = LONGEST) -> None:
        self.looked = 0
        self._endpoint, self._job_id, self._most = endpoint, job_id, most
        self._needle = job_id.encode()
        self._end = time.monotonic() + seconds

    @property
    def spent(self) -> bool:
        """Whether it may look no further."""
        return self.looked >= self._most or time.monotonic() > self._end

    def held(self, queue: str) -> Held | None:
        """Among what workers hold."""
        sight = Sight(queue)
        registry, _ = self._endpoint.run(sight.registry())
        for worker in worker_ids(registry):
            cursor, more = 0, True
            while more and not self.spent:
                cursor, pairs = self._endpoint.run(sight.held(worker, cursor, FIRST_PAGE))
                more = cursor != 0
                self.looked += len(pairs)
                for lease, body in pairs:
                    if job := self._read(body):
                        return Held(queue, job, worker, int(lease) if lease.isdigit() else 0, registry[worker.encode()] == b"dead")
        return None

    def ready(self, queue: str) -> Queued | None:
        """Among what is ready. A job that moves on while workers take others out does not slip by."""
        sight = Sight(queue)
        first = 0
        where: Ready
        for where in ("first", "queue"):
            passed, count, tag, more = 0, FIRST_PAGE, None, True
            while more and not self.spent:
                tag, before, page = self._endpoint.run(sight.ready(where, passed, count, tag))
                self.looked += len(page)
                for place, body in enumerate(page, first + before):
                    if job := self._read(body):
                        return Queued(queue, job, place)
                passed, more = before + len(page), bool(page)
                count = self._after(page, len)
            first += passed
        return None

    def due(self, queue: str) -> Due | None:
        """Among what is scheduled."""
        pages = self._pages(Sight(queue).due, 0, lambda passed, page: passed + len(page), lambda each: len(each[0]))
        return next((Due(queue, job, when) for body, when in pages if (job := self._read(body))), None)

    def dead(self, queue: str) -> Dead | None:
        """Among the dead letters, the newest first."""
        for stream in STREAMS:
            for id_, fields in self._letters(Store(queue), stream):
                if fields.get(b"job_id") == self._needle or self._read(fields.get(b"body", b"")):
                    return Dead(queue, letter_of(queue, stream, id_, fields))
        return None

    def _letters(self, store: Store, stream: str) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
        return self._pages(
            lambda before, count: store.letters(stream, before, count),
            "+",
            lambda _, page: f"({page[-1][0].decode()}",
            lambda each: len(each[1].get(b"body", b"")),
        )

    def _pages(
        self, read: Callable[[Any, int], Operation[list[T]]], place: Any, following: Callable[[Any, list[T]], Any], size: Callable[[T], int]
    ) -> Iterator[T]:
        """Entry by entry, read in pieces from `place` on."""
        count = FIRST_PAGE
        while not self.spent and (page := self._endpoint.run(read(place, count))):
            self.looked += len(page)
            yield from page
            place, count = following(place, page), self._after(page, size)

    def _after(self, page: list[T], size: Callable[[T], int]) -> int:
        """How many entries the next piece should have, by the size of these."""
        average = max(1, sum(map(size, page)) // max(1, len(page)))
        return max(1, min(CHUNK, PAGE_BYTES // average, self._most - self.looked))

    def _read(self, body: bytes) -> Job | None:
        """The job, where this is it. JSON can write an id in other bytes, with a backslash then."""
        if self._needle not in body and b"\\" not in body:
            return None
        try:
            job = _job.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return job if job.job_id == self._job_id else None
