"""Nobody waits for a delay or a retry."""

from datetime import timedelta

import pytest

import chute.testing
from chute.testing import Drained
from testing.tasks import SEEN, answer, flaky, jobs


def test_what_falls_due_is_ready_at_once_and_in_its_order() -> None:
    with chute.testing.server():
        for delay in (3600, 60, 61):
            answer.options(delay=delay).enqueue(f"{delay}")
        assert chute.testing.advance(jobs, 59) == 0
        assert chute.testing.drain(jobs) == Drained()
        assert chute.testing.advance(jobs, timedelta(seconds=2)) == 2
        ready, later = chute.testing.enqueued(jobs)[:2], chute.testing.enqueued(jobs)[2]
        assert [(job.arguments["question"], job.due_in) for job in ready] == [("60", 0), ("61", 0)]
        assert 3500 < later.due_in <= 3600 - 61
        assert chute.testing.drain(jobs).completed == 2


def test_retries_run_after_their_wait_has_passed() -> None:
    with chute.testing.server():
        job = flaky.enqueue(3)
        for drained in (Drained(again=1), Drained(again=1), Drained(completed=1)):
            chute.testing.advance(jobs, 120)
            assert chute.testing.drain(jobs) == drained
        assert job.result(0) == 3
    assert SEEN == ["run 1", "run 2", "run 3"]


def test_thousands_of_jobs() -> None:
    with chute.testing.server():
        jobs.enqueue_many(answer.options(delay=60).bind(f"{n}") for n in range(2500))
        assert chute.testing.advance(jobs, 60) == 2500
        assert [job.arguments["question"] for job in chute.testing.enqueued(jobs)] == [f"{n}" for n in range(2500)]


def test_no_way_back() -> None:
    with chute.testing.server(), pytest.raises(ValueError, match="0 or more"):
        chute.testing.advance(jobs, -1)
