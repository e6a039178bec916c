"""Inline mode: no server, no worker, no waiting. A job runs when it is enqueued, before `enqueue` returns, by the worker's own steps.

What is real: the job's bytes, their decoding, the judgement on a run, the result's fields. What is not: there is no queue. Nothing is ever
ready, scheduled or held, delays count for nothing, dead letters are not kept, and jobs do not run beside each other. The seam is
`call.Instead`, and there is no other; what would still ask a server finds none.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from contextvars import copy_context
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from chute import address, call, outcome
from chute.address import Address
from chute.call import Instead
from chute.context import current
from chute.convoy import Sendable
from chute.envelope import Refused
from chute.outcome import Again, Outcome, Released
from chute.queue import Queue
from chute.resource import Resource
from chute.signature import to_plain
from chute.testing import hand
from chute.testing.burst import on_a_loop
from chute.waiting import Hash
from chute.worker import execute, finish, verdict
from chute.worker.desk import Desk, Opened
from chute.worker.held import Held

T = TypeVar("T")
MAX_RUNS = 1001
"""Runs of one job after which it is a loop: a task that snoozes until something else has happened waits in vain here."""
_NOWHERE = Address("unix:///there-is-no-server", "chute.testing.inline()")
_PENDING: Hash = {b"status": b"pending"}


class Inline:
    """What `inline` returns: the time in which jobs run at once."""

    def __init__(self) -> None:
        self._results: dict[str, Hash] = {}
        self._steps = _Steps()
        self._deliveries = itertools.count(1)
        self._loop = _Loop()
        self._shared: set[Resource[Any]] = set()
        self._opened = AsyncExitStack()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(address.chosen(_NOWHERE))
        self._stack.enter_context(call.taken(Instead(self._send, self._asend, self._told)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        try:
            if self._shared:
                self._loop.run(self._opened.aclose)
        finally:
            self._loop.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        try:
            await self._opened.aclose()
        finally:
            self._loop.close()

    def _send(self, queue: Queue, jobs: list[Sendable]) -> None:
        if not self._shared.issuperset(queue.resources):
            self._loop.run(lambda: self._open(queue))
        for job_id, body, *_ in jobs:
            for turn in self._runs(queue, job_id, body):
                turn.result = _call(turn) if turn.opened.task.threaded else self._loop.run(partial(_acall, turn))

    async def _asend(self, queue: Queue, jobs: list[Sendable]) -> None:
        await self._open(queue)
        for job_id, body, *_ in jobs:
            for turn in self._runs(queue, job_id, body):
                turn.result = _call(turn) if turn.opened.task.threaded else await _acall(turn)

    def _told(self, job_id: str) -> Hash:
        return self._results.get(job_id, _PENDING)

    async def _open(self, queue: Queue) -> None:
        """Opens what the tasks of the queue share, as a worker would at its start."""
        for resource in queue.resources:
            if resource not in self._shared:
                self._shared.add(resource)
                self._opened.push_async_callback(resource.close)
                await resource.open()

    def _runs(self, queue: Queue, job_id: str, body: bytes) -> "Iterator[_Turn]":
        """The runs of a job, each to be given its result before the next is asked for, until the job has ended; keeps the last one's."""
        for delivery in itertools.islice(self._deliveries, MAX_RUNS):
            held = hand.held(queue, body, delivery)
            opened = _open(Desk(queue, self._steps), held)
            if isinstance(opened, Opened):
                yield (turn := _Turn(held, opened))
                result = turn.result
            else:
                result = opened
            if not isinstance(result, Again):
                self._keep(held, result)
                return
            body = result.body.encode()
        raise RuntimeError(f"job {job_id} was run {MAX_RUNS:,} times and wants to run again: in inline mode nothing else happens meanwhile")

    def _keep(self, held: Held, result: Outcome) -> None:
        """Keeps the fields that a worker would have stored on the server."""
        record = finish.record(held, result, outcome.now())
        if record.job_id:
            kind, _, _, *fields = msgspec.msgpack.decode(record.packed)
            fields = fields if kind == "result" else fields[1:]  # behind the dead letter
            self._results[record.job_id] = {str(k).encode(): str(v).encode() for k, v in zip(fields[::2], fields[1::2], strict=True)}


