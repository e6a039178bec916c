"""A task: what may be one, what it is called with, and what its options mean."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

import chute
from chute.explain import explain
from contract import outcomes
from servers import Server


def plain(question: str, n: int = 1) -> str:
    """Says it n times."""
    return question * n


async def later(question: str) -> str:
    return question


def with_star(*words: str) -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


def takes_opaque(value: "Opaque") -> None: ...


def takes_callable(value: Callable[[], int]) -> None: ...


def takes_unknown(value: "NotThere") -> None: ...  # type: ignore[name-defined]  # noqa: F821


class Opaque:
    """Nothing that JSON has."""


def closure() -> Callable[[], int]:
    free = 1

    def inner() -> int:
        return free

    return inner


@pytest.fixture
def jobs(server: Server) -> chute.Queue:
    return chute.Queue("jobs", url=server.url)


def test_called_it_is_the_function_itself(jobs: chute.Queue, server: Server) -> None:
    task = jobs.task(plain)
    assert task("a", n=2) == "aa"
    assert (task.name, task.__doc__) == ("plain", "Says it n times.")
    assert server.client().keys() == []


async def _awaited(task: Any) -> str:
    return str(await task("a"))


def test_called_an_async_one_is_a_coroutine(jobs: chute.Queue) -> None:
    import asyncio

    assert asyncio.run(_awaited(jobs.task(later))) == "a"


@pytest.mark.parametrize(
    "fn",
    [lambda: 1, closure(), with_star, generator, async_generator, takes_opaque, takes_callable, takes_unknown, 1, "plain"],
    ids=lambda fn: getattr(fn, "__name__", str(fn)),
)
def test_what_cannot_be_one_is_refused_when_it_is_declared(jobs: chute.Queue, fn: Any) -> None:
    with pytest.raises(TypeError):
        jobs.task(fn)
    with pytest.raises(TypeError):
        jobs.task(retries=1)(fn)
    jobs.task(plain)  # and the queue is as it was


class Thing:
    """What some would make tasks of."""

    @classmethod
    def of_class(cls, n: int) -> int:
        return n

    @staticmethod
    def static(n: int) -> int:
        return n

    def method(self, n: int) -> int:
        return n

    async def amethod(self, n: int) -> int:
        return n

    def __call__(self, n: int) -> int:
        return n


THING = Thing()


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (Thing, "task Thing cannot be registered: it is a class; write a def that makes use of it"),
        (
            Thing.method,
            "task method cannot be registered: it is a method of Thing, and a job brings no object; define it at the top of a module",
        ),
        (
            str.upper,
            "task upper cannot be registered: it is a method of str, and a job brings no object; define it at the top of a module",
        ),
        (THING, f"task {THING!r} cannot be registered: it is an object of Thing, not a function; write a def that calls it"),
        (partial(pow, 2), f"task {partial(pow, 2)!r} cannot be registered: it is an object of partial, not a function; write a def that calls it"),
        (max, "task max cannot be registered: Python does not tell its parameters; write a def that calls it"),
        (print, "task print cannot be registered: a job names its arguments, so *args cannot be filled"),
        (lambda: 1, "a lambda cannot be registered as a task: it has no name; write a def"),
        ("plain", "a task is a function, not str. Write @jobs.task(name='plain') above a def"),
        (1, "a task is a function, not int. Write @jobs.task above a def, or @jobs.task(retries=5)"),
        (
            chute.Queue("low").task(plain),
            "task plain cannot be registered: it is one of queue low already. For two queues: a.task(fn); b.task(fn)",
        ),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)  # fmt: skip
def test_what_is_said_of_what_cannot_be_one(jobs: chute.Queue, fn: Any, says: str) -> None:
    with pytest.raises(TypeError) as caught:
        jobs.task(fn)
    assert str(caught.value) == says
    assert not jobs.tasks


def test_a_coroutine_is_no_function(jobs: chute.Queue) -> None:
    coroutine: Any = later("a")
    with pytest.raises(TypeError, match=r"^a task is a function, not coroutine\. Give the function itself, without calling it$"):
        jobs.task(coroutine)
    coroutine.close()


@pytest.mark.parametrize("fn", [THING.method, THING.amethod, Thing.of_class, Thing.static, len], ids=lambda fn: fn.__name__)
def test_what_can_be_called_with_what_a_job_brings_can_be_one(server: Server, fn: Any) -> None:
    jobs = chute.Queue("jobs", url=server.url)
    task = jobs.task(fn)
    job = task.enqueue([1, 2, 3] if fn is len else 3)
    chute.Worker(jobs).run(burst=True)
    assert job.result(timeout=5) == 3


def test_a_name_is_taken_once_and_a_queue_has_one_default(jobs: chute.Queue) -> None:
    jobs.task(plain)
    with pytest.raises(TypeError, match="plain"):
        jobs.task(plain)
    jobs.task(name="again", default=True)(plain)
    with pytest.raises(TypeError, match="default"):
        jobs.task(name="third", default=True)(plain)
    assert chute.Queue("other").task(plain).name == "plain"


@pytest.mark.parametrize(
    "options",
    [
        {"retries": -1},
        {"timeout": 0},
        {"timeout": -1},
        {"backoff": -1},
        {"backoff_cap": -1},
        {"result_ttl": -1},
        {"backoff": float("nan")},
        {"timeout": float("inf")},
        {"timeout": "x"},
        {"result_ttl": None},
        {"retries": True},
        {"retries": "3"},
        {"retries": None},
        {"retries": 1.5},
        {"name": ""},
        {"name": 5},
        {"name": "a b\n"},
    ],
    ids=str,
)
def test_options_that_cannot_be(jobs: chute.Queue, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises((ValueError, TypeError), match=f"{name}=|seconds"):
        jobs.task(**options)(plain)


def test_spans_of_time_may_be_timedeltas(jobs: chute.Queue, server: Server) -> None:
    minute = timedelta(minutes=1)
    task = jobs.task(timeout=minute, result_ttl=minute, backoff=minute, backoff_cap=minute)(plain)
    task.options(delay=minute, result_ttl=minute).enqueue("a")
    seconds = server.client().time()[0]
    ((_, due),) = server.client().zrange("scheduled:{queue:jobs}", 0, -1, withscores=True)
    assert seconds + 50 < due / 1000 <= seconds + 61


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (("a", 1, 2), {}), (("a",), {"m": 1}), (("a",), {"question": "b"}), ((1,), {}), (("a", "no number"), {}), ((None,), {})],
    ids=str,
)
def test_wrong_arguments_are_told_at_once_and_nothing_is_sent(jobs: chute.Queue, server: Server, args: Any, kwargs: Any) -> None:
    task: Any = jobs.task(plain)
    with pytest.raises(TypeError):
        task.enqueue(*args, **kwargs)
    with pytest.raises(TypeError):
        jobs.enqueue_many([task.bind("good"), task.bind(*args, **kwargs)])
    assert not server.client().exists("queue:jobs")


@pytest.mark.parametrize(
    "options",
    [
        {"job_id": ""},
        {"job_id": "a b"},
        {"job_id": "{a}"},
        {"job_id": "x" * 257},
        {"job_id": "ä"},
        {"delay": -1},
        {"delay": float("nan")},
        {"result_ttl": -1},
        {"at": datetime(2030, 1, 1)},  # noqa: DTZ001 - without a zone, on purpose
        {"delay": 1, "at": datetime(2030, 1, 1, tzinfo=timezone.utc)},  # noqa: UP017 - says the same
        {"headers": {"a": 1}},
        {"headers": {1: "a"}},
        {"confirm": "moon"},
        {"delay": "soon"},
        {"at": 1_900_000_000},
    ],
    ids=str,
)
def test_options_of_a_call_that_cannot_be(jobs: chute.Queue, options: dict[str, Any]) -> None:
    task = jobs.task(plain)
    with pytest.raises((ValueError, TypeError)) as caught:
        task.options(**options)
    assert "has no attribute" not in str(caught.value)


@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_the_last_and_the_first_moment_that_python_knows(jobs: chute.Queue, server: Server, hours: int) -> None:
    task, zone = jobs.task(plain), timezone(timedelta(hours=hours))
    last = task.options(at=datetime.max.replace(tzinfo=zone)).enqueue("a")
    first = task.options(at=datetime.min.replace(tzinfo=zone)).enqueue("a")
    score: Any = server.client().zrange("scheduled:{queue:jobs}", -1, -1, withscores=True)
    assert score[0][1] == 253_402_300_800_000 - hours * 3_600_000
    told = explain(jobs.endpoint, last.id, "jobs")
    assert (told.state, "after 1970" in told.why) == ("scheduled", hours <= 0)
    assert explain(jobs.endpoint, first.id, "jobs").state == "scheduled"


def test_options_make_another_task_and_leave_this_one(jobs: chute.Queue, server: Server) -> None:
    task = jobs.task(plain)
    other = task.options(job_id="mine", headers={"a": "b"})
    assert other.signature is task.signature  # costly to make, and the same
    assert other.enqueue("a").id == "mine"
    assert task.enqueue("a").id != "mine"
    assert b"@headers" not in server.client().lindex("queue:jobs", 0)


def test_a_handle_from_an_id(jobs: chute.Queue) -> None:
    task = jobs.task(plain)
    assert (task.job("job_1").id, task.job("job_1").queue) == ("job_1", "jobs")
    assert jobs.job("job_1").id == "job_1"
    for wrong in ("", "a b", "{", "x" * 257):
        with pytest.raises(ValueError, match="id"):
            task.job(wrong)
        with pytest.raises(ValueError, match="id"):
            jobs.job(wrong)


def test_a_task_says_what_it_is() -> None:
    assert "fails_until_told" in repr(outcomes.fails_until_told)
    assert "outcomes" in repr(outcomes.outcomes)
