"""How jobs end: retries, snoozes, timeouts, delays, every exception there is; and what a running job knows of itself."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import redis

import chute
from chute.errors import JobFailed
from contract import outcomes as tasks
from contract.helpers import Work, letters, push, result, working
from contract.helpers import chute as command
from servers import Server, until

QUEUE = "outcomes"


@dataclass
class Stage:
    server: Server
    work: Work
    client: redis.Redis


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Server("valkey") as server, working(server, "outcomes", QUEUE, "single", options=("--grace", "1")) as work:
        yield Stage(server, work, server.client())


@pytest.fixture(autouse=True)
def _server_of_callers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTE_URL", stage.server.url)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "runs")


def attempts(path: str) -> list[int]:
    return [int(line.split()[0]) for line in Path(path).read_text().splitlines()]


def moments(path: str) -> list[float]:
    return [float(line.split()[1]) for line in Path(path).read_text().splitlines()]


def failure(job: chute.Job[Any]) -> JobFailed:
    with pytest.raises(JobFailed) as caught:
        job.result(8)
    return caught.value


def letter_of(stage: Stage, job_id: str) -> dict[str, bytes]:
    (found,) = [letter for letter in letters(stage.client, "dead", QUEUE) if letter["job_id"] == job_id.encode()]
    return found


def test_a_failing_job_runs_once_and_its_retries(stage: Stage, path: str) -> None:
    job = tasks.always.enqueue(path)
    assert failure(job).error == "ValueError: again"
    assert attempts(path) == [1, 2, 3]
    letter = letter_of(stage, job.id)
    assert (letter["reason"], letter["attempt"], letter["task"]) == (b"failed", b"3", b"always")
    assert json.loads(letter["body"])["path"] == path


def test_by_default_a_job_runs_four_times(path: str) -> None:
    failure(tasks.by_default.enqueue(path))
    assert attempts(path) == [1, 2, 3, 4]


def test_a_retry_that_succeeds_is_a_success(stage: Stage, path: str) -> None:
    job = tasks.third_time.enqueue(path)
    assert job.result(10) == 3
    assert attempts(path) == [1, 2, 3]
    assert not [letter for letter in letters(stage.client, "dead", QUEUE) if letter["job_id"] == job.id.encode()]
    assert set(result(stage.client, job.id)) == {"status", "completed_at", "@queue", "@tag", "@value"}


def test_no_result_before_the_last_attempt(stage: Stage) -> None:
    job = tasks.patient.enqueue()
    assert until(lambda: stage.client.zcard("scheduled:{queue:outcomes}") == 1)
    assert job.status() == "pending"
    assert not stage.client.exists(f"result:{job.id}")
    stage.client.delete("scheduled:{queue:outcomes}")


@pytest.mark.parametrize(("before", "longest"), [(0, 100), (1, 200), (2, 300), (30, 300)])
def test_the_wait_is_random_up_to_a_bound_that_doubles(stage: Stage, before: int, longest: int) -> None:
    """`@attempt` says what went before; the due times of 400 jobs tell the waits."""
    key = "scheduled:{queue:outcomes}"
    started = now(stage.client)
    push(stage.client, QUEUE, *[{"job_id": f"wait-{n}", "@task": "patient", "@attempt": before} for n in range(400)])
    assert until(lambda: stage.client.zcard(key) >= 399)  # the shortest wait may be over
    ended = now(stage.client)
    scheduled = stage.client.zrange(key, 0, -1, withscores=True)
    stage.client.delete(key)
    earliest, latest = min(due for _, due in scheduled), max(due for _, due in scheduled)
    assert earliest >= started
    assert latest <= ended + longest * 1000
    assert earliest < ended + longest * 1000 * 0.1
    assert latest > started + longest * 1000 * 0.9
    attempts = Counter(json.loads(member[16:])["@attempt"] for member, _ in scheduled)
    assert attempts.keys() <= {before + 1, before + 2}
    assert attempts[before + 1] >= 390, attempts  # the shortest waits may be over, on a slow machine


def now(client: redis.Redis) -> float:
    seconds, micros = client.time()
    return seconds * 1000 + micros / 1000


@pytest.mark.parametrize(("kind", "runs", "reason"), [("retry", 6, "failed"), ("neither", 1, "failed"), ("give up", 1, "gave_up")])
def test_which_exceptions_are_tried_again(stage: Stage, path: str, kind: str, runs: int, reason: str) -> None:
    job = tasks.choosy.enqueue(kind, path)
    failure(job)
    assert len(attempts(path)) == runs
    assert letter_of(stage, job.id)["reason"].decode() == reason
    assert result(stage.client, job.id)["@reason"] == reason


def test_retry_after_so_many_seconds(stage: Stage, path: str) -> None:
    job = tasks.asks_again.enqueue(path, 0.5)
    failure(job)
    first, second = moments(path)
    assert 0.5 <= second - first < 3
    assert attempts(path) == [1, 2]
    assert letter_of(stage, job.id)["reason"] == b"failed"


def test_a_snooze_does_not_count(path: str) -> None:
    job = tasks.snoozes.enqueue(path, 4)
    assert job.result(10) == 1
    assert attempts(path) == [1] * 5


def test_giving_up_ends_it_at_once(stage: Stage, path: str) -> None:
    job = tasks.gives_up.enqueue(path)
    assert "no such account" in failure(job).error
    assert attempts(path) == [1]
    assert letter_of(stage, job.id)["reason"] == b"gave_up"


def test_a_timeout_is_a_failure_like_another(stage: Stage, path: str) -> None:
    job = tasks.overslept.enqueue(path)
    started = time.monotonic()
    assert "timeout" in failure(job).error.lower().replace(" ", "")
    assert time.monotonic() - started < 5
    assert (attempts(path), letter_of(stage, job.id)["reason"]) == ([1, 2], b"failed")


def test_a_task_that_refuses_to_be_cancelled_ends_all_the_same(path: str) -> None:
    job = tasks.stubborn.enqueue(path)
    assert until(lambda: job.status() in ("failed", "completed"), 5)
    assert len(attempts(path)) == 1, "it was cancelled at its deadline"


def test_a_plain_function_that_is_late_is_reported_at_its_deadline(stage: Stage, path: str) -> None:
    """A thread cannot be stopped. That it is late is said while it runs, and it holds up nobody."""
    job = tasks.overslept_in_thread.enqueue(path)
    assert until(lambda: [line for line in stage.work.stderr.splitlines() if "WARNING" in line and job.id in line and "timeout" in line])
    assert len(attempts(path)) == 1, "it was still running"
    assert tasks.main.enqueue("beside it").result(5) == "default beside it"
    assert until(lambda: job.status() in ("failed", "completed"), 5)
    assert len(attempts(path)) == 2


def test_no_timeout_is_no_timeout() -> None:
    assert tasks.unlimited.enqueue().result(10) == "done"


def test_a_delay_is_kept(stage: Stage) -> None:
    sent = time.time()
    job = tasks.timed.options(delay=0.6).enqueue()
    assert (job.status(), tasks.outcomes.depth()) == ("pending", 0)
    assert stage.client.zcard("scheduled:{queue:outcomes}") == 1
    assert 0.59 <= job.result(10) - sent < 2.5
    assert stage.client.zcard("scheduled:{queue:outcomes}") == 0


@pytest.mark.parametrize("zone", [timezone.utc, timezone(timedelta(hours=5, minutes=30))])  # noqa: UP017 - beside another zone
def test_a_time_is_kept_whatever_its_zone(zone: timezone) -> None:
    due = datetime.now(zone) + timedelta(seconds=0.5)
    ran = tasks.timed.options(at=due).enqueue().result(10)
    assert -0.01 <= ran - due.timestamp() < 2


def test_delayed_jobs_of_one_moment_all_run(stage: Stage) -> None:
    """Twins in one zset: the same bytes twice are two jobs."""
    at = datetime.now(timezone.utc) + timedelta(seconds=0.3)  # noqa: UP017 - says the same
    calls = [tasks.main.options(at=at, job_id=f"same-{n}").bind("x") for n in range(50)]
    assert [job.result(10) for job in tasks.outcomes.enqueue_many(calls)] == ["default x"] * 50
    assert stage.client.zcard("scheduled:{queue:outcomes}") == 0


def test_the_same_bytes_scheduled_twice_are_two_jobs(stage: Stage, path: str) -> None:
    push(stage.client, QUEUE, *[{"job_id": "twin", "@task": "asks_again", "path": path, "after": 0.2}] * 2)
    assert until(lambda: Path(path).exists() and len(attempts(path)) == 4)


def test_a_job_knows_itself_in_whatever_it_calls() -> None:
    sent = tasks.told.options(headers={"trace": "t-1", "größe": "x"}, job_id="self-1").enqueue()
    told = sent.result(10)
    assert told["here"] == told["in a task"] == told["in a thread"]
    tag = told["here"].pop("tag")
    assert told["here"] == {
        "job_id": "self-1",
        "queue": QUEUE,
        "task": "told",
        "attempt": 1,
        "headers": {"trace": "t-1", "größe": "x"},
    }
    in_thread = tasks.told_in_thread.enqueue().result(10)
    assert in_thread["task"] == "told-in-thread"
    assert in_thread["headers"] == {}
    assert in_thread["tag"] > tag >= 1


def test_a_parameter_job_id_receives_the_id(stage: Stage) -> None:
    job = tasks.knows_its_id.options(job_id="known-1").enqueue("known-1", "a")
    assert job.result(10) == "known-1 a"
    push(stage.client, QUEUE, {"job_id": "known-2", "@task": "knows_its_id"})
    assert json.loads(result(stage.client, "known-2")["@value"]) == "known-2 "


def test_arguments_of_every_kind(stage: Stage) -> None:
    assert tasks.by_keyword.enqueue(1).result(10) == [1, 2, None]
    assert tasks.by_keyword.enqueue(1, second=3, third=[4]).result(10) == [1, 3, [4]]
    assert tasks.takes_more.enqueue("w").result(10) == {"word": "w", "more": {}}
    assert tasks.takes_more.enqueue("w", a=1, b=2).result(10) == {"word": "w", "more": {"a": 1, "b": 2}}
    push(stage.client, QUEUE, {"job_id": "more-1", "@task": "takes_more", "word": "w", "größe": 3, "@v": 9})
    assert json.loads(result(stage.client, "more-1")["more"]) == {"größe": 3}
    push(stage.client, QUEUE, {"job_id": "more-2", "@task": "takes_more", "word": "w", "a": "no int"})
    assert result(stage.client, "more-2")["@reason"] == "bad_arguments"


def test_the_default_task_and_the_only_task(stage: Stage) -> None:
    push(stage.client, QUEUE, {"job_id": "default-1", "word": "a"})
    push(stage.client, "single", {"job_id": "only-1", "word": "b"})
    assert json.loads(result(stage.client, "default-1")["@value"]) == "default a"
    assert json.loads(result(stage.client, "only-1")["@value"]) == "b"


def test_plain_functions_run_side_by_side_in_threads() -> None:
    """Eight of them wait for each other: one after the other they would wait for ever."""
    jobs = tasks.outcomes.enqueue_many([tasks.eight_at_once.bind() for _ in range(8)])
    assert sorted(job.result(20) for job in jobs) == list(range(8))


def test_async_functions_run_side_by_side() -> None:
    jobs = tasks.outcomes.enqueue_many([tasks.fifty_at_once.bind() for _ in range(50)])
    assert sorted(job.result(20) for job in jobs) == list(range(50))


@pytest.mark.parametrize("task", [tasks.ends_async, tasks.ends_in_thread], ids=["async", "def"])
@pytest.mark.parametrize("how", tasks.ENDS)
def test_whatever_is_raised_only_that_job_fails(stage: Stage, task: Any, how: str) -> None:
    before = tasks.pid.enqueue().result(10)
    good = tasks.outcomes.enqueue_many([tasks.main.bind(str(n)) for n in range(5)])
    job = task.enqueue(how)
    more = tasks.outcomes.enqueue_many([tasks.main.bind(str(n)) for n in range(5)])
    error = failure(job).error
    assert [each.result(10) for each in (*good, *more)] == [f"default {n}" for n in (*range(5), *range(5))]
    assert stage.work.process.poll() is None
    assert tasks.pid.enqueue().result(10) == before
    assert letter_of(stage, job.id)["reason"] == b"failed"
    names = {"SystemExit 3": "SystemExit", "sys.exit": "SystemExit", "group": "BaseExceptionGroup"}
    assert names.get(how, how) in error


def test_a_task_that_cancels_itself_has_failed(stage: Stage) -> None:
    assert "CancelledError" in failure(tasks.cancels_itself.enqueue()).error
    assert stage.work.process.poll() is None


def test_a_dead_letter_put_back_runs_as_if_it_never_had(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "there"
    job = tasks.fails_until_told.enqueue(str(path))
    failure(job)
    letter = letter_of(stage, job.id)
    path.write_text("now")
    entry = f"dead/{letter['entry'].decode()}"
    done = command("dead", "requeue", QUEUE, entry, url=stage.server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert job.result(10) == "attempt 1"
    assert not [each for each in letters(stage.client, "dead", QUEUE) if each["job_id"] == job.id.encode()]
    assert "error" not in result(stage.client, job.id)


def test_nothing_is_left_running_after_all_this(stage: Stage) -> None:
    jobs = tasks.outcomes.enqueue_many([tasks.main.bind(str(n)) for n in random.sample(range(1000), 200)])
    assert all(job.result(10).startswith("default") for job in jobs)
    assert until(lambda: not stage.client.keys("leases:*"))
