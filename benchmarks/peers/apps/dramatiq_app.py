"""Dramatiq with its Redis broker and result backend."""

import dramatiq
import mark
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker = RedisBroker(url=mark.URL)
broker.add_middleware(Results(backend=RedisBackend(url=mark.URL), store_results=True, result_ttl=mark.KEPT_SECONDS * 1000))
dramatiq.set_broker(broker)


@dramatiq.actor
def answer(question):
    return mark.answer()


def enqueue():
    with mark.enqueuing():
        for _ in range(mark.JOBS):
            answer.send(mark.QUESTION)
