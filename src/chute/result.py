"""A job as its caller sees it: a handle with a status and, in the end, a result or the error that stands for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from chute import outcome, signature, store, waiting
from chute.connection import Endpoint
from chute.duration import Seconds, seconds
from chute.errors import JobCancelled, JobExpired, JobFailed, Rejected, ResultUnavailable, Unconfirmed
from chute.store import Store

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Told: TypeAlias = Callable[[str], waiting.Hash]
"""Answers for a server where there is none: job id -> its result hash, never empty. See `call.Instead`."""
Status: TypeAlias = Literal["pending", "running", "completed", "failed", "cancelled", "expired"]
ASKING = 1.0
"""Seconds that the search for a reason may add to a wait in vain."""
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
"""What html.escape does; to import that takes every program 25 ms."""


class Job(msgspec.Struct, Generic[R_co], eq=False, gc=False):
    """One call of a task: in hand after `enqueue`, or anywhere else from its id, `task.job(job_id)`.

    job = answer.enqueue("What is RAG?")
    job.result(timeout=5)
    """

    # Many are made at once. A struct costs a third of an object, and no time of the garbage collector: nothing that it holds leads back to it.
    _id: str
    _queue: str
    _endpoint: Endpoint
    _returns: Any = Any
    _kept: bool = True
    _told: Told | None = None
    _completed: waiting.Hash | None = None  # final: nothing brings a completed job back
    _heard: Status | None = None

    @property
    def id(self) -> str:
        """The job's id, the `job_id` in its JSON."""
        return self._id

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self._queue

    def status(self) -> Status:
        """Where the job is; "pending" says that there is no result yet: it waits, is scheduled, runs, or was never there."""
        return self._hear(self._from_memory() or self._endpoint.run(store.read_result(self._id)))

    async def astatus(self) -> Status:
        """As `status`, for asyncio code."""
        return self._hear(self._from_memory() or await self._endpoint.arun(store.read_result(self._id)))

    def result(self, timeout: Seconds | None = None) -> R_co:
        """Waits for the end of the job and returns what its task returned, as JSON gives it back, converted to the task's return annotation.

        `timeout` is in seconds (None: for ever). Raises TimeoutError when it has passed, JobFailed, JobCancelled or JobExpired when the job
        ended so, ResultUnavailable when its result is not kept, ServerUnavailable.
        """
        deadline = self._deadline(timeout)
        fields = self._completed or self._from_memory() or waiting.wait(self._endpoint, self._id, deadline)
        why = ""
        if not fields and timeout:
            with suppress(Rejected, Unconfirmed):
                why = _unworked(self._queue, self._endpoint.run(Store(self._queue).overview()))
        return self._read(fields, timeout, why)

    async def aresult(self, timeout: Seconds | None = None) -> R_co:
        """As `result`, for asyncio code."""
        deadline = self._deadline(timeout)
        fields = self._completed or self._from_memory() or await waiting.watch(self._endpoint).wait(self._id, deadline)
        why = ""
        if not fields and timeout:
            with suppress(Rejected, Unconfirmed, TimeoutError):
                async with asyncio.timeout(ASKING):
                    why = _unworked(self._queue, await self._endpoint.arun(Store(self._queue).overview()))
        return self._read(fields, timeout, why)

    def _deadline(self, timeout: Seconds | None) -> float | None:
        if not self._kept:
            raise ResultUnavailable(f"job {self._id} keeps no result (result_ttl=0): nothing to wait for")
        return None if timeout is None else time.monotonic() + seconds(timeout)

    def _from_memory(self) -> waiting.Hash:
        return self._told(self._id) if self._told else {}

    def _hear(self, fields: waiting.Hash) -> Status:
        self._heard = _status(fields)
        return self._heard

    def _read(self, fields: waiting.Hash, timeout: Seconds | None, reason: str) -> R_co:
        match self._hear(fields):
            case "completed":
                if why := fields.get(b"@result_error"):
                    raise ResultUnavailable(f"job {self._id} completed, but its result could not be stored: {why.decode(errors='replace')}")
                self._completed = fields
                value: R_co = outcome.value_of(fields, self._returns, signature.from_plain)
                return value
            case "failed":
                raise JobFailed(self._id, _text(fields, b"error"), _text(fields, b"@traceback"))
            case "cancelled":
                raise JobCancelled(f"job {self._id} was cancelled")
            case "expired":
                raise JobExpired(f"job {self._id} was not started before its expiry")
            case _:
                late = f"job {self._id} has no result after {seconds(timeout or 0):g} s"
                raise TimeoutError(f"{late}{reason or f'. It goes on; ask again, or see: chute stats {self._queue}'}")

    if not TYPE_CHECKING:  # for a type checker a job is nothing to await, and shall stay so

        def __await__(self) -> Iterator[None]:
            """Refuses: `await answer.enqueue(...)` has sent the job, and a job is not its result."""
            raise TypeError(
                f"job {self._id} was sent and cannot be awaited: in async code enqueue with `await task.aenqueue(...)`, "
                "and wait for the result with `await job.aresult()`"
            )

    def __repr__(self) -> str:
        return f"<chute.Job {self._id!r} in queue {self._queue!r}>"

    def _repr_html_(self) -> str:
        """A line for a notebook. It asks no server, since a notebook calls this in its event loop: the status is what this handle heard last."""
        job_id, queue, status = (text.translate(_HTML) for text in (self._id, self._queue, self._heard or "not asked yet"))
        return f"<div>chute.Job <code>{job_id}</code> in queue <code>{queue}</code>: <b>{status}</b></div>"


