"""What a type checker must refuse: an error on each marked line and on no other. Checked by test_typing.py, never run."""

from datetime import datetime, timedelta

import chute

jobs = chute.Queue("jobs")


@jobs.task
async def answer(question: str, top: int = 3) -> str:
    return question * top


@jobs.task
def add(a: int, b: int) -> int:
    return a + b


@jobs.task(retries=5)
def configured(a: int) -> int:
    return a


def arguments() -> None:
    answer.enqueue()  # error
    answer.enqueue(1)  # error
    answer.enqueue("why", top="3")  # error
    answer.enqueue("why", 3, 4)  # error
    answer.enqueue("why", wrong=1)  # error
    answer.bind(1)  # error
    add.enqueue(1)  # error
    add.bind(1, "2")  # error
    configured.enqueue("1")  # error
    answer(1)  # error
    add("1", 2)  # error


def options() -> None:
    answer.options(delay="5")  # error
    answer.options(key=7)  # error
    chute.Queue("jobs", partitions="8")  # error
    answer.options(at=timedelta(seconds=5))  # error
    answer.options(delay=datetime.now())  # error  # noqa: DTZ005
    answer.options(confirm="maybe")  # error
    answer.options(headers={"a": 1})  # error
    answer.options(priority=1)  # error
    answer.options("job_1")  # error
    answer.options(delay=5).enqueue(1)  # error


def results() -> None:
    wrong: int = answer.enqueue("why").result()  # error
    text: str = add(1, 2)  # error
    late: str = answer("why")  # error
    waited: str = add.job("job_1").result(timeout=5)  # error
    print(wrong, text, late, waited)
    add.enqueue(1, 2).result(timeout="5")  # error
    add.job(1)  # error
    print(add.enqueue(1, 2).status() == "done")  # error


def many() -> None:
    jobs.enqueue_many([add(1, 2)])  # error
    jobs.enqueue_many([add.enqueue(1, 2)])  # error
    handles: list[chute.Job[str]] = jobs.enqueue_many([add.bind(1, 2)])  # error
    print(handles)


def queues() -> None:
    chute.Queue(1)  # error
    chute.Queue("jobs", "redis://localhost")  # error
    chute.Queue()  # error
    jobs.push("why")  # error
    jobs.task(retries="3")  # error
    jobs.task(retry_on="OSError")  # error
    jobs.task(answer="x")  # error
    jobs.task(1)  # error


async def in_asyncio() -> None:
    await answer.aenqueue(1)  # error
    answer.aenqueue("why")  # error
    late: str = await add.aenqueue(1, 2)  # error
    await answer.enqueue("why")  # error
    depth: str = await jobs.adepth()  # error
    sums: list[str] = await chute.gather(await add.aenqueue(1, 2))  # error
    print(late, depth, sums)
    await chute.gather(add.bind(1, 2))  # error
    async for job in chute.as_completed([await add.aenqueue(1, 2)]):
        text: str = job.result()  # error
        print(text)


def in_a_task() -> None:
    chute.context().attempt = 2  # error
    print(chute.context().tag + "1")  # error
    print(chute.context().retries)  # error


def signals(which: int) -> None:
    if which == 1:
        raise chute.Retry(30)  # error
    if which == 2:
        raise chute.Snooze  # error
    if which == 3:
        raise chute.Snooze("5")  # error
    raise chute.GiveUp()  # error


def working() -> None:
    chute.Worker("jobs")  # error
    chute.Worker(jobs, processes=2)  # error
    chute.Worker(jobs).run(True)  # error
