"""A bench from its first figure to its last, on a queue of its own that is removed whatever happens.

Never sends more than was said, and nothing to any other queue; what a user's task does by itself, it does.
"""

import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from chute import store, version
from chute.address import Url
from chute.bench import app
from chute.bench.app import Plan, now
from chute.bench.door import LEFT_FOR, Door
from chute.bench.report import Drain, Report, Spread, Window, drain_of
from chute.bench.stage import Stage, stage
from chute.call import chunks, seal_plain
from chute.connection import Endpoint
from chute.errors import Rejected, ServerUnavailable
from chute.queue import Queue
from chute.store import Store
from chute.task import Task

MOST_BYTES = 256 << 20
"""What a bench may take of the server's memory."""
OF_A_JOB = 600
"""Bytes, generously, that a small job and its small result take there, beside the job's own bytes."""
QUIET = 0.3
"""Seconds in which others are listened to."""
PINGS, PICKUPS, SINGLES = 1000, 200, 5000
A_WHILE = 2.0
"""Seconds at most for each of these; a slow way gives fewer of them."""
PAUSE = 0.005
"""Seconds in which a worker that had a job becomes idle again."""
LOST = 10.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much: jobs at most, seconds of work at most, and slots of the worker."""

    jobs: int
    seconds: float
    concurrency: int
    threads: int

    def slots(self, task: Task[..., Any, Any]) -> int:
        """How many jobs of a task run at once."""
        return min(self.concurrency, self.threads) if task.threaded else self.concurrency


@dataclass(frozen=True, slots=True)
class Own:
    """A task of the user's, where it is, and the arguments of its jobs."""

    module: str
    attribute: str
    task: Task[..., Any, Any]
    job: Mapping[str, Any]


class Bench:
    """The figures, each measured once, in the order of the methods."""

    def __init__(self, door: Door, size: Size, own: Own | None) -> None:
        self.door = door
        self.size = size
        self.own = own
        self.endpoint = door.endpoint
        self._start = door.load()
        where = door.endpoint.address
        self._queue = Queue(door.name, url=where.url or None)
        self._task = app.on(self._queue)
        self._where = (Url(where.url), where.how == "--url")

    @property
    def bytes(self) -> int:
        """What the jobs take on the server at most, as far as it is known before."""
        return self.size.jobs * (OF_A_JOB + (len(seal_plain(self.own.job)[1]) if self.own else 0))

    def check(self) -> None:
        """Raises ValueError for what is too much, Rejected where there is no room."""
        if self.bytes > MOST_BYTES:
            few = self.size.jobs * MOST_BYTES // self.bytes
            raise ValueError(
                f"{self.size.jobs:,} of these jobs may take more than {in_mb(MOST_BYTES)}. Nothing was sent. Fewer: --jobs {few}"
            )
        used, most = self._start.used, self._start.most
        if most and used + self.bytes > most:
            room = f"it uses {in_mb(used)} of {in_mb(most)} (maxmemory), and the jobs may take {in_mb(self.bytes)}"
            raise Rejected(f"the server is too full for a bench: {room}. Nothing was sent. Fewer jobs: --jobs N")

    def others(self) -> float:
        """Commands a second of other clients, while nothing is sent from here."""
        before, began = self.door.load().commands, now()
        time.sleep(QUIET)
        mine = 3
        return max(0, self.door.load().commands - before - mine) / (now() - began)

    def ping(self) -> Spread:
        """Round trips of a command that does nothing."""
        return Spread.of(list(_for_a_while(PINGS, _timed(self.door.ping))))

    def pickup(self) -> tuple[Spread | None, Spread]:
        """From the enqueue to the start of the handler of an idle worker, and to the result."""
        with self._worker(burst=False) as worker:

            def one() -> float:
                time.sleep(PAUSE)
                began = now()
                try:
                    self._task.enqueue(self.door.job_id(), began).result(LOST)
                except TimeoutError:
                    raise worker.failed(f"no result after {LOST:g} s") from None
                return now() - began

            results = Spread.of(list(_for_a_while(min(PICKUPS, self.size.jobs), one)))
            return worker.runs().waits, results

    def fill_one_by_one(self) -> float:
        """Puts jobs in, one in an exchange; jobs a second."""
        began = now()
        made = sum(1 for _ in _for_a_while(min(SINGLES, self.size.jobs), lambda: self._task.enqueue(self.door.job_id())))
        return made / (now() - began)

    def fill(self) -> float:
        """Puts many jobs in at once; jobs a second."""
        began, end = now(), now() + self.size.seconds
        numbers = iter(range(self.size.jobs))
        made = self._queue.enqueue_many(self._task.bind(self.door.job_id()) for _ in numbers if now() < end)
        self.door.lapse()
        return len(made) / (now() - began)

    def fill_with(self, own: Own) -> None:
        """Puts the jobs of a user's task in."""
        jobs = (seal_plain({**own.job, "job_id": self.door.job_id(), "@task": own.task.name}) for _ in range(self.size.jobs))
        for batch in chunks(jobs, store.CHUNK):
            self.endpoint.run(Store(self.door.name).enqueue(batch))
        self.door.lapse()

    def drain(self, others: float, ping: Spread) -> Drain:
        """One worker process empties the queue. Raises FailedError where it did nothing."""
        jobs, before, began = self._queue.depth(), self.door.load(), now()
        with self._worker(burst=True) as worker:
            worker.await_end(now() + self.size.seconds, self._full)
            runs = worker.runs()
            failures = self.door.failures()
            if not runs.count:
                why = failures.first.splitlines()[0] if failures.first else f"{now() - began:.1f} s are over"
                raise worker.failed(f"no job came to its end ({why})")
        window = Window(before, self.door.load(), now() - began, others)
        drained = drain_of(jobs, runs, window, self.size.slots(self.own.task if self.own else self._task), ping)
        return replace(drained, failed=failures.count, error=failures.first or None)

    def _full(self) -> bool:
        """Whether more would be taken of the server's memory than a bench may: what results take is not known before."""
        load = self.door.load()
        return load.used - self._start.used > MOST_BYTES or bool(load.most and load.used > 0.95 * load.most)

    @contextmanager
    def _worker(self, *, burst: bool) -> Iterator[Stage]:
        """A worker process that works the queue."""
        options = ("--concurrency", str(self.size.concurrency), "--threads", str(self.size.threads))
        url, named = self._where
        with stage(options, url) as worker:
            module, attribute = (self.own.module, self.own.attribute) if self.own else ("", "")
            worker.start(Plan(self.door.name, str(worker.url), named, module, attribute, str(worker.out)), burst=burst)
            worker.await_ready(self.door.ready)
            yield worker


