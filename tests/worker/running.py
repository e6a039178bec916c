"""A worker of this process, for tests that look inside while it runs: quick beats, an end that is awaited, conditions instead of sleeps."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import chute
from chute.worker.engine import Engine


async def until(met: Callable[[], bool], seconds: float = 10) -> None:
    """Waits until the condition is met; fails when the time is up."""
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def working(*queues: chute.Queue, concurrency: int = 100, threads: int = 8) -> AsyncIterator[Engine]:
    """A running worker's engine; the worker ends with the block, and Chute's connections with it."""
    try:
        worker = chute.Worker(*queues, concurrency=concurrency, threads=threads)
        async with worker:
            assert worker.engine is not None
            yield worker.engine
    finally:
        await chute.aclose()
