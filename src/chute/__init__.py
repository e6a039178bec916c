"""Chute: a job queue for Python that speaks plain Redis.

Any program puts a job in with one LPUSH of a JSON object and reads the answer with one HGETALL; workers never lose it.

    import chute

    jobs = chute.Queue("jobs")

    @jobs.task
    async def answer(question: str) -> dict[str, str]:
        return {"answer": f"You asked: {question}"}
"""

from chute import errors as errors
from chute.call import Call
from chute.context import Context, context
from chute.errors import GiveUp, Retry, Snooze
from chute.queue import Queue
from chute.resource import Resource
from chute.result import Job, as_completed, gather
from chute.task import Task
from chute.waiting import aclose
from chute.worker import Worker

__all__ = [
    "Call",
    "Context",
    "GiveUp",
    "Job",
    "Queue",
    "Resource",
    "Retry",
    "Snooze",
    "Task",
    "Worker",
    "aclose",
    "as_completed",
    "context",
    "errors",
    "gather",
]
