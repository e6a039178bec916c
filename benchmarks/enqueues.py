"""Putting jobs in: one at a time, many callers at once, in bulk; and what a waiting job takes of the server's memory."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvloop

import chute
from benchmarks import stage
from benchmarks.scenario import Measured, Round, Scenario
from servers import Server

RATE = "jobs/s"


def _queue(server: Server) -> tuple[chute.Queue, Any]:
    queue = chute.Queue("jobs", url=server.url)
    return queue, queue.task(name="answer")(_answer)


async def _answer(question: str) -> dict[str, str]:
    return {}


def _rate(count: int, run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return count / (time.perf_counter() - began)


def one(now: Round) -> Iterator[Measured]:
    """One call after the other, beside redis-py's own lpush."""
    count = now.jobs(10_000)
    with stage.fresh(now.server) as server, server.new_client() as client:
        _, answer = _queue(server)
        body = stage.job(0, 12)

        def bare() -> None:
            for _ in range(count):
                client.lpush("bare", body)

        def ours() -> None:
            for _ in range(count):
                answer.enqueue("What is RAG?")

        for system, run in (("lpush", bare), ("chute", ours)) if now.ceiling_first else (("chute", ours), ("lpush", bare)):
            run()
            yield system, RATE, _rate(count, run)


def concurrent(now: Round) -> Iterator[Measured]:
    """A thousand callers that each await their `aenqueue`, on one event loop."""
    count = now.jobs(100_000)
    with stage.fresh(now.server) as server:
        _, answer = _queue(server)

        async def caller() -> None:
            for _ in range(count // 1000):
                await answer.aenqueue("What is RAG?")

        async def all_of_them() -> float:
            await answer.aenqueue("What is RAG?")
            began = time.perf_counter()
            await asyncio.gather(*[caller() for _ in range(1000)])
            rate = count / (time.perf_counter() - began)
            await chute.aclose()
            return rate

        yield "chute", RATE, uvloop.run(all_of_them())


def bulk(now: Round) -> Iterator[Measured]:
    """`enqueue_many` of bound calls, bare bodies by `push`-like LPUSH beside it."""
    count = now.jobs(200_000)
    with stage.fresh(now.server) as server:
        queue, answer = _queue(server)
        bodies = [stage.job(number, 12) for number in range(count)]
        yield "chute", RATE, _rate(count, lambda: queue.enqueue_many(answer.bind("What is RAG?") for _ in range(count)))
        yield "lpush", RATE, _rate(count, lambda: stage.push(server, bodies))


def waiting(now: Round) -> Iterator[Measured]:
    """Bytes of the server's memory that a waiting job takes above its own JSON, for three sizes."""
    count = now.jobs(50_000)
    for size in (12, 200, 1000):
        with stage.fresh(now.server) as server, server.new_client() as client:
            bodies = [stage.job(number, size) for number in range(count)]
            before = _used(client)
            stage.push(server, bodies)
            length = sum(map(len, bodies)) / count
            yield f"{size} bytes", "bytes above the JSON", (_used(client) - before) / count - length


def _used(client: Any) -> int:
    info = client.info("memory")
    return int(info["used_memory_dataset"])


SCENARIOS = (
    Scenario("enqueue-one", "one call at a time", one),
    Scenario("enqueue-concurrent", "1,000 callers of `aenqueue` at once", concurrent),
    Scenario("enqueue-bulk", "`enqueue_many`", bulk),
    Scenario("waiting", "memory of the server that a waiting job takes", waiting),
)
