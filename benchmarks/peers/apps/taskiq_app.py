"""taskiq-redis; BENCH_BROKER names which of its brokers."""

import asyncio
import os

import mark
import taskiq_redis

kind = getattr(taskiq_redis, os.environ["BENCH_BROKER"])
results = taskiq_redis.RedisAsyncResultBackend(redis_url=mark.URL, result_ex_time=mark.KEPT_SECONDS)
broker = kind(url=mark.URL).with_result_backend(results)


@broker.task(task_name="answer")
async def answer(question):
    return mark.answer()


async def enqueue():
    await broker.startup()
    with mark.enqueuing():
        for batch in mark.batches(100):
            await asyncio.gather(*[answer.kiq(mark.QUESTION) for _ in batch])
    await broker.shutdown()
