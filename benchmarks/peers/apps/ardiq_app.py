"""ArdiQ, whose core is Rust."""

import mark
from ardiq import Ardiq

app = Ardiq(redis_url=mark.URL, concurrency=100)


@app.task
async def answer(question: str) -> dict:
    return mark.answer()


async def enqueue():
    with mark.enqueuing():
        for batch in mark.batches(500):
            await app.enqueue_many([answer.prepare(mark.QUESTION) for _ in batch])
