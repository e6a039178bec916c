"""A worker for as long as there is work, and what it says that it did."""

import asyncio
import threading

import pytest

import chute
import chute.testing
from chute.testing import Drained
from testing.tasks import SEEN, answer, flaky, jobs, shared, use, where


def test_it_runs_what_is_ready_and_counts_what_came_of_it() -> None:
    with chute.testing.server():
        good = [answer.enqueue(f"{n}") for n in range(3)]
        bad = flaky.enqueue(9)
        jobs.push({"@task": "nobody"})
        answer.options(delay=60).enqueue("later")
        drained = chute.testing.drain(jobs)
        assert drained == Drained(completed=3, failed=0, again=1, refused=1)
        assert drained.ran == 4
        assert [job.result(0)["answer"] for job in good] == ["0 (en)", "1 (en)", "2 (en)"]
        assert bad.status() == "pending"
        assert len(chute.testing.enqueued(jobs)) == 2
        assert chute.testing.drain(jobs) == Drained()


def test_it_works_several_queues_and_opens_what_they_share() -> None:
    with chute.testing.server():
        job, _ = use.enqueue(), answer.enqueue("x")
        assert chute.testing.drain(jobs, shared).completed == 2
        assert job.result(0) == ["a pool", "a client"]
    assert SEEN == ["open pool", "open client", "run", "close client", "close pool"]


def test_in_another_thread() -> None:
    done: list[Drained] = []
    with chute.testing.server():
        where.enqueue("job_7")
        thread = threading.Thread(target=lambda: done.append(chute.testing.drain(jobs)))
        thread.start()
        thread.join()
    assert done == [Drained(completed=1)]


def test_in_asyncio_code_it_names_the_other() -> None:
    async def work() -> Drained:
        with pytest.raises(RuntimeError, match=r"await chute\.testing\.adrain"):
            chute.testing.drain(jobs)
        async with chute.testing.server():
            await answer.aenqueue("x")
            return await chute.testing.adrain(jobs)

    assert asyncio.run(work()).completed == 1
