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


def drained(server: Server, **options: Any) -> tuple[Counted, float]:
    """What the server was asked for a job of `JOBS`, and how many functions were called for one in the worker, those of C too."""
    queue = queue_of(server, **options)
    calls = [0]

    def count(frame: FrameType, event: str, arg: object) -> None:
        if event in {"call", "c_call"}:
            calls[0] += 1

    async def main() -> tuple[Counted, float]:
        async with working(queue) as engine:
            push(server)
            before = counted(server)
            sys.setprofile(count)
            try:
                await until(lambda: engine.totals["completed"] == JOBS and engine.shuttles[0].quiet, 60)
            finally:
                sys.setprofile(None)
            after = counted(server)
        return Counted(*(new - old for old, new in zip(before, after, strict=True))), calls[0] / JOBS

    return asyncio.run(main())


def test_a_job_with_a_result(server: Server) -> None:
    asked, calls = drained(server)
    assert asked.commands <= 3.6 * JOBS  # one more for each job would be 4.1; smaller batches are a busy machine
    assert asked.scripts <= JOBS / 40  # a finish has 125 outcomes at most, less where counting makes the worker slow
    assert asked.bytes <= 220 * JOBS
    assert calls <= 64


def test_a_job_without_a_result(server: Server) -> None:
    asked, calls = drained(server, result_ttl=0)
    assert asked.commands <= 1.6 * JOBS
    assert asked.scripts <= JOBS / 40
    assert asked.bytes <= 150 * JOBS
    assert calls <= 64


def test_a_worker_keeps_nothing_of_a_job(server: Server) -> None:
    """Blocks of memory that are there after as many jobs again: what grew with the first ones must not grow with the next."""
    queue = queue_of(server)

    async def main() -> list[int]:
        blocks = list[int]()
        async with working(queue) as engine:
            for number in (1, 2, 3, 4):
                push(server)
                await until(lambda number=number: engine.totals["completed"] == number * JOBS and engine.shuttles[0].quiet, 60)
                blocks.append(sys.getallocatedblocks())
        return blocks

    _, before, *after = asyncio.run(main())
    assert min(after) - before < JOBS / 4, (before, after)  # what lies ready for reuse differs; one block a job would be all of `JOBS`
