"""arq, under uvloop."""

import asyncio

import mark
import uvloop
from arq import create_pool, run_worker
from arq.connections import RedisSettings

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
settings = RedisSettings.from_dsn(mark.URL)


async def answer(ctx, question):
    return mark.answer()


class WorkerSettings:
    functions = (answer,)
    redis_settings = settings
    max_jobs = 100
    queue_read_limit = 500
    keep_result = mark.KEPT_SECONDS
    poll_delay = 0.01


def work():
    run_worker(WorkerSettings)


async def enqueue():
    pool = await create_pool(settings)
    with mark.enqueuing():
        for batch in mark.batches(100):
            await asyncio.gather(*[pool.enqueue_job("answer", mark.QUESTION) for _ in batch])
    await pool.aclose()
