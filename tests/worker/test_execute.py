"""From bytes to an outcome: what is opened, what is refused and why, and what every way to end a run comes to."""

import asyncio
import json
import re
import time
from contextvars import ContextVar
from typing import Any

import pytest

import chute
from chute.envelope import Refused
from chute.outcome import Again, Completed, Failed, Outcome, Released, cut
from chute.worker import execute
from chute.worker.board import Board
from chute.worker.desk import Desk
from chute.worker.execute import Executor
from chute.worker.held import Ended, Held
from chute.worker.slots import Slots
from chute.worker.start import Starter
from chute.worker.verdict import MAX_LOGGED, _trace, describe, refuse
from worker.made import held, lane


class Rude(Exception):
    """Its message ends whoever asks for it."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Secretive(Exception):
    """Its cause ends whoever asks for it."""

    @property
    def __cause__(self) -> BaseException:  # type: ignore[override]
        raise SystemExit(3)


async def answer(question: str) -> dict[str, str]:
    return {"answer": question}


async def count(number: int = 1) -> str:
    return f"counted {number}"


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
    return asyncio.run(execute.run(job, Desk(queue).open(job)))


def test_the_only_task_runs_what_names_none() -> None:
    job = held(b'{"job_id":"a","question":"Why?","@attempt":2}')
    assert run(queue_of(answer), job) == Completed(["answer", "Why?"])
    assert (job.job_id, job.task, job.attempt, job.result_ttl) == ("a", "answer", 3, 3600)


def test_a_job_says_how_long_its_result_is_kept() -> None:
    job = held(b'{"question":"?","@result_ttl":5}')
    Desk(queue_of(answer, result_ttl=60)).open(job)
    assert job.result_ttl == 5


def test_of_several_tasks_the_named_one_runs() -> None:
    both = queue_of(answer, count)
    assert run(both, held(b'{"@task":"answer","question":"?"}')) == Completed(["answer", "?"])
    assert "counted 1" in str(run(both, held(b'{"@task":"count"}')))


def test_a_default_runs_what_names_none() -> None:
    queue = queue_of(answer)
    queue.task(default=True)(count)
    assert "counted 1" in str(run(queue, held(b"{}")))


@pytest.mark.parametrize(
    ("tasks", "body", "reason"),
    [
        ((answer, count), b"{}", "unknown_task"),
        ((answer, count), b'{"@task":"os.system"}', "unknown_task"),
        ((answer,), b'{"@task":"other","question":"?"}', "unknown_task"),
        ((answer,), b'{"@task":"other","number":1}', "unknown_task"),
        ((answer,), b'{"number":1}', "bad_arguments"),
        ((answer, count), b'{"@task":5}', "bad_field"),
        ((answer, count), b'{"@task":"other","job_id":""}', "bad_job_id"),
        ((answer, count), b"{", "bad_json"),
        ((answer, count), b"\xff", "bad_utf8"),
        ((answer, count), b"[]", "bad_shape"),
    ],
)
def test_what_is_no_job_for_this_queue_is_refused(tasks: tuple[Any, ...], body: bytes, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        Desk(queue_of(*tasks)).open(held(body))
    assert caught.value.reason == reason


def test_a_refusal_names_the_job_and_what_the_queue_has() -> None:
    job = held(b'{"job_id":"a","@task":"answr"}')
    with pytest.raises(Refused) as caught:
        Desk(queue_of(answer, count)).open(job)
    assert str(caught.value) == 'queue jobs has no task "answr" (it has: answer, count). A job names its task so: "@task": "answer"'
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
        queue.task(name=f"t{n}")(count)
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
    snooze = run(queue_of(fail, retries=1), held(b'{"job_id":"a","kind":"snooze","@attempt":3}'))
    assert (snooze.delay, undated(snooze)) == (2000, '{"job_id":"a","kind":"snooze","@attempt":3}')


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


def test_a_message_that_cannot_be_had_is_described_all_the_same() -> None:
    assert describe(Rude()) == "Rude: (its message cannot be read)"
    assert describe(ValueError("\ud800")) == "ValueError: \\ud800"
    assert describe(KeyError()) == "KeyError"


def test_an_error_that_cannot_be_judged_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    queue = queue_of(fail)
    object.__setattr__(queue.tasks["fail"].policy, "retry_on", [ValueError])  # what registration refuses
    outcome = run(queue, held(b'{"job_id":"a","kind":"value"}'))
    assert outcome == Failed("failed", "ValueError: no")
    assert "what became of job a cannot be judged" in caplog.text


@pytest.mark.parametrize(("name", "shown"), [('"job_id":"mine",', "job mine"), ("", "job 1001")])
@pytest.mark.parametrize(("kind", "retries", "says"), [("snooze", 0, "will run again"), ("value", 0, "failed for good")])
def test_a_log_line_names_the_job_or_its_lease_and_the_place(
    caplog: pytest.LogCaptureFixture, name: str, shown: str, kind: str, retries: int, says: str
) -> None:
    caplog.set_level("INFO")
    run(queue_of(fail, retries=retries), held(b'{%s"kind":"%s"}' % (name.encode(), kind.encode())))
    (line,) = caplog.messages
    assert line.startswith(f"{shown} of task fail {says}")
    assert re.search(r" at \S*test_execute\.py:\d+", line)


@pytest.mark.parametrize(("name", "shown"), [("mine", "job mine of queue jobs was refused"), ("", "an entry of queue jobs was refused")])
def test_a_refusal_is_said_once_and_cut(caplog: pytest.LogCaptureFixture, name: str, shown: str) -> None:
    job = held(b"{}")
    refuse(job, Refused("unknown_task", "x" * 2000, name, "t" * 300))
    assert caplog.messages[0].startswith(shown)
    assert 0.9 * MAX_LOGGED < caplog.messages[0].count("x") < MAX_LOGGED
    assert (job.task, job.result_ttl) == (cut("t" * 300, 256), 3600)
    refuse(job, Refused("unknown_task", "x", name, "t" * 256))
    assert job.task == "t" * 256


@pytest.mark.parametrize("runs", [0, 1, 2, 3])
def test_a_retry_counts_as_a_run_and_a_snooze_does_not(runs: int) -> None:
    queue = queue_of(fail, retries=9)
    for kind, noted in (("value", runs + 1), ("snooze", runs)):
        again = run(queue, held(b'{"job_id":"a","kind":"%s","@attempt":%d}' % (kind.encode(), runs)))
        assert isinstance(again, Again)
        assert json.loads(again.body)["@attempt"] == noted


def test_a_traceback_that_cannot_be_had_is_left_out() -> None:
    error = Secretive("no")
    try:
        raise error
    except Secretive:
        assert _trace(error) == ""
        assert describe(error) == "Secretive: no"


def test_a_job_that_would_outgrow_the_limit_is_kept_whole(caplog: pytest.LogCaptureFixture) -> None:
    empty = b'{"job_id":"a","kind":"value","pad":""}'

    async def padded(kind: str, pad: str) -> None:
        await fail(kind)

    job = held(empty.replace(b'""}', b'"' + b"x" * ((1 << 20) - len(empty)) + b'"}'))
    assert len(job.body) == 1 << 20
    outcome = run(queue_of(padded), job)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.error[:16]) == ("failed", "ValueError: no (")
    assert "job a of task padded failed: " in caplog.text


def test_a_job_that_just_fits_into_the_limit_runs_again() -> None:
    again = run(queue_of(fail), held(b'{"job_id":"a","kind":"retry"}'))
    assert isinstance(again, Again)
    noted = len(again.body) - len('{"job_id":"a","kind":"retry"}')

    async def padded(kind: str, pad: str) -> None:
        await fail(kind)

    for room, fits in ((noted, True), (noted - 1, False)):
        empty = b'{"job_id":"a","kind":"retry","pad":""}'
        job = held(empty.replace(b'""}', b'"' + b"x" * ((1 << 20) - room - len(empty)) + b'"}'))
        assert isinstance(run(queue_of(padded), job), Again if fits else Failed)


class Line:
    """Jobs that an Executor runs on a loop without a server. `ended`: what came of each, by number."""

    def __init__(self, *tasks: Any, concurrency: int = 10) -> None:
        self.queue = queue_of(*tasks, retries=0)
        self.lane = lane()
        self.lane.proof = float("inf")
        self.board = Board(concurrency)
        self.slots = Slots(concurrency)
        self.ended: dict[int, Outcome] = {}
        self.starter = Starter(self.slots, {self.lane: Desk(self.queue)}, self.board, 15.0, self.done)
        self.executor = Executor(self.slots, self.starter, self.done)

    def push(self, *bodies: bytes) -> None:
        """They are claimed, and may start."""
        for body in bodies:
            self.slots.ready.append(Held(self.lane, self.lane.holdings, len(self.slots.ready) + len(self.ended) + 1, 1, body, 0.0))
        self.executor.go()

    def done(self, ended: list[Ended]) -> None:
        """Takes what came of some, and goes on as an engine does."""
        for job, result in ended:
            self.slots.running.discard(job)
            self.ended[job.lease] = result
        self.executor.go()

    async def until(self, count: int) -> None:
        """So many have ended."""
        async with asyncio.timeout(10):
            while len(self.ended) < count:
                await asyncio.sleep(0.001)


own: list[Any] = []
began: list[int] = []
most = [0, 0]
cleaned: list[str] = []
held_by = ContextVar("held_by", default="nobody")


async def note(waits: bool = False) -> str:
    """Which asyncio task it runs in, before and after it waited; what another job has set, it must not see."""
    found = held_by.get()
    held_by.set("another job")
    first = asyncio.current_task()
    if waits:
        await asyncio.sleep(0)
        assert asyncio.current_task() is first
        assert held_by.get() == "another job"
    own.append(first)
    return found


def test_jobs_that_wait_for_nothing_share_an_asyncio_task_and_no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "SLICE", 10.0)  # on a slow machine the loop has its turn in between

    async def main() -> None:
        own.clear()
        line = Line(note)
        line.push(*[b"{}"] * 5)
        await line.until(5)
        assert len(set(own)) == 1
        assert list(line.ended.values()) == [Completed(["@value", '"nobody"'])] * 5

    asyncio.run(main())


def test_a_job_that_waits_has_its_asyncio_task_to_itself() -> None:
    async def main() -> None:
        own.clear()
        line = Line(note)
        line.push(*[b'{"waits":true}'] * 5)
        await line.until(5)
        assert len(set(own)) == 5
        assert list(line.ended.values()) == [Completed(["@value", '"nobody"'])] * 5

    asyncio.run(main())


def test_jobs_start_in_their_order_beside_those_that_wait() -> None:
    began.clear()

    async def hold(number: int) -> None:
        began.append(number)
        if number % 3 == 0:
            await asyncio.sleep(0.01)

    async def main() -> None:
        line = Line(hold, concurrency=100)
        line.push(*[b'{"number":%d}' % number for number in range(50)])
        await line.until(50)
        assert began == list(range(50))
        assert not line.slots.running
        assert not list(line.board.started())

    asyncio.run(main())


def test_no_more_wait_at_once_than_there_are_slots() -> None:
    most[:] = [0, 0]

    async def hold() -> None:
        most[0] += 1
        most[1] = max(most)
        await asyncio.sleep(0.001)
        most[0] -= 1

    async def main() -> None:
        line = Line(hold, concurrency=3)
        line.push(*[b"{}"] * 20)
        await line.until(20)
        assert most == [0, 3]

    asyncio.run(main())


def test_a_job_that_cancels_the_asyncio_task_it_runs_in_harms_no_other() -> None:
    async def cancel(number: int) -> int:
        if number == 1:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        else:
            await asyncio.sleep(0)
        return number

    async def main() -> None:
        line = Line(cancel)
        line.push(*[b'{"number":%d}' % number for number in range(1, 6)])
        await line.until(5)
        assert [line.ended[lease] for lease in range(1, 6)] == [Completed(["@value", str(number)]) for number in range(1, 6)]

    asyncio.run(main())


def test_a_timeout_of_a_job_is_its_own() -> None:
    async def hurry(seconds: float) -> str:
        try:
            async with asyncio.timeout(0.02):
                await asyncio.sleep(seconds)
        except TimeoutError:
            return "late"
        return "in time"

    async def main() -> None:
        line = Line(hurry)
        line.push(b'{"seconds":0}', b'{"seconds":5}', b'{"seconds":0}', b'{"seconds":0.001}')
        await line.until(4)
        assert [line.ended[lease].fields[1] for lease in range(1, 5)] == ['"in time"', '"late"', '"in time"', '"in time"']  # type: ignore[union-attr]

    asyncio.run(main())


def test_a_job_that_is_cancelled_while_it_waits_may_clean_up_in_its_own_variables() -> None:
    cleaned.clear()

    async def linger() -> None:
        held_by.set("linger")
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)
            cleaned.append(held_by.get())

    async def main() -> None:
        line = Line(linger)
        line.push(b"{}")
        await asyncio.sleep(0.01)
        (job,) = line.slots.running
        job.broken_off = True
        assert job.runner is not None
        job.runner.cancel()
        await line.until(1)
        assert (line.ended[1], cleaned) == (Released(), ["linger"])

    asyncio.run(main())


def test_an_asyncio_task_that_others_cancel_before_it_begins_keeps_nothing_from_starting() -> None:
    async def main() -> None:
        line = Line(note)
        line.push(b"{}")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
        line.executor.go()  # the sweep of a worker pokes it again and again
        await line.until(1)

    asyncio.run(main())


def test_the_loop_gets_its_turn_beside_jobs_that_never_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "SLICE", 0.002)
    turns: list[int] = []

    async def burn() -> None:
        until = time.monotonic() + 0.001
        while time.monotonic() < until:
            pass

    async def main() -> None:
        line = Line(burn)
        line.push(*[b"{}"] * 40)
        while len(line.ended) < 40:
            await asyncio.sleep(0)
            turns.append(len(line.ended))
        assert len(set(turns)) >= 10, "in between, again and again"

    asyncio.run(main())


def test_what_can_be_awaited_and_is_no_coroutine_runs_too() -> None:
    class Later:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "done"

    async def other() -> Any:
        """Replaced below."""

    queue = queue_of(other)
    object.__setattr__(queue.tasks["other"], "fn", Later)
    assert run(queue, held(b"{}")) == Completed(["@value", '"done"'])


def test_stop_iteration_out_of_a_call_is_an_error_like_another() -> None:
    async def other() -> Any:
        """Replaced below."""

    queue = queue_of(other, retries=0)
    object.__setattr__(queue.tasks["other"], "fn", lambda: next(iter(())))
    outcome = run(queue, held(b"{}"))
    assert isinstance(outcome, Failed)
    assert outcome.error == "StopIteration"
