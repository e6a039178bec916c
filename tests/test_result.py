"""A job in its caller's hands: status, result, the errors that stand for one, and many of them at once."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest

import chute
from chute.errors import JobCancelled, JobExpired, JobFailed, ResultUnavailable
from servers import Server

AT = "2024-01-15T10:30:00Z"


def number(n: int = 0) -> int:
    return n


def store(server: Server, job_id: str, status: str = "completed", **fields: str) -> None:
    """A result as the contract has it."""
    server.client().hset(f"result:{job_id}", mapping={"status": status, "completed_at": AT, "@queue": "jobs", "@tag": "1", **fields})
    server.client().expire(f"result:{job_id}", 3600)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """In a new event loop, closed as a program should."""

    async def closed() -> Any:
        try:
            return await coroutine
        finally:
            await chute.aclose()

    return asyncio.run(closed())


@pytest.fixture
def jobs(server: Server) -> chute.Queue:
    return chute.Queue("jobs", url=server.url)


@pytest.mark.parametrize("status", ["running", "completed", "failed", "cancelled", "expired"])
def test_status(jobs: chute.Queue, server: Server, status: str) -> None:
    job = jobs.job("r")
    assert job.status() == run(job.astatus()) == "pending"
    store(server, "r", status)
    assert job.status() == run(job.astatus()) == status


def test_a_result_is_what_json_gives_back(jobs: chute.Queue, server: Server) -> None:
    store(server, "r", answer="a", n="[1, null]", **{"@json": '["n"]'})
    assert jobs.job("r").result(1) == run(jobs.job("r").aresult(1)) == {"answer": "a", "n": [1, None]}
    store(server, "v", **{"@value": "18446744073709551617"})
    assert jobs.job("v").result() == 2**64 + 1


def test_a_result_stays_in_hand_when_the_server_has_dropped_it(jobs: chute.Queue, server: Server) -> None:
    store(server, "r", **{"@value": "1"})
    job = jobs.job("r")
    assert job.result(1) == 1
    server.client().delete("result:r")
    assert job.result(1) == 1


def test_a_failure_raises_what_is_known(jobs: chute.Queue, server: Server) -> None:
    store(server, "r", "failed", error="ValueError: no", **{"@traceback": "Traceback: here", "@reason": "failed"})
    with pytest.raises(JobFailed, match="ValueError: no") as caught:
        jobs.job("r").result(1)
    assert (caught.value.job_id, caught.value.error, caught.value.traceback) == ("r", "ValueError: no", "Traceback: here")
    with pytest.raises(JobFailed):
        run(jobs.job("r").aresult(1))


@pytest.mark.parametrize(("status", "kind"), [("cancelled", JobCancelled), ("expired", JobExpired)])
def test_other_ends(jobs: chute.Queue, server: Server, status: str, kind: type[Exception]) -> None:
    store(server, "r", status, error="said why")
    with pytest.raises(kind, match="r"):
        jobs.job("r").result(1)


def test_a_result_that_could_not_be_stored(jobs: chute.Queue, server: Server) -> None:
    store(server, "r", **{"@result_error": "NaN has no JSON"})
    with pytest.raises(ResultUnavailable, match="NaN"):
        jobs.job("r").result(1)


def test_nothing_is_waited_for_where_nothing_is_kept(jobs: chute.Queue) -> None:
    task = jobs.task(number)
    began = time.monotonic()
    with pytest.raises(ResultUnavailable):
        task.options(result_ttl=0).enqueue(1).result()
    with pytest.raises(ResultUnavailable):
        run(jobs.enqueue_many([task.options(result_ttl=0).bind(1)])[0].aresult())
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("seconds", [0, 0.2])
def test_time_is_up(jobs: chute.Queue, seconds: float) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        jobs.job("nobody").result(seconds)
    with pytest.raises(TimeoutError):
        run(jobs.job("nobody").aresult(timeout=seconds))
    assert 2 * seconds <= time.monotonic() - began < 2 * seconds + 2


@pytest.mark.leaves("workers")
def test_a_wait_in_vain_says_whether_somebody_works_the_queue(jobs: chute.Queue, server: Server) -> None:
    def said(job: chute.Job[Any], timeout: Any) -> str:
        with pytest.raises(TimeoutError) as caught:
            job.result(timeout)
        with pytest.raises(TimeoutError) as later:
            run(job.aresult(timeout))
        assert str(later.value) == str(caught.value)
        return str(caught.value)

    job = jobs.push({"job_id": "j"})
    server.client().hset("workers:{queue:jobs}", "@paused", "1")
    nobody = "no worker works queue jobs (1 ready). Start one: chute work MODULE; what is ready is kept"
    assert said(job, timedelta(seconds=0.1)) == f"job j has no result after 0.1 s: {nobody}"
    goes_on = "It goes on; ask again, or see: chute stats jobs"
    assert said(job, 0) == f"job j has no result after 0 s. {goes_on}", "who only looks is not kept waiting for more"
    server.client().hset("workers:{queue:jobs}", "one", "1")
    assert said(job, 0.1) == f"job j has no result after 0.1 s. {goes_on}"


def test_no_time_is_enough_for_what_is_there(jobs: chute.Queue, server: Server) -> None:
    store(server, "r", **{"@value": "1"})
    assert jobs.job("r").result(0) == 1
    assert run(jobs.job("r").aresult(0)) == 1


def test_wrong_times(jobs: chute.Queue) -> None:
    for wrong in (-1, float("nan"), "x"):
        with pytest.raises((ValueError, TypeError)):
            jobs.job("r").result(wrong)  # type: ignore[arg-type]


def test_gather_keeps_the_order_and_raises_the_first_error(jobs: chute.Queue, server: Server) -> None:
    for n in range(50):
        store(server, f"g{n}", **{"@value": str(n)})
    store(server, "bad", "failed", error="ValueError: no")
    handles = [jobs.job(f"g{n}") for n in reversed(range(50))]

    async def all_of_them() -> None:
        assert await chute.gather(*handles, timeout=5) == list(reversed(range(50)))
        assert await chute.gather() == []
        with pytest.raises(JobFailed):
            await chute.gather(*handles, jobs.job("bad"), jobs.job("nobody"), timeout=30)
        with pytest.raises(TimeoutError):
            await chute.gather(*handles, jobs.job("nobody"), timeout=0.2)

    run(all_of_them())


def test_as_completed_gives_them_as_they_end_however_they_end(jobs: chute.Queue, server: Server) -> None:
    store(server, "first", **{"@value": '"first"'})

    async def in_their_order() -> list[str]:
        ended = []
        client = server.client()
        async for job in chute.as_completed([jobs.job(name) for name in ("third", "second", "first")], timeout=10):
            ended.append(job.id)
            if job.id == "first":
                client.hset("result:second", mapping={"status": "failed", "error": "ValueError: no"})
            elif job.id == "second":
                with pytest.raises(JobFailed):
                    await job.aresult(1)
                client.hset("result:third", mapping={"status": "completed", "@value": "3"})
        return ended

    assert run(in_their_order()) == ["first", "second", "third"]
    server.client().flushall()


def test_as_completed_ends_when_time_is_up(jobs: chute.Queue, server: Server) -> None:
    store(server, "first", **{"@value": "1"})

    found = []

    async def look() -> None:
        async for job in chute.as_completed([jobs.job("nobody"), jobs.job("first")], timeout=0.3):
            found.append(job.id)

    with pytest.raises(TimeoutError):
        run(look())
    assert found == ["first"]


def test_who_waits_for_what_are_no_jobs_is_told(jobs: chute.Queue) -> None:
    some = [jobs.job("a")]
    wrong: Any = chute.gather
    with pytest.raises(TypeError, match=r"gather\(\*jobs\) takes jobs, .*, not list"):
        run(wrong(some))

    async def first(given: Any) -> None:
        await anext(chute.as_completed(given))

    with pytest.raises(TypeError, match=r"as_completed\(jobs\) takes jobs, and this is one of type Job"):
        run(first(some[0]))
    with pytest.raises(TypeError, match=r"as_completed\(jobs\) takes jobs, .*, not str"):
        run(first([*some, "b"]))


def test_a_job_is_not_awaited_and_the_error_says_what_is(jobs: chute.Queue) -> None:
    untyped: Any = jobs

    async def push() -> None:
        await untyped.push({"job_id": "j"})

    says = "job j was sent and cannot be awaited: in async code enqueue with `await task.aenqueue(...)`, and wait for the result with `await job.aresult()`"
    with pytest.raises(TypeError) as caught:
        run(push())
    assert str(caught.value) == says
    with pytest.raises(TypeError, match="cannot be awaited"):
        run(asyncio.wait_for(untyped.job("j"), 1))
    assert jobs.depth() == 1


def test_a_notebook_shows_what_was_heard_last_and_asks_nobody(jobs: chute.Queue, server: Server) -> None:
    job, nowhere = jobs.job("r"), chute.Queue("jobs", url="unix:///nowhere/at/all").job("r")
    assert (
        nowhere._repr_html_() == job._repr_html_() == "<div>chute.Job <code>r</code> in queue <code>jobs</code>: <b>not asked yet</b></div>"
    )
    job.status()
    store(server, "r", "failed", error="ValueError: no")
    assert "<b>pending</b>" in job._repr_html_()
    run(job.astatus())
    assert "<b>failed</b>" in job._repr_html_()
    store(server, "v", **{"@value": "1"})
    for told in (jobs.job("v"), other := jobs.job("v")):
        run(told.aresult(1)) if told is other else told.result(1)
        assert "<b>completed</b>" in told._repr_html_()


def test_a_notebook_shows_no_markup_of_an_id_or_a_status(jobs: chute.Queue, server: Server) -> None:
    job = jobs.job("""<img/src=x&"'>""")
    store(server, job.id, "<script>")
    job.status()
    assert job._repr_html_() == (
        "<div>chute.Job <code>&lt;img/src=x&amp;&quot;&#39;&gt;</code> in queue <code>jobs</code>: <b>&lt;script&gt;</b></div>"
    )


def test_a_handle_in_another_process(jobs: chute.Queue, server: Server) -> None:
    store(server, "r", **{"@value": '"from there"'})
    program = "import chute, sys; print(chute.Queue('jobs', url=sys.argv[1]).job('r').result(timeout=5))"
    done = subprocess.run([sys.executable, "-c", program, server.url], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.stderr) == ("from there\n", "")


def test_the_whole_way_with_a_worker_in_the_same_program(jobs: chute.Queue, server: Server) -> None:
    task = jobs.task(number)

    async def here() -> list[int]:
        async with chute.Worker(jobs):
            sent = await jobs.aenqueue_many([task.bind(n) for n in range(100)])
            return await chute.gather(*sent, timeout=10)

    assert run(here()) == list(range(100))
    assert not server.client().keys("workers:*")
    assert not server.client().keys("leases:*")
