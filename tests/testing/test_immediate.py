"""Inline mode: jobs run when they are enqueued, with everything converted as on a real way, and no server is there."""

import asyncio
import threading
from datetime import date
from typing import Any

import pytest

import chute
import chute.testing
from chute.errors import JobFailed, ResultUnavailable, ServerUnavailable
from testing.tasks import SEEN, Place, answer, both, client, flaky, hang, jobs, loop, nested, shared, slow, snooze, use, visit, where


def test_a_job_has_ended_when_enqueue_returns(chute_inline: chute.testing.Inline) -> None:
    job = answer.options(delay=3600, job_id="job_7").enqueue("What is RAG?")
    assert (job.status(), job.result()) == ("completed", {"answer": "What is RAG? (en)"})
    assert answer.job("job_7").result() == jobs.job("job_7").result() == job.result()
    assert jobs.push({"question": "x", "lang": "fr"}).result() == {"answer": "x (fr)"}
    assert [job.result()["answer"] for job in jobs.enqueue_many(answer.bind(q) for q in "ab")] == ["a (en)", "b (en)"]


def test_arguments_and_results_are_converted_as_on_a_real_way(chute_inline: chute.testing.Inline) -> None:
    given = Place("Rome", date(2026, 1, 2))
    assert visit.enqueue(given).result() == Place("ROME", date(2026, 1, 2))
    assert given.city == "Rome"
    wrong: Any = answer.enqueue
    with pytest.raises(TypeError, match="Nothing was sent"):
        wrong(42)


def test_the_same_jobs_end_the_same_inline_and_on_a_server() -> None:
    def ends() -> list[Any]:
        sent = [
            answer.enqueue("x"), visit.enqueue(Place("Rome", date(2026, 1, 2))), slow.enqueue(), jobs.push({"@task": "nobody"}),
            jobs.push({"qestion": 1}), answer.options(result_ttl=0).enqueue("y"), flaky.enqueue(9),
        ]  # fmt: skip
        for _ in range(3):
            drain()
        return [(job.status(), outcome(job)) for job in sent]

    def outcome(job: chute.Job[Any]) -> Any:
        try:
            return job.result(0)
        except JobFailed as failed:
            lines = failed.traceback.splitlines()
            return failed.error, lines[:2], lines[-1:]
        except ResultUnavailable as none:
            return type(none)

    with chute.testing.inline():
        drain: Any = lambda: None  # noqa: E731
        here = ends()
    with chute.testing.server():

        def drain() -> None:
            chute.testing.drain(jobs)
            chute.testing.advance(jobs, 300)

        assert ends() == here


def test_a_plain_function_runs_in_this_thread_with_its_context(chute_inline: chute.testing.Inline) -> None:
    job = where.options(job_id="job_7", headers={"who": "me"}).enqueue("job_7")
    assert job.result() == ["job_7", threading.current_thread().name, "me"]
    with pytest.raises(RuntimeError, match="no job is running"):
        chute.context()


def test_retries_run_at_once_up_to_the_policy(chute_inline: chute.testing.Inline) -> None:
    assert flaky.enqueue(3).result() == 3
    job = flaky.enqueue(4)
    assert SEEN == ["run 1", "run 2", "run 3"] * 2
    assert job.status() == "failed"
    with pytest.raises(JobFailed, match="ConnectionError: not yet") as failed:
        job.result()
    assert "immediate.py" not in failed.value.traceback


def test_a_timeout_is_a_failure_as_ever(chute_inline: chute.testing.Inline) -> None:
    with pytest.raises(JobFailed, match="TimeoutError: ran longer"):
        slow.enqueue().result()


def test_a_job_that_snoozes_for_ever_is_an_error(chute_inline: chute.testing.Inline) -> None:
    with pytest.raises(RuntimeError, match="nothing else happens meanwhile"):
        snooze.enqueue()


def test_jobs_may_enqueue_jobs(chute_inline: chute.testing.Inline) -> None:
    assert nested.enqueue(40).result() == 40
    assert both.enqueue("x").result() == "x (en), x (fr)"


def test_an_unknown_job_is_pending_and_nobody_waits_for_it(chute_inline: chute.testing.Inline) -> None:
    job = answer.job("job_7")
    assert job.status() == "pending"
    with pytest.raises(TimeoutError):
        job.result(timeout=3600)
    answer.options(job_id="job_7").enqueue("x")
    assert job.status() == "completed"


def test_there_is_no_server(chute_inline: chute.testing.Inline) -> None:
    for ask in (jobs.depth, lambda: chute.testing.enqueued(jobs)):
        with pytest.raises(ServerUnavailable, match=r"chute\.testing\.inline\(\)"):
            ask()
    with pytest.raises(RuntimeError, match="nothing to drain"):
        chute.testing.drain(jobs)


def test_in_asyncio_code_tasks_run_on_the_running_loop() -> None:
    async def work() -> list[Any]:
        async with chute.testing.inline():
            running = id(asyncio.get_running_loop())
            assert await (await loop.aenqueue()).aresult() == running
            assert loop.enqueue().result() != running
            job, plain = await both.aenqueue("x"), await where.aenqueue("job_7")
            assert await job.astatus() == "completed"
            sent = await jobs.aenqueue_many([answer.bind("y")])
            pushed = await jobs.apush({"question": "z"})
            return [await job.aresult(), await plain.aresult(), *await chute.gather(*sent, pushed)]

    first, second, *more = asyncio.run(work())
    assert (first, second[1]) == ("x (en), x (fr)", threading.current_thread().name)
    assert [each["answer"] for each in more] == ["y (en)", "z (en)"]


def test_a_cancelled_caller_takes_its_job_along() -> None:
    async def work() -> None:
        with chute.testing.inline(), pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await hang.aenqueue()
        assert SEEN == ["ended"]

    asyncio.run(work())


def test_resources_are_open_from_the_first_job_to_the_end_of_the_block() -> None:
    with chute.testing.inline():
        assert SEEN == []
        assert use.enqueue().result() == use.enqueue().result() == ["a pool", "a client"]
    opened, closed = ["open pool", "open client"], ["close client", "close pool"]
    assert opened + ["run"] * 2 + closed == SEEN

    async def work() -> None:
        async with chute.testing.inline():
            await use.aenqueue()

    SEEN.clear()
    asyncio.run(work())
    assert [*opened, "run", *closed] == SEEN
    SEEN.clear()
    with chute.testing.inline(), client.override("another"):
        assert use.enqueue().result() == ["a pool", "another"]
    assert SEEN == ["open pool", "run", "close pool"]
    assert shared.resources


def test_threads_may_enqueue_at_the_same_time(chute_inline: chute.testing.Inline) -> None:
    results: list[str] = []
    threads = [threading.Thread(target=lambda n=n: results.append(answer.enqueue(f"{n}").result()["answer"])) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == [f"{n} (en)" for n in range(8)]


def test_what_was_before_holds_again_after_the_block() -> None:
    with chute.testing.server():
        with chute.testing.inline():
            job = answer.enqueue("inline")
            with chute.testing.inline():
                assert answer.job(job.id).status() == "pending"
        assert job.result() == {"answer": "inline (en)"}
        assert answer.enqueue("real").status() == "pending"
