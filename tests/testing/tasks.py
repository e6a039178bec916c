"""The queue and the tasks that these tests use, and what the tasks have done."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date

import chute

jobs = chute.Queue("jobs", url="redis://127.0.0.1:1")
"""Names a server of its own, where nobody listens: what runs has been sent elsewhere."""
shared = chute.Queue("shared")
SEEN: list[str] = []


@dataclass
class Place:
    """An argument that JSON does not have."""

    city: str
    since: date


@jobs.task(default=True)
async def answer(question: str, lang: str = "en") -> dict[str, str]:
    return {"answer": f"{question} ({lang})"}


@jobs.task
def visit(place: Place, tags: tuple[str, ...] = ()) -> Place:
    return Place(place.city.upper(), place.since)


@jobs.task
def where(job_id: str) -> list[str]:
    return [job_id, threading.current_thread().name, chute.context().headers.get("who", "")]


@jobs.task(retries=2, backoff=60)
def flaky(until: int) -> int:
    SEEN.append(f"run {chute.context().attempt}")
    if chute.context().attempt < until:
        raise ConnectionError("not yet")
    return chute.context().attempt


@jobs.task(timeout=0.05, retries=0)
async def slow() -> None:
    await asyncio.sleep(60)


@jobs.task
async def hang() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        SEEN.append("ended")


@jobs.task
async def loop() -> int:
    return id(asyncio.get_running_loop())


@jobs.task
def snooze() -> None:
    raise chute.Snooze(60)


@jobs.task
async def both(question: str) -> str:
    """Enqueues in blocking and in asyncio code while it runs."""
    first, second = answer.enqueue(question), await answer.aenqueue(question, "fr")
    return f"{first.result()['answer']}, {(await second.aresult())['answer']}"


@jobs.task
def nested(depth: int) -> int:
    return 0 if depth == 0 else 1 + nested.enqueue(depth - 1).result()


@shared.resource
def pool() -> Iterator[str]:
    SEEN.append("open pool")
    yield "a pool"
    SEEN.append("close pool")


@shared.resource
async def client() -> AsyncIterator[str]:
    SEEN.append("open client")
    yield "a client"
    SEEN.append("close client")


@shared.task
async def use() -> list[str]:
    SEEN.append("run")
    return [pool.get(), client.get()]