class _Turn:
    """One run of a job: what to call, and what came of it."""

    def __init__(self, held: Held, opened: Opened) -> None:
        self.held = held
        self.opened = opened
        self.result: Outcome = Released()


class _Steps:
    """The steps that jobs have done, in memory."""

    def __init__(self) -> None:
        self._done: set[tuple[str, str]] = set()

    def done(self, job_id: str, step: str) -> bool:
        """Whether it was done."""
        return (job_id, step) in self._done

    def note(self, job_id: str, step: str) -> None:
        """It is done now."""
        self._done.add((job_id, step))

    async def adone(self, job_id: str, step: str) -> bool:
        """Whether it was done."""
        return self.done(job_id, step)

    async def anote(self, job_id: str, step: str) -> None:
        """It is done now."""
        self.note(job_id, step)


class _Loop:
    """The event loop on which blocking code runs what is async: one for the whole block, so that resources may be bound to it."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._busy = Lock()

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs it to its end. Where a loop runs in this thread already, in another; where ours is busy (a task enqueues), on a new one."""
        if on_a_loop():
            return _aside(lambda: self.run(work))
        if not self._busy.acquire(blocking=False):
            return asyncio.run(work())
        try:
            return self._runner.run(work(), context=copy_context())
        finally:
            self._busy.release()

    def close(self) -> None:
        """Ends the loop."""
        _aside(self._runner.close) if on_a_loop() else self._runner.close()


def inline() -> Inline:
    """For the time of a with block, every job of this process runs when it is enqueued, and there is no server.

    Plain functions run in the caller's thread; async tasks on the caller's loop with `aenqueue`, else on a loop of the block. Retries and
    snoozes run at once, delays are ignored; `status()` and `result()` of a job know its end. Resources are opened at the first job of their
    queue and closed with the block; use `async with` where they belong to the running loop. `depth()` and what else asks a server raise ServerUnavailable.
    Raises RuntimeError for a job that never stops to snooze.

        with chute.testing.inline():
            assert answer.enqueue("What is RAG?").result() == {"answer": "You asked: What is RAG?"}
    """
    return Inline()


def _open(desk: Desk, held: Held) -> Opened | Outcome:
    try:
        return desk.open(held)
    except Refused as refused:
        return verdict.refuse(held, refused)
    except Exception as error:  # a converter of the user's may raise anything
        return verdict.refuse(held, Refused("bad_arguments", verdict.describe(error), held.job_id, held.task))


def _call(turn: _Turn) -> Outcome:
    """Runs a plain function in this thread, so that its transactions and breakpoints are the test's."""

    held, opened = turn.held, turn.opened

    def run() -> Outcome:
        current.set(opened.context)
        try:
            return outcome.complete(opened.fn(*opened.args, **opened.kwargs), to_plain)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            own = error.__traceback__
            return verdict.judge(held, opened.task.policy, error.with_traceback(own and own.tb_next))

    return copy_context().run(run)


async def _acall(turn: _Turn) -> Outcome:
    """Runs an async task on this loop, within its timeout. A caller that is cancelled takes it along."""
    held, opened = turn.held, turn.opened
    running = asyncio.create_task(execute.run(held, opened))
    try:
        await asyncio.wait({running}, timeout=opened.task.policy.timeout)
        held.overdue = not running.done()
    finally:
        held.broken_off = not held.overdue
        running.cancel()
        await asyncio.wait({running})
    return running.result()


def _aside(work: Callable[[], T]) -> T:
    """Runs it in a thread of its own and waits for it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, work).result()
