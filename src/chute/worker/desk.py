"""Opens one job: its bytes -> the task that it names, the arguments of the call, and what the job knows of itself. Never touches the server."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from chute import around, envelope, trace
from chute.around import Run
from chute.context import Context, Steps
from chute.envelope import Refused
from chute.likeness import likest
from chute.queue import Queue
from chute.steps import ServerSteps
from chute.task import Task
from chute.worker import verdict
from chute.worker.held import Held

SHOWN = 5
"""Tasks that a refusal lists."""
AnyTask = Task[..., Any, Any]


class _Named(msgspec.Struct, rename={"task": "@task"}):
    """Of a job, only which task it names."""

    task: str = None  # type: ignore[assignment]  # none named, which "" is not


_named = msgspec.json.Decoder(_Named)
_seems = re.compile(rb'"@task" ?: ?"([A-Za-z0-9_.-]+)"').search


class Opened(msgspec.Struct, eq=False):
    """A job that was decoded and whose task was found: ready to be called."""

    task: AnyTask
    fn: Callable[..., Any]
    """What is called: the task's function, or that with what surrounds this run."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: Context


class Desk:
    """The tasks of one queue, as the executor looks them up. `steps`: where its jobs keep what they have done (default: the server)."""

    def __init__(self, queue: Queue, steps: Steps | None = None) -> None:
        self._queue = queue
        self._name = queue.name
        self._steps = steps or ServerSteps(queue.name, lambda: queue.endpoint)
        self._only = queue.fallback if len(queue.tasks) == 1 else None
        self._begins = (*trace.processing(), *around.added())

    @property
    def all_threaded(self) -> bool:
        """Whether no task of this queue is async."""
        tasks = self._queue.tasks.values()
        return bool(tasks) and all(task.threaded for task in tasks)

    def open(self, held: Held) -> Opened:
        """Decodes the job for the task that it names, or the default. Fills in what is known of the job; raises Refused."""
        body = held.body
        task = self._only or self._guess(body)
        try:
            job = task.signature.decode(body)
            meant = job.task == task.name or (job.task is None and task is self._queue.fallback)
        except Refused as refused:
            if refused.reason != "bad_arguments" or self._named(body) is task:
                raise
            meant = False
        if not meant:
            task = self._named(body)
            job = task.signature.decode(body)
        held.job_id, held.task = job.job_id, task.name
        if job.attempt or job.deaths:
            held.attempt, held.deaths = job.attempt + 1, job.deaths
        if due := job.due or job.at:
            held.due = due / 1000
        held.result_ttl = task.policy.result_ttl if job.result_ttl < 0 else job.result_ttl
        args, kwargs = task.signature.arguments(job, body)
        opened = Opened(task, task.fn, args, kwargs, Context(job, self._name, task.name, held.tag, self._steps))
        if self._begins:
            run = Run(opened.context, task.policy, args, kwargs, partial(verdict.meant, held, task.policy))
            opened.fn = around.surround(task.fn, task.threaded, run, self._begins)
        return opened

    def _guess(self, body: bytes) -> AnyTask:
        """The task that the job seems to name, so that most jobs are decoded once: whoever decodes it sees whether that is true."""
        found = _seems(body)
        task = self._queue.tasks.get(found[1].decode()) if found else self._queue.fallback
        return task or self._named(body)

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
    meant = likest(name or "", known)
    shown = list(dict.fromkeys([*([meant] if meant else []), *known]))[:SHOWN]
    more = f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
    said = 'no default task for a job without "@task"' if name is None else f'no task "{name}"'
    how = f'. A job names its task so: "@task": "{shown[0]}"' if known else ""
    return f"{said} (it has: {', '.join(shown) or 'no task'}{more}){how}"
