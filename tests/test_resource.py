"""What a worker opens once and its tasks share."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import chute
from chute.resource import Resource, ResourceError
from servers import Server

EVENTS: list[str] = []


@pytest.fixture(autouse=True)
def _no_events() -> None:
    EVENTS.clear()


def pool() -> Iterator[str]:
    """A blocking one."""
    EVENTS.append("open pool")
    yield "a pool"
    EVENTS.append("close pool")


async def client() -> AsyncIterator[str]:
    """An asyncio one."""
    EVENTS.append("open client")
    await asyncio.sleep(0)
    yield "a client"
    await asyncio.sleep(0)
    EVENTS.append("close client")


def broken() -> Iterator[str]:
    raise ConnectionError("nobody there")
    yield ""


def empty() -> Iterator[str]:
    yield from ()


def twice() -> Iterator[int]:
    yield 1
    yield 2


class Tasks:
    """Tasks of a queue with resources."""

    def __init__(self, *resources: Resource[Any]) -> None:
        self.resources = resources

    async def use(self) -> list[str]:
        EVENTS.append("run")
        return [resource.get() for resource in self.resources]


def run(server: Server, *generators: Any, jobs: int = 3) -> list[Any]:
    """What the tasks saw."""
    queue = chute.Queue("jobs", url=server.url)
    task = queue.task(Tasks(*[queue.resource(each) for each in generators]).use)
    handles = queue.enqueue_many(task.bind() for _ in range(jobs))
    chute.Worker(queue).run(burst=True)
    return [handle.result(5) for handle in handles]


def test_it_is_opened_once_before_the_first_job_and_closed_after_the_last(server: Server) -> None:
    assert run(server, pool, client) == [["a pool", "a client"]] * 3
    assert EVENTS == ["open pool", "open client", "run", "run", "run", "close client", "close pool"]


def test_a_worker_that_runs_again_opens_it_again(server: Server) -> None:
    queue = chute.Queue("jobs", url=server.url)
    queue.task(Tasks(queue.resource(pool)).use)
    for _ in range(2):
        queue.push({})
        chute.Worker(queue).run(burst=True)
    assert EVENTS == ["open pool", "run", "close pool"] * 2


def test_one_that_cannot_be_opened_ends_the_worker_before_a_job_is_claimed(server: Server) -> None:
    with pytest.raises(ResourceError, match=r"resource broken cannot be opened: ConnectionError: nobody there\. No job was claimed"):
        run(server, pool, broken)
    assert EVENTS == ["open pool", "close pool"]
    assert server.client().llen("queue:jobs") == 3


def test_one_that_yields_nothing_or_twice_is_told_so(server: Server) -> None:
    with pytest.raises(ResourceError, match="it yields nothing"):
        run(server, empty)
    server.client().delete("queue:jobs")
    with pytest.raises(ResourceError, match="yields more than once"):
        run(server, twice)


def test_outside_of_a_worker_there_is_none() -> None:
    with pytest.raises(RuntimeError, match=r"pool\.override"):
        Resource(pool).get()


def test_a_test_puts_something_in_its_place(server: Server) -> None:
    queue = chute.Queue("jobs", url=server.url)
    resource = queue.resource(pool)
    task = queue.task(Tasks(resource).use)
    with resource.override("a double"):
        assert asyncio.run(task()) == ["a double"]
        job = task.enqueue()
        chute.Worker(queue).run(burst=True)
        assert job.result(5) == ["a double"]
    assert "open pool" not in EVENTS
    with pytest.raises(RuntimeError):
        resource.get()


@pytest.mark.parametrize("fn", [lambda: 1, Tasks.use])
def test_what_is_no_generator_is_refused(fn: Any) -> None:
    with pytest.raises(TypeError, match="no generator"):
        chute.Queue("jobs").resource(fn)


def needing(url: str) -> Iterator[str]:
    yield url


def test_a_generator_with_parameters_is_refused() -> None:
    with pytest.raises(TypeError, match="takes parameters"):
        chute.Queue("jobs").resource(needing)  # type: ignore[arg-type]
