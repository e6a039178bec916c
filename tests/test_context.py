"""context.py: the running job's own, wherever the code is that asks."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from chute.connection import endpoint
from chute.context import Context, context, current
from chute.envelope import Head
from chute.steps import ServerSteps


def made(job_id: str = "job_1") -> Context:
    return Context(
        Head(job_id=job_id, attempt=1, headers={"trace": "x"}),
        "jobs",
        "answer",
        7,
        ServerSteps("jobs", lambda: endpoint("unix:///nowhere")),
    )


def test_nothing_runs_here() -> None:
    with pytest.raises(RuntimeError, match="no job is running here"):
        context()


def test_what_it_tells() -> None:
    job = made()
    assert (job.job_id, job.queue, job.task, job.attempt, job.tag, dict(job.headers)) == ("job_1", "jobs", "answer", 2, 7, {"trace": "x"})


@pytest.mark.parametrize("name", ["job_id", "queue", "task", "attempt", "tag", "headers", "anything_else"])
def test_it_is_read_only(name: str) -> None:
    job: Any = made()
    with pytest.raises(AttributeError):
        setattr(job, name, "x")


def test_each_async_job_has_its_own() -> None:
    async def job(name: str, turns: int) -> list[str]:
        current.set(made(name))
        seen: list[str] = []
        for _ in range(turns):
            await asyncio.sleep(0)
            seen.append(context().job_id)
        return seen

    async def several() -> list[list[str]]:
        return await asyncio.gather(*[asyncio.create_task(job(str(i), 5)) for i in range(20)])

    assert asyncio.run(several()) == [[str(i)] * 5 for i in range(20)]
    with pytest.raises(RuntimeError):
        context()


def test_a_thread_has_that_of_its_job() -> None:
    def in_thread() -> str:
        return context().job_id

    def as_job(name: str) -> str:
        current.set(made(name))
        return pool.submit(copy_context().run, in_thread).result()

    with ThreadPoolExecutor(1) as pool:
        assert [copy_context().run(as_job, name) for name in ("a", "b")] == ["a", "b"]
        with pytest.raises(RuntimeError):
            pool.submit(in_thread).result()
