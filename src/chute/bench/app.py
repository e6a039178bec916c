"""What the worker process of a bench runs: a task that does nothing, or the user's under the queue of the bench, and what is noted of each run.

A file that `stage` writes calls `queue_of`; `chute work` then works that queue as any other. What was noted is written down when the worker
closes its resources, that is after its last job.
"""

import copy
import importlib
import time
from array import array
from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from chute import address
from chute.bench.door import LEFT_FOR
from chute.bench.report import Runs, Spread
from chute.queue import Queue
from chute.task import Task

now = time.monotonic
"""One clock for all processes of a machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the worker is to do. `url`: the pipe that tells the server's, "" = the embedded one; `named`: `--url` has named it, which goes before
    all other names; `module` and `attribute`: where the user's task is, "" = the one that does nothing; `out`: the file for what is noted."""

    queue: str
    url: str
    named: bool
    module: str
    attribute: str
    out: str


class Notes:
    """What is noted of the runs in this process. Threads note too: each step is one append."""

    def __init__(self) -> None:
        self.starts = array("d")
        self.waits = array("d")
        self._ends = array("d")
        self._inside = array("d")
        self._computing = array("d")
        self._cpu = 0.0
        """Of the process, at the first start."""
        self._cpu_at_end: float | None = None

    def begin(self) -> float:
        """A run begins; when."""
        if not self.starts:
            self._cpu = time.process_time()
        moment = now()
        self.starts.append(moment)
        return moment

    def end(self, began: float, computing: float) -> None:
        """A run that began then has ended, and has taken so many seconds of CPU."""
        moment = now()
        self._ends.append(moment)
        self._inside.append(moment - began)
        self._computing.append(computing)
        self._cpu_at_end = time.process_time()

    def runs(self) -> Runs:
        """All of them together. Of what does nothing only the starts are noted: more would be most of the work."""
        ends, cpu = self._ends or self.starts, self._cpu_at_end or time.process_time()
        return Runs(
            count=len(ends),
            elapsed=ends[-1] - self.starts[0] if ends else 0.0,
            cpu=cpu - self._cpu,
            computing=sum(self._computing),
            inside=sum(self._inside),
            handler=Spread.of(self._inside) if self._inside else None,
            waits=Spread.of(self.waits) if self.waits else None,
        )


NOTES = Notes()


async def nothing(job_id: str, sent: float = 0.0) -> str:
    """What is run where no task is named. `sent`: when the job was put in."""
    began = NOTES.begin()
    if sent:
        NOTES.waits.append(began - sent)
    return "done"


class _Steps:
    """A coroutine as it is, with the CPU time of its steps added up: what it waits for is not its own."""

    def __init__(self, work: Awaitable[Any]) -> None:
        self.cpu = 0.0
        self._work = work

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._work.__await__()
        step: Callable[[Any], Any] = steps.send
        given: Any = None
        while True:
            began = time.thread_time()
            try:
                wanted = step(given)
            except StopIteration as end:
                return end.value
            finally:
                self.cpu += time.thread_time() - began
            try:
                step, given = steps.send, (yield wanted)
            except BaseException as error:
                step, given = steps.throw, error


def _noting(fn: Callable[..., Any]) -> Callable[..., Any]:
    """An async task's function that notes its runs. One that was broken off is none."""

    async def noting(*args: Any, **kwargs: Any) -> Any:
        began, steps = NOTES.begin(), _Steps(fn(*args, **kwargs))
        try:
            value = await steps
        except Exception:
            NOTES.end(began, steps.cpu)
            raise
        NOTES.end(began, steps.cpu)
        return value

    return noting


def _noting_in_a_thread(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a plain function."""

    def noting(*args: Any, **kwargs: Any) -> Any:
        began, cpu = NOTES.begin(), time.thread_time()
        try:
            return fn(*args, **kwargs)
        finally:
            NOTES.end(began, time.thread_time() - cpu)

    return noting


def on(queue: Queue) -> Task[..., Any, Any]:
    """The task that does nothing, on a queue."""
    return queue.task(result_ttl=LEFT_FOR)(nothing)


def queue_of(plan: Plan) -> Queue:
    """The queue to work. Imports the user's module where a task of it is to be run."""
    with Path(plan.url).open() as pipe:
        url = pipe.readline().rstrip("\n") or None
    if plan.named:
        address.choose(url)
    queue = Queue(plan.queue, url=url)

    @queue.resource
    def notes() -> Iterator[Notes]:
        yield NOTES
        Path(plan.out).write_bytes(msgspec.json.encode(NOTES.runs()))

    if plan.attribute:
        _add(queue, getattr(importlib.import_module(plan.module), plan.attribute))
    else:
        on(queue)
    return queue


def _add(queue: Queue, theirs: Task[..., Any, Any]) -> None:
    """Has the queue run the user's task, once a job, with the resources of the task's own queue."""
    task = copy.copy(theirs)
    task.policy = replace(theirs.policy, retries=0, result_ttl=min(theirs.policy.result_ttl, LEFT_FOR))
    task.fn = (_noting_in_a_thread if theirs.threaded else _noting)(theirs.fn)
    queue.tasks[task.name] = queue.fallback = task
    queue.resources += theirs.sender.queue.resources
