"""Opens one job: its bytes -> the task that it names, the arguments of the call, and what the job knows of itself. Never touches the server."""

import asyncio
import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from chute import around, envelope, trace
from chute.around import Run
from chute.context import Context, Steps
from chute.envelope import Refused
from chute.queue import Queue
from chute.steps import ServerSteps
from chute.task import Task
from chute.worker.held import Held
from chute.worker.verdict import meant

MAX_NAME = 100
"""Characters of a name that are compared with the known ones: the search must not hold the loop."""
SHOWN = 5
"""Tasks that a refusal lists."""
AnyTask = Task[..., Any, Any]


class _Named(msgspec.Struct, rename={"task": "@task"}):
    """Of a job, only which task it names."""

    task: str = None  # type: ignore[assignment]  # none named, which "" is not


_named = msgspec.json.Decoder(_Named)


class Opened:
    """A job that was decoded and whose task was found: ready to be called."""

    __slots__ = ("args", "context", "fn", "kwargs", "task", "work")

    def __init__(self, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any], context: Context) -> None:
        self.task = task
        self.fn: Callable[..., Any] = task.fn
        """What is called: the task's function, or that with what surrounds this run."""
        self.context = context
        self.args = args
        self.kwargs = kwargs
        self.work: asyncio.Future[tuple[Any, BaseException | None]] | None = None
        """What a thread makes of it, once one was given it."""


class Desk:
    """The tasks of one queue, as the executor looks them up. `steps`: where its jobs keep what they have done (default: the server)."""

    def __init__(self, queue: Queue, steps: Steps | None = None) -> None:
        self._queue = queue
        self._steps = steps or ServerSteps(queue.name, lambda: queue.endpoint)
        self._begins = (*trace.processing(), *around.added())

    @property
    def all_threaded(self) -> bool:
        """Whether no task of this queue is async."""
        tasks = self._queue.tasks.values()
        return bool(tasks) and all(task.threaded for task in tasks)

    def open(self, held: Held) -> Opened:
        """Decodes the job for the task that it names, or the default. Fills in what is known of the job; raises Refused."""
        task = self._queue.fallback
        if task is None or len(self._queue.tasks) > 1:
            task = self._named(held.body)
        try:
            job = task.signature.decode(held.body)
        except Refused as refused:
            if refused.reason == "bad_arguments":
                self._named(held.body)  # another task was meant?
            raise
        if job.task is not None and job.task != task.name:
            task = self._named(held.body)
            job = task.signature.decode(held.body)
        held.job_id, held.task = job.job_id, task.name
        if job.attempt or job.deaths:
            held.attempt, held.deaths = job.attempt + 1, job.deaths
        if due := job.due or job.at:
            held.due = due / 1000
        held.result_ttl = task.policy.result_ttl if job.result_ttl < 0 else job.result_ttl
        args, kwargs = task.signature.arguments(job, held.body)
        opened = Opened(task, args, kwargs, Context(job, self._queue.name, task.name, held.tag, self._steps))
        if self._begins:
            run = Run(opened.context, task.policy, args, kwargs, partial(meant, held, task.policy))
            opened.fn = around.surround(task.fn, task.threaded, run, self._begins)
        return opened

    def _named(self, body: bytes) -> AnyTask:
        """The task that the job names. Raises Refused: for what is wrong with the entry before its task matters, or `unknown_task`."""
        envelope.check_bytes(body)
        try:
            name: str | None = _named.decode(body).task
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            name = None
        task = self._queue.fallback if name is None else self._queue.tasks.get(name)
        if task is not None:
            return task
        job = envelope.check(body)
        raise Refused(
            "unknown_task", f"queue {self._queue.name} has {_no_task(name, list(self._queue.tasks))}", job.get("job_id", ""), name or ""
        )


def _no_task(name: str | None, known: list[str]) -> str:
    """What to say to a job whose task is not there: the likeliest first, and how a job names one."""
    likest = list(dict.fromkeys([*difflib.get_close_matches((name or "")[:MAX_NAME], known, 1), *known]))[:SHOWN]
    more = f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
    said = 'no default task for a job without "@task"' if name is None else f'no task "{name}"'
    how = f'. A job names its task so: "@task": "{likest[0]}"' if known else ""
    return f"{said} (it has: {', '.join(likest) or 'no task'}{more}){how}"