async def _end(job: Job[Any], timeout: Seconds | None) -> None:
    """Waits for the end, whatever it is."""
    with suppress(JobFailed, JobCancelled, JobExpired, ResultUnavailable):
        await job.aresult(timeout)


def _unworked(queue: str, overview: list[Any]) -> str:
    """Why a result that does not come may never come: "" where somebody works the queue."""
    depth, workers, *_ = overview
    if store.worker_ids(workers):
        return ""
    return f": no worker works queue {queue} ({depth:,} ready). Start one: chute work MODULE; what is ready is kept"


def _status(fields: waiting.Hash) -> Status:
    if not fields:
        return "pending"
    return fields.get(b"status", b"running").decode(errors="replace")  # type: ignore[return-value]


def _text(fields: waiting.Hash, name: bytes) -> str:
    return fields.get(name, b"").decode(errors="replace")


def _checked(call: str, jobs: Iterable[Job[R]]) -> list[Job[R]]:
    """The jobs. Raises TypeError, before anybody waits, where something else is among them."""
    if not isinstance(jobs, Iterable):
        raise TypeError(f"{call} takes jobs, and this is one of type {type(jobs).__name__}")
    found = list(jobs)
    for each in found:
        if not isinstance(each, Job):
            raise TypeError(f"{call} takes jobs, as `enqueue` and `queue.job` return them, not {type(each).__name__}")
    return found


async def gather(*jobs: Job[R], timeout: Seconds | None = None) -> list[R]:
    """The results of all jobs, in their order. Raises the first error of any; TimeoutError after `timeout` seconds.

    answers = await chute.gather(*[await answer.aenqueue(q) for q in questions], timeout=60)
    """
    waits = [asyncio.ensure_future(job.aresult(timeout)) for job in _checked("gather(*jobs)", jobs)]
    try:
        return list(await asyncio.gather(*waits))
    finally:
        for each in waits:
            each.cancel()


async def as_completed(jobs: Iterable[Job[R]], *, timeout: Seconds | None = None) -> AsyncIterator[Job[R]]:
    """The jobs as they end, however they end: `job.result()` then answers at once. Raises TimeoutError after `timeout` seconds.

    async for job in chute.as_completed(jobs, timeout=60):
        print(job.id, job.result())
    """
    waits = {asyncio.ensure_future(_end(job, timeout)): job for job in _checked("as_completed(jobs)", jobs)}
    pending = set(waits)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
                yield waits[each]
    finally:
        for each in waits:
            each.cancel()
