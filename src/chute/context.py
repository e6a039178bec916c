"""What a running job knows of itself: `chute.context()` in a task or in any function that it calls."""

from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol

import msgspec

from chute.envelope import Head


class Steps(Protocol):
    """Remembers which steps of jobs were done: on the server, or in inline mode in this process."""

    def done(self, job_id: str, step: str) -> bool:
        """Whether it was."""

    def note(self, job_id: str, step: str) -> None:
        """It is done now."""

    async def adone(self, job_id: str, step: str) -> bool:
        """As `done`, for asyncio code."""

    async def anote(self, job_id: str, step: str) -> None:
        """As `note`, for asyncio code."""


class Once:
    """A step that is to be done once in all runs of a job; what `Context.once` returns."""

    __slots__ = ("_done", "_job_id", "_name", "_steps")

    def __init__(self, steps: Steps, job_id: str, name: str) -> None:
        self._steps, self._job_id, self._name = steps, job_id, name
        self._done = False

    def __enter__(self) -> bool:
        self._done = self._steps.done(self._job_id, self._name)
        return not self._done

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        if kind is None and not self._done:
            self._steps.note(self._job_id, self._name)

    async def __aenter__(self) -> bool:
        self._done = await self._steps.adone(self._job_id, self._name)
        return not self._done

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        if kind is None and not self._done:
            await self._steps.anote(self._job_id, self._name)


class Context(msgspec.Struct, frozen=True, eq=False):
    """The job that is running here. Read-only."""

    _job: Head
    _queue: str
    _task: str
    _tag: int
    _steps: Steps

    @property
    def job_id(self) -> str:
        """The job's id; "" for a job that was pushed without one."""
        return self._job.job_id

    @property
    def queue(self) -> str:
        """The name of the queue that it came from."""
        return self._queue

    @property
    def task(self) -> str:
        """The name of its task."""
        return self._task

    @property
    def attempt(self) -> int:
        """Which run this is, from 1; snoozes do not count."""
        return self._job.attempt + 1

    @property
    def tag(self) -> int:
        """The number of this delivery. It grows with every delivery of the queue: pass it on to refuse what an older one still writes."""
        return self._tag

    @property
    def headers(self) -> Mapping[str, str]:
        """What the caller sent along with `options(headers=...)`."""
        return self._job.headers

    def __repr__(self) -> str:
        return f"<chute.Context of job {self.job_id!r}, task {self._task!r} of queue {self._queue!r}, run {self.attempt}>"

    def once(self, step: str) -> Once:
        """A step that is to be done once, also when the job runs again: after a retry, a crash, a lost connection. The block gets True as long
        as no run of this job has come to the end of it; a block that raises was not done. Kept for seven days from the last step,
        under the job's id.

        A process that dies between the end of the step and the note of it does it again in the next run: give what you call a key of its own
        where it takes one. Raises ValueError for a job that was pushed without an id, since nothing could be remembered of it.

            async with chute.context().once("charge-card") as todo:   # `with` in a plain function
                if todo:
                    await charge(order)
        """
        if not self.job_id:
            raise ValueError(f"once({step!r}) needs a job with an id, and this one was pushed without: nothing can be remembered of it")
        return Once(self._steps, self.job_id, step)


current: ContextVar[Context] = ContextVar("chute job")


def context() -> Context:
    """The Context of the job that is running here: in a task, in what it calls, and in its thread. Raises RuntimeError outside of one.

    log.info("run %d of %s", chute.context().attempt, chute.context().job_id)
    """
    try:
        return current.get()
    except LookupError:
        raise RuntimeError("chute.context() is for code that a worker runs: no job is running here") from None
