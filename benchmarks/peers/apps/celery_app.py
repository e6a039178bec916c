"""Celery with Redis as broker and as result backend."""

import mark
from celery import Celery

app = Celery("celery_app", broker=mark.URL, backend=mark.URL)
app.conf.update(worker_prefetch_multiplier=200, result_expires=mark.KEPT_SECONDS, broker_connection_retry_on_startup=True)


@app.task(name="answer")
def answer(question):
    return mark.answer()


def enqueue():
    with mark.enqueuing(), app.producer_pool.acquire(block=True) as producer:
        for _ in range(mark.JOBS):
            answer.apply_async((mark.QUESTION,), producer=producer)
