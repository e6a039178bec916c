"""What a test expects to be in a queue: the jobs that wait on the server, decoded as a worker will decode them, and an assertion on them.

It only looks: whatever is there stays there. Jobs that a worker holds are not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from chute import envelope
from chute.envelope import Refused
from chute.likeness import likest
from chute.queue import Queue
from chute.signature import to_plain
from chute.task import Task
from chute.testing import door, hand
from chute.worker.desk import Desk

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A job that waits. `task` is the name of its task ("" where it names none and the queue has no default), `arguments` are what the task
    will get, defaults included, `due_in` is in seconds (0: it is ready), `body` are the bytes on the server."""

    job_id: str
    task: str
    arguments: Mapping[str, Any]
    headers: Mapping[str, str]
    due_in: float
    body: bytes

    def __str__(self) -> str:
        text = f"{self.task or 'job'}({_listed(self.arguments)})" if self.arguments or self.task else repr(self.body[:200])
        return text + (f" due in {self.due_in:g} s" if self.due_in else "")


def enqueued(queue: Queue) -> list[Enqueued]:
    """The jobs that wait in the queue: those that are ready, in the order in which they will be claimed, then the scheduled ones.

    Arguments are converted as the task's annotations say where this process knows the task, else as JSON gives them.

        assert [job.arguments["question"] for job in chute.testing.enqueued(jobs)] == ["What is RAG?"]
    """
    ready = [body for name in queue.lists for body in queue.endpoint.run(door.ready(name))]
    scheduled = [queue.endpoint.run(door.scheduled(name)) for name in queue.lists]
    due = [(member[door.SEQUENCE :], max(0, when - now) / 1000) for now, later in scheduled for member, when in later]
    return [_decode(queue, body, due_in) for body, due_in in [*((body, 0.0) for body in ready), *due]]


def assert_enqueued(target: Queue | Task[..., Any, Any], /, **arguments: Any) -> Enqueued:
    """Asserts that a job of this task, or any of this queue, waits with these arguments among its own; returns the first one.

    Arguments are the same when they are equal or give the same JSON. Raises AssertionError that shows what is there instead, TypeError
    for an argument that the task does not take.

        chute.testing.assert_enqueued(answer, question="What is RAG?")
    """
    __tracebackhide__ = True
    queue: Queue = target.sender.queue if isinstance(target, Task) else target
    if isinstance(target, Task):
        _check_names(target, arguments)
    there = enqueued(queue)
    fitting = [job for job in there if not isinstance(target, Task) or job.task == target.name]
    for job in fitting:
        if not _different(job, arguments):
            return job
    raise AssertionError(_message(target, arguments, there, fitting))


def _decode(queue: Queue, body: bytes, due_in: float) -> Enqueued:
    try:
        opened = Desk(queue).open(hand.held(queue, body))
    except Refused:
        return _plain(queue, body, due_in)
    named = dict(zip(opened.task.signature.names, opened.args, strict=False)) | opened.kwargs
    return Enqueued(opened.context.job_id, opened.task.name, named, opened.context.headers, due_in, body)


def _plain(queue: Queue, body: bytes, due_in: float) -> Enqueued:
    """A job of a task that this process does not know, or no job at all."""
    try:
        job = envelope.check(body)
    except Refused:
        return Enqueued("", "", {}, {}, due_in, body)
    fallback = queue.fallback.name if queue.fallback else ""
    named = {name: value for name, value in job.items() if name != "job_id" and not name.startswith("@")}
    return Enqueued(job.get("job_id", ""), job.get("@task", fallback), named, job.get("@headers", {}), due_in, body)


def _different(job: Enqueued, arguments: Mapping[str, Any]) -> list[str]:
    """The names of the expected arguments that the job has otherwise or not at all."""
    return [name for name, value in arguments.items() if name not in job.arguments or not _same(value, job.arguments[name])]


def _same(expected: Any, found: Any) -> bool:
    if expected == found:
        return True
    try:
        return bool(_json(expected) == _json(found))
    except (TypeError, ValueError):  # a matcher of some test library, say, has no JSON
        return False


def _json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=to_plain))


def _check_names(task: Task[..., Any, Any], arguments: Mapping[str, Any]) -> None:
    for name in arguments:
        if name not in task.signature.names and task.signature.more is None:
            takes = ", ".join(task.signature.names) or "nothing"
            raise TypeError(f'task {task.name} takes no "{name}"{_meant(name, task.signature.names)} (it takes: {takes})')


def _message(target: Queue | Task[..., Any, Any], arguments: Mapping[str, Any], there: list[Enqueued], fitting: list[Enqueued]) -> str:
    queue: Queue = target.sender.queue if isinstance(target, Task) else target
    what = f"no job of task {target.name}" if isinstance(target, Task) else "no job"
    what += f" with {_listed(arguments)}" if arguments else ""
    what += f" waits in queue {queue.name}"
    if not there:
        return f"{what}: it is empty"
    near = sorted(there, key=lambda job: (job not in fitting, len(_different(job, arguments))))
    lines = [f"  {job}{_difference(job, arguments) if job in fitting else ''}" for job in near[:_SHOWN]]
    more = [f"  and {len(near) - _SHOWN} more"] if len(near) > _SHOWN else []
    return "\n".join([f"{what}. There {'is' if len(near) == 1 else 'are'} {len(near)}, the most similar first:", *lines, *more])


def _difference(job: Enqueued, arguments: Mapping[str, Any]) -> str:
    different = _different(job, arguments)
    missing = [f'it has no "{name}"{_meant(name, job.arguments)}' for name in different if name not in job.arguments]
    other = [name for name in different if name in job.arguments]
    parts = [*missing, *([f"different: {', '.join(other)}"] if other else [])]
    return f"   <- {'; '.join(parts)}" if parts else ""


def _meant(word: str, known: Any) -> str:
    close = likest(word, known)
    return f' - did you mean "{close}"?' if close else ""


def _listed(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
