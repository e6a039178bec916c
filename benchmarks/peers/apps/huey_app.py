"""Huey with results that expire."""

import mark
from huey import RedisExpireHuey

huey = RedisExpireHuey("bench", url=mark.URL, expire_time=mark.KEPT_SECONDS)


@huey.task()
def answer(question):
    return mark.answer()


def enqueue():
    with mark.enqueuing():
        for _ in range(mark.JOBS):
            answer(mark.QUESTION)
