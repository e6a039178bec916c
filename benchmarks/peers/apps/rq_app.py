"""RQ."""

import mark
import redis
from rq import Queue, SimpleWorker

queue = Queue("default", connection=redis.Redis.from_url(mark.URL))


def answer(question):
    return mark.answer()


def enqueue():
    with mark.enqueuing():
        for batch in mark.batches(500):
            queue.enqueue_many([Queue.prepare_data(answer, (mark.QUESTION,), result_ttl=mark.KEPT_SECONDS) for _ in batch])


def work():
    SimpleWorker([queue], connection=queue.connection).work(logging_level="ERROR")
