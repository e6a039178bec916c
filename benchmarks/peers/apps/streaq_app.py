"""streaQ."""

import mark
from streaq import Worker

worker = Worker(redis_url=mark.URL, concurrency=100)


@worker.task(ttl=mark.KEPT_SECONDS)
async def answer(question: str) -> dict:
    return mark.answer()


async def enqueue():
    async with worker:
        with mark.enqueuing():
            for batch in mark.batches(500):
                await worker.enqueue_many([answer.enqueue(mark.QUESTION) for _ in batch])


async def work():
    await worker.run_async()
