"""BullMQ's Python library, under uvloop."""

import asyncio
import signal

import mark
from bullmq import Queue, Worker


async def enqueue():
    queue = Queue("bench", {"connection": mark.URL})
    with mark.enqueuing():
        for batch in mark.batches(500):
            jobs = [
                {"name": "answer", "data": {"question": mark.QUESTION}, "opts": {"removeOnComplete": {"age": mark.KEPT_SECONDS}}}
                for _ in batch
            ]
            await queue.addBulk(jobs)
    await queue.close()


async def process(job, token):
    return mark.answer()


async def work():
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    worker = Worker("bench", process, {"connection": mark.URL, "concurrency": 100})
    await asked.wait()
    await worker.close()
