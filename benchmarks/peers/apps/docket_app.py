"""Docket, under uvloop."""

from datetime import timedelta

import mark
from docket import Docket, Worker

kept = timedelta(seconds=mark.KEPT_SECONDS)
url = f"{mark.URL}?max_connections=1000"  # redis-py allows 100, fewer than a worker of 100 slots takes


async def answer(question: str) -> dict:
    return mark.answer()


async def enqueue():
    async with Docket(name="bench", url=url, execution_ttl=kept) as docket:
        docket.register(answer)
        with mark.enqueuing():
            await docket.add_many([docket.call(answer)(mark.QUESTION) for _ in range(mark.JOBS)])


async def work():
    async with Docket(name="bench", url=url, execution_ttl=kept) as docket:
        docket.register(answer)
        async with Worker(docket, concurrency=100, minimum_check_interval=timedelta(milliseconds=5)) as worker:
            await worker.run_forever()
