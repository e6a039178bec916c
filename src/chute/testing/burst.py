"""A worker for the time that there is work: what a test runs between putting jobs in and looking at what came of them."""

import asyncio
from dataclasses import dataclass

from chute import waiting
from chute.call import Sender
from chute.queue import Queue
from chute.worker import Worker


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain did, in jobs: `completed` and `failed` for good, `again` = will run once more (a retry or a snooze), `refused` = no job
    for this queue. A job that ran twice meanwhile counts twice."""

    completed: int = 0
    failed: int = 0
    again: int = 0
    refused: int = 0

    @property
    def ran(self) -> int:
        """How many runs there were."""
        return self.completed + self.failed + self.again


def drain(*queues: Queue) -> Drained:
    """Runs a real worker in this thread until nothing is ready and its jobs are done; scheduled jobs stay, see `advance`.

    Raises RuntimeError in inline mode and in asyncio code, where `adrain` is meant, else as `Worker.run`.

        answer.enqueue("What is RAG?")
        assert chute.testing.drain(jobs).completed == 1
    """
    if on_a_loop():
        raise RuntimeError("drain() would block the event loop that runs here: await chute.testing.adrain(...)")
    return asyncio.run(_drain_and_close(queues))


async def adrain(*queues: Queue) -> Drained:
    """As `drain`, for asyncio code: on the running loop."""
    if Sender.instead:
        raise RuntimeError("in inline mode every job has run when it was enqueued: there is nothing to drain")
    worker = Worker(*queues)
    await worker.arun(burst=True)
    totals = worker.totals
    return Drained(totals["completed"], totals["failed"], totals["again"], totals["refused"])


async def _drain_and_close(queues: tuple[Queue, ...]) -> Drained:
    try:
        return await adrain(*queues)
    finally:
        await waiting.aclose()


def on_a_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
