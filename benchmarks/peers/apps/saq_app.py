"""SAQ, under uvloop."""

import asyncio

import mark
import uvloop
from saq import Queue

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
queue = Queue.from_url(f"{mark.URL}?max_connections=1000")  # redis-py allows 100, fewer than a worker of 100 slots takes


async def answer(ctx, *, question):
    return mark.answer()


settings = {"queue": queue, "functions": [answer], "concurrency": 100}


async def enqueue():
    await queue.connect()
    await queue.sweep(lock=600)  # else the worker sweeps as it begins, and at times aborts a job that it has just taken
    with mark.enqueuing():
        for batch in mark.batches(100):
            await asyncio.gather(*[queue.enqueue("answer", question=mark.QUESTION, ttl=mark.KEPT_SECONDS) for _ in batch])
    await queue.disconnect()
