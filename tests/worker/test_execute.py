"""From bytes to an outcome: what is opened, what is refused and why, and what every way to end a run comes to."""

import asyncio
import json
import re
import threading
import time
from typing import Any

import pytest

import chute
from chute.envelope import Refused
from chute.outcome import Again, Completed, Failed, Outcome, Released
from chute.worker.desk import Desk
from chute.worker.execute import Executor
from chute.worker.held import Held
from chute.worker.verdict import describe, refuse
from worker.made import held


class Rude(Exception):
    """Its message ends whoever asks for it."""

    def __str__(self) -> str:
        raise SystemExit(3)


async def answer(question: str) -> dict[str, str]:
    return {"answer": question}


def plain(number: int = 1) -> str:
    return f"{number} in {threading.current_thread().name}"


async def fail(kind: str) -> None:
    raise {
        "value": ValueError("no"),
        "exit": SystemExit(1),
        "interrupt": KeyboardInterrupt(),
        "cancel": asyncio.CancelledError(),
        "memory": MemoryError(),
        "stop": StopAsyncIteration(),
        "rude": Rude(),
        "retry": chute.Retry(after=5),
        "snooze": chute.Snooze(2),
        "give up": chute.GiveUp("enough"),
    }[kind]


class Gate:
    """A plain task that waits to be let through."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def wait(self) -> str:
        assert self.go.wait(10)
        return chute.context().task


def queue_of(*tasks: Any, **how: Any) -> chute.Queue:
    queue = chute.Queue("jobs")
    for task in tasks:
        queue.task(**how)(task)
    return queue


def undated(again: Outcome) -> str:
    """The bytes of the next run, without when it is due."""
    assert isinstance(again, Again)
    return re.sub(r',"@due":\d+', "", again.body)


def run(queue: chute.Queue, job: Held) -> Outcome:
    async def main() -> Outcome:
        executor = Executor(2)
        try:
            return await executor.run(job, Desk(queue).open(job))
        finally:
            executor.close()

    return asyncio.run(main())


def test_the_only_task_runs_what_names_none() -> None:
    job = held(b'{"job_id":"a","question":"Why?","@attempt":2}')
    assert run(queue_of(answer), job) == Completed(["answer", "Why?"])
    assert (job.job_id, job.task, job.attempt, job.result_ttl) == ("a", "answer", 3, 3600)


def test_a_job_says_how_long_its_result_is_kept() -> None:
    job = held(b'{"question":"?","@result_ttl":5}')
    Desk(queue_of(answer, result_ttl=60)).open(job)
    assert job.result_ttl == 5


def test_of_several_tasks_the_named_one_runs() -> None:
    both = queue_of(answer, plain)
    assert run(both, held(b'{"@task":"answer","question":"?"}')) == Completed(["answer", "?"])
    assert "chute" in str(run(both, held(b'{"@task":"plain"}')))


def test_a_default_runs_what_names_none() -> None:
    queue = queue_of(answer)
    queue.task(default=True)(plain)
    assert "1 in chute" in str(run(queue, held(b"{}")))


@pytest.mark.parametrize(
    ("tasks", "body", "reason"),
    [
        ((answer, plain), b"{}", "unknown_task"),
        ((answer, plain), b'{"@task":"os.system"}', "unknown_task"),
        ((answer,), b'{"@task":"other","question":"?"}', "unknown_task"),
        ((answer,), b'{"@task":"other","number":1}', "unknown_task"),
        ((answer,), b'{"number":1}', "bad_arguments"),
        ((answer, plain), b'{"@task":5}', "bad_field"),
        ((answer, plain), b'{"@task":"other","job_id":""}', "bad_job_id"),
        ((answer, plain), b"{", "bad_json"),
        ((answer, plain), b"\xff", "bad_utf8"),
        ((answer, plain), b"[]", "bad_shape"),
    ],
)
def test_what_is_no_job_for_this_queue_is_refused(tasks: tuple[Any, ...], body: bytes, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        Desk(queue_of(*tasks)).open(held(body))
    assert caught.value.reason == reason


def test_a_refusal_names_the_job_and_what_the_queue_has() -> None:
    job = held(b'{"job_id":"a","@task":"answr"}')
    with pytest.raises(Refused) as caught:
        Desk(queue_of(answer, plain)).open(job)
    assert str(caught.value) == 'queue jobs has no task "answr" (it has: answer, plain). A job names its task so: "@task": "answer"'
    outcome = refuse(job, caught.value)
    assert (job.job_id, job.task, job.result_ttl) == ("a", "answr", 3600)
    assert outcome.reason == "unknown_task"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            b"{}",
            'no default task for a job without "@task" (it has: t0, t1, t2, t3, t4 and 4 more). A job names its task so: "@task": "t0"',
        ),
        (b'{"@task":"tt7"}', 'no task "tt7" (it has: t7, t0, t1, t2, t3 and 4 more). A job names its task so: "@task": "t7"'),
        (b'{"@task":""}', 'no task "" (it has: t0, t1, t2, t3, t4 and 4 more). A job names its task so: "@task": "t0"'),
    ],
)
def test_of_many_tasks_a_refusal_lists_the_likeliest(body: bytes, says: str) -> None:
    queue = chute.Queue("jobs")
    for n in range(9):
        queue.task(name=f"t{n}")(plain)
    with pytest.raises(Refused) as caught:
        Desk(queue).open(held(body))
    assert str(caught.value) == f"queue jobs has {says}"


@pytest.mark.parametrize("kind", ["value", "exit", "interrupt", "cancel", "memory", "stop", "rude"])
def test_whatever_a_handler_raises_is_a_failed_attempt(kind: str) -> None:
    job = held(b'{"job_id":"a","kind":"%s","x":1.50}' % kind.encode())

    async def with_more(kind: str, x: float) -> None:
        await fail(kind)

    again = run(queue_of(with_more), job)
    assert isinstance(again, Again)
    assert 0 <= again.delay <= 1000
    assert undated(again) == '{"job_id":"a","kind":"%s","x":1.50,"@attempt":1}' % kind


def test_the_last_attempt_fails_for_good_with_a_place_in_the_users_code() -> None:
    outcome = run(queue_of(fail, retries=2), held(b'{"job_id":"a","kind":"value","@attempt":2}'))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.error) == ("failed", "ValueError: no")
    assert "execute.py" not in outcome.traceback.replace("test_execute.py", "")
    assert "raise {" in outcome.traceback


def test_a_retry_counts_and_a_snooze_does_not() -> None:
    retry = run(queue_of(fail), held(b'{"job_id":"a","kind":"retry"}'))
    assert (retry.delay, undated(retry)) == (5000, '{"job_id":"a","kind":"retry","@attempt":1}')
    assert abs(json.loads(retry.body)["@due"] - (time.time() + 5) * 1000) < 2000
    snooze = run(queue_of(fail), held(b'{"job_id":"a","kind":"snooze"}'))
    assert (snooze.delay, undated(snooze)) == (2000, '{"job_id":"a","kind":"snooze"}')
    snooze = run(queue_of(fail, retries=1), held(b'{"job_id":"a","kind":"snooze","@attempt":1}'))
    assert (snooze.delay, undated(snooze)) == (2000, '{"job_id":"a","kind":"snooze","@attempt":1}')


def test_a_job_without_an_id_gets_one_before_it_runs_again() -> None:
    again = run(queue_of(fail), held(b'{"kind":"snooze"}'))
    assert isinstance(again, Again)
    assert '"job_id":"' in again.body


def test_giving_up_is_final() -> None:
    outcome = run(queue_of(fail), held(b'{"kind":"give up"}'))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.error) == ("gave_up", "GiveUp: enough")


def test_a_cancellation_by_the_clock_is_a_timeout_and_one_by_the_end_is_a_release() -> None:
    late, ended = held(b'{"kind":"cancel"}'), held(b'{"kind":"cancel"}')
    late.overdue, ended.broken_off = True, True
    outcome = run(queue_of(fail, retries=0, timeout=2), late)
    assert isinstance(outcome, Failed)
    assert outcome.error == "TimeoutError: ran longer than 2 s (the timeout of task fail)"
    assert run(queue_of(fail), ended) == Released()


def test_a_thread_is_taken_while_a_plain_function_runs() -> None:
    gate = Gate()

    async def main() -> None:
        executor = Executor(1)
        job = held(b"{}")
        running = asyncio.create_task(executor.run(job, Desk(queue_of(gate.wait)).open(job)))
        await asyncio.sleep(0.01)
        assert not executor.thread_free
        gate.go.set()
        assert await running == Completed(["@value", '"wait"'])
        assert executor.thread_free

    asyncio.run(main())


def test_a_message_that_cannot_be_had_is_described_all_the_same() -> None:
    assert describe(Rude()) == "Rude: (its message cannot be read)"
    assert describe(ValueError("\ud800")) == "ValueError: \\ud800"
    assert describe(KeyError()) == "KeyError"


def test_an_error_that_cannot_be_judged_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    queue = queue_of(fail)
    object.__setattr__(queue.tasks["fail"].policy, "retry_on", [ValueError])  # what registration refuses
    outcome = run(queue, held(b'{"job_id":"a","kind":"value"}'))
    assert outcome == Failed("failed", "ValueError: no")
    assert "cannot be judged" in caplog.text


def test_a_job_that_would_outgrow_the_limit_is_kept_whole(caplog: pytest.LogCaptureFixture) -> None:
    empty = b'{"job_id":"a","kind":"value","pad":""}'

    async def padded(kind: str, pad: str) -> None:
        await fail(kind)

    job = held(empty.replace(b'""}', b'"' + b"x" * ((1 << 20) - len(empty)) + b'"}'))
    assert len(job.body) == 1 << 20
    outcome = run(queue_of(padded), job)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.error[:16]) == ("failed", "ValueError: no (")


def test_a_thread_is_taken_at_once() -> None:
    gate = Gate()

    async def main() -> None:
        executor = Executor(1)
        opened = Desk(queue_of(gate.wait)).open(held(b"{}"))
        executor.give_thread(opened)
        assert not executor.thread_free  # before any task has stepped
        gate.go.set()
        assert await executor.run(held(b"{}"), opened) == Completed(["@value", '"wait"'])
        executor.close()

    asyncio.run(main())
