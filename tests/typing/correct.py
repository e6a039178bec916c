"""What a type checker must accept, and what it must know. Checked by test_typing.py, never run."""

from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import chute
from chute.errors import ChuteError, JobFailed, Unconfirmed
from chute.result import Status

jobs = chute.Queue("jobs")
elsewhere = chute.Queue("elsewhere", url="redis://localhost")
spread = chute.Queue("spread", url="redis+cluster://a:6379,b:6379", partitions=8)


@dataclass
class Answer:
    text: str


@jobs.task
async def answer(question: str, top: int = 3, *, lang: str = "en") -> dict[str, str]:
    return {"question": question, "top": str(top), "lang": lang}


@jobs.task
def add(a: int, b: int) -> int:
    return a + b


@jobs.task(name="described", retries=5, backoff=timedelta(seconds=2), backoff_cap=60, retry_on=(OSError, ValueError), timeout=None)
async def describe(job_id: str, points: list[int]) -> Answer:
    return Answer(f"{job_id}: {points}")


@elsewhere.task(default=True, give_up_on=KeyError, timeout=timedelta(minutes=1), result_ttl=0)
def forget(**values: float) -> None: ...


@jobs.resource
def numbers() -> Iterator[list[int]]:
    yield [1]


@jobs.resource
async def words() -> AsyncIterator[str]:
    yield "word"


def sharing() -> None:
    assert_type(numbers, chute.Resource[list[int]])
    assert_type(numbers.get(), list[int])
    assert_type(words.get(), str)
    with words.override("another"):
        pass


def blocking() -> None:
    job = answer.enqueue("why", lang="de")
    assert_type(job, chute.Job[dict[str, str]])
    assert_type(job.result(), dict[str, str])
    assert_type(job.result(timeout=timedelta(seconds=5)), dict[str, str])
    assert_type(job.status(), Status)
    assert_type((job.id, job.queue), tuple[str, str])
    assert_type(add.enqueue(1, b=2).result(1.5), int)
    assert_type(describe.enqueue("id", [1]).result(), Answer)
    assert_type(forget.enqueue(a=1.5, b=2), chute.Job[None])


def direct() -> None:
    assert_type(add(1, 2), int)
    assert_type(forget(a=1), None)
    unstarted: Coroutine[Any, Any, dict[str, str]] = answer("why")
    unstarted.close()


def with_options(headers: Mapping[str, str]) -> None:
    later = answer.options(job_id="job_1", delay=5, result_ttl=timedelta(days=1), headers=headers, confirm="disk")
    assert_type(later.enqueue("why"), chute.Job[dict[str, str]])
    assert_type(add.options(at=datetime.now(UTC)).enqueue(1, 2), chute.Job[int])
    assert_type(add.options(key="user-42").enqueue(1, 2), chute.Job[int])
    assert_type(add.options(confirm="replica").bind(1, 2), chute.Call[chute.Job[int]])
    assert_type(add.name, str)


def many(questions: Iterable[str]) -> None:
    assert_type(add.bind(1, 2), chute.Call[chute.Job[int]])
    assert_type(jobs.enqueue_many(answer.bind(q) for q in questions), list[chute.Job[dict[str, str]]])
    assert_type(jobs.enqueue_many([add.bind(1, 2), add.options(delay=1).bind(3, 4)]), list[chute.Job[int]])
    mixed: list[chute.Call[chute.Job[Any]]] = [add.bind(1, 2), answer.bind("why"), describe.bind("id", [])]
    assert_type(jobs.enqueue_many(mixed), list[chute.Job[Any]])
    widened: list[chute.Call[chute.Job[object]]] = [add.bind(1, 2), answer.bind("why")]
    assert_type(jobs.enqueue_many(widened), list[chute.Job[object]])


def without_the_task() -> None:
    assert_type(jobs.push({"question": "why", "top": 3}), chute.Job[Any])
    assert_type(jobs.job("job_1"), chute.Job[Any])
    assert_type(add.job("job_1"), chute.Job[int])
    assert_type(jobs.depth(), int)
    assert_type(jobs.name, str)


async def in_asyncio() -> None:
    job = await answer.aenqueue("why")
    assert_type(job, chute.Job[dict[str, str]])
    assert_type(await job.aresult(timeout=5), dict[str, str])
    assert_type(await job.astatus(), Status)
    assert_type(await answer("why"), dict[str, str])
    assert_type(await jobs.aenqueue_many([add.bind(1, 2)]), list[chute.Job[int]])
    assert_type(await jobs.apush({}), chute.Job[Any])
    assert_type(await jobs.adepth(), int)
    await chute.aclose()


async def several(sums: list[chute.Job[int]]) -> None:
    assert_type(await chute.gather(*sums, timeout=60), list[int])
    assert_type(await chute.gather(add.enqueue(1, 2), add.enqueue(3, 4)), list[int])
    assert_type(chute.as_completed(sums, timeout=timedelta(minutes=1)), AsyncIterator[chute.Job[int]])
    async for done in chute.as_completed(sums):
        assert_type(done.result(), int)


def in_a_task() -> None:
    job = chute.context()
    assert_type(job, chute.Context)
    assert_type((job.job_id, job.queue, job.task), tuple[str, str, str])
    assert_type((job.attempt, job.tag), tuple[int, int])
    assert_type(job.headers, Mapping[str, str])
    if job.attempt == 1:
        raise chute.Retry
    if job.attempt == 2:
        raise chute.Retry(after=timedelta(seconds=30))
    if job.attempt == 3:
        raise chute.Snooze(60)
    raise chute.GiveUp("no such account")


def errors() -> None:
    try:
        add.enqueue(1, 2).result()
    except JobFailed as failed:
        assert_type((failed.job_id, failed.error, failed.traceback), tuple[str, str, str])
    except Unconfirmed as unknown:
        assert_type(unknown.job_id, str)
    except ChuteError:
        pass


async def working() -> None:
    chute.Worker(jobs, elsewhere, concurrency=10, threads=2).run()
    chute.Worker(jobs).run(burst=True)
    await chute.Worker(jobs).arun(burst=True)
    async with chute.Worker(jobs) as worker:
        assert_type(worker, chute.Worker)
