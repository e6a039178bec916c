"""What a job costs must not grow: commands, round trips and bytes of the server, function calls and memory of the worker. Counts, no seconds."""

import asyncio
import sys
from types import FrameType
from typing import Any, NamedTuple

import pytest

import chute
from chute.worker import tend
from servers import Server
from worker.running import until, working

JOBS = 20_000
BODY = '{"job_id":"job_%d","question":"What is RAG?"}'


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting makes a worker slow, and a slow one gives back what it cannot start in time: that is not what is counted."""
    monkeypatch.setattr(tend, "RELEASE_AFTER", 30.0)


class Counted(NamedTuple):
    """What a server was asked by now."""

    commands: int
    scripts: int
    bytes: int


def counted(server: Server) -> Counted:
    with server.new_client() as client:
        info: dict[str, Any] = client.info("all")
    moved = info["total_net_input_bytes"] + info["total_net_output_bytes"]
    return Counted(info["total_commands_processed"], info.get("cmdstat_evalsha", {"calls": 0})["calls"], moved)


def queue_of(server: Server, **options: Any) -> chute.Queue:
    queue = chute.Queue("jobs", url=server.url)

    @queue.task(**options)
    async def answer(question: str) -> dict[str, str]:
        return {"answer": "RAG is retrieval"}

    return queue


def push(server: Server) -> None:
    client = server.client()
    for start in range(0, JOBS, 1000):
        client.lpush("queue:jobs", *[BODY % number for number in range(start, start + 1000)])


async def drain(server: Server, queue: chute.Queue) -> Counted:
    """What the server was asked for `JOBS` jobs."""
    async with working(queue) as engine:
        push(server)
        before = counted(server)
        await until(lambda: engine.totals["completed"] == JOBS and engine.shuttles[0].quiet, 60)
        after = counted(server)
    return Counted(*(new - old for old, new in zip(before, after, strict=True)))


def called(server: Server, queue: chute.Queue) -> float:
    """How many functions are called for a job in the worker, those of C too. In a run of its own: counting makes a worker slow, and then it
    goes to the server with less in hand."""
    calls = [0]

    def count(frame: FrameType, event: str, arg: object) -> None:
        if event in {"call", "c_call"}:
            calls[0] += 1

    sys.setprofile(count)
    try:
        asyncio.run(drain(server, queue))
    finally:
        sys.setprofile(None)
    return calls[0] / JOBS


def test_what_a_job_with_a_result_asks_of_the_server(server: Server) -> None:
    asked = asyncio.run(drain(server, queue_of(server)))
    assert asked.commands <= 3.6 * JOBS  # one more for each job would be 4.1; smaller batches are a busy machine
    assert asked.scripts <= JOBS / 50
    assert asked.bytes <= 220 * JOBS


def test_what_a_job_without_a_result_asks_of_the_server(server: Server) -> None:
    asked = asyncio.run(drain(server, queue_of(server, result_ttl=0)))
    assert asked.commands <= 1.6 * JOBS
    assert asked.scripts <= JOBS / 50
    assert asked.bytes <= 150 * JOBS


def test_what_a_job_asks_of_the_worker(server: Server) -> None:
    assert called(server, queue_of(server)) <= 64


def test_a_worker_keeps_nothing_of_a_job(server: Server) -> None:
    """Blocks of memory that are there after as many jobs again: what grew with the first ones must not grow with the next."""
    queue = queue_of(server)

    async def main() -> list[int]:
        blocks = list[int]()
        async with working(queue) as engine:
            for number in range(1, 7):
                push(server)
                await until(lambda number=number: engine.totals["completed"] == number * JOBS and engine.shuttles[0].quiet, 60)
                blocks.append(sys.getallocatedblocks())
        return blocks

    blocks = asyncio.run(main())
    assert blocks[-1] - blocks[0] < JOBS, (
        blocks
    )  # the last claim may still be in hand, some 10,000 of them; one block a job would be 5 `JOBS`
