"""What a running job knows of itself: `chute.context()` in a task or in any function that it calls."""

from collections.abc import Mapping
from contextvars import ContextVar

from chute.envelope import Head


class Context:
    """The job that is running here. Read-only."""

    __slots__ = ("_job", "_queue", "_tag", "_task")

    def __init__(self, job: Head, queue: str, task: str, tag: int) -> None:
        self._job = job
        self._queue = queue
        self._task = task
        self._tag = tag

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


current: ContextVar[Context] = ContextVar("chute job")


def context() -> Context:
    """The Context of the job that is running here: in a task, in what it calls, and in its thread. Raises RuntimeError outside of one.

    log.info("run %d of %s", chute.context().attempt, chute.context().job_id)
    """
    try:
        return current.get()
    except LookupError:
        raise RuntimeError("chute.context() is for code that a worker runs: no job is running here") from None