@contextmanager
def bench(endpoint: Endpoint, size: Size, own: Own | None) -> Iterator[Bench]:
    """A bench that may begin, on a new queue; everything of it is removed afterwards. Raises as `Bench.check`, and Rejected where a right is
    missing."""
    door = Door(endpoint, f"bench-{secrets.token_hex(4)}")
    there = Bench(door, size, own)
    there.check()
    try:
        _try_out(door)
        yield there
    finally:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)  # this is done to its end
        _remove(door)


def _try_out(door: Door) -> None:
    try:
        door.try_out()
    except Rejected as refusal:
        raise Rejected(f"{refusal}. A bench needs the rights of a worker, and those to read INFO and to remove its own keys") from None


def _remove(door: Door) -> None:
    try:
        door.remove()
    except (Rejected, ServerUnavailable) as error:
        if door.sent:
            left = f"Queue {door.name} was not removed; its jobs and results go by themselves in {LEFT_FOR // 60} min"
            raise type(error)(f"{error}. {left}") from error


def measure(bench: Bench) -> Report:
    """All the figures. Raises FailedError, or what the server says."""
    server = version.name_of(bench.endpoint.run(store.server_info()))
    others, ping = bench.others(), bench.ping()
    if bench.own:
        bench.fill_with(bench.own)
        return Report(server, ping, None, None, None, None, bench.drain(others, ping))
    pickup, result = bench.pickup()
    one_by_one, many = bench.fill_one_by_one(), bench.fill()
    return Report(server, ping, one_by_one, many, pickup, result, bench.drain(others, ping))


def _for_a_while(most: int, step: Callable[[], Any]) -> Iterator[Any]:
    """What a step gives, so many times or for a while."""
    end = now() + A_WHILE
    for _ in range(most):
        yield step()
        if now() > end:
            return


def _timed(step: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        began = now()
        step()
        return now() - began

    return timed


def in_mb(size: int) -> str:
    """Bytes for people."""
    return f"{size / (1 << 20):,.1f} MB"
