"""What waits in a queue, decoded, and an assertion that says what is there instead."""

from datetime import date
from unittest.mock import ANY

import pytest

import chute
import chute.testing
from chute.testing import assert_enqueued, enqueued
from testing.tasks import Place, answer, jobs, visit, where


@pytest.fixture(autouse=True)
def _server(chute_server: str) -> None:
    pass


def test_jobs_come_in_their_order_as_their_task_will_get_them() -> None:
    answer.options(delay=60).enqueue("later")
    first = answer.options(headers={"who": "me"}).enqueue("What is RAG?")
    visit.enqueue(Place("Rome", date(2026, 1, 2)))
    jobs.push({"job_id": "job_7", "question": "pushed"})
    ready, scheduled = enqueued(jobs)[:3], enqueued(jobs)[3:]
    assert [(job.task, job.arguments) for job in ready] == [
        ("answer", {"question": "What is RAG?", "lang": "en"}),
        ("visit", {"place": Place("Rome", date(2026, 1, 2)), "tags": ()}),
        ("answer", {"question": "pushed", "lang": "en"}),
    ]
    assert (ready[0].job_id, ready[0].headers, ready[0].due_in) == (first.id, {"who": "me"}, 0)
    assert ready[2].job_id == "job_7"
    assert [(job.arguments["question"], 50 < job.due_in <= 60) for job in scheduled] == [("later", True)]
    assert len(enqueued(jobs)) == 4, "it only looks"


def test_jobs_of_tasks_that_are_not_known_here_and_what_is_no_job() -> None:
    elsewhere = chute.Queue("elsewhere")
    elsewhere.push({"job_id": "job_7", "question": "x", "@task": "far"})
    elsewhere.push({"question": "y"})
    [far, none] = enqueued(elsewhere)
    assert (far.job_id, far.task, far.arguments) == ("job_7", "far", {"question": "x"})
    assert (none.task, none.arguments) == ("", {"question": "y"})
    assert_enqueued(elsewhere, question="y")
    jobs.push({"qestion": "z"})
    assert enqueued(jobs)[0].arguments == {"qestion": "z"}


def test_entries_that_no_worker_takes_are_shown_too(chute_server: str) -> None:
    import redis

    with redis.Redis.from_url(chute_server) as client:
        client.lpush("queue:jobs", b"\xff")
    [entry] = enqueued(jobs)
    assert (entry.task, entry.arguments, entry.body) == ("", {}, b"\xff")
    with pytest.raises(AssertionError, match="xff"):
        assert_enqueued(jobs, question="x")


def test_it_finds_by_task_and_by_some_of_the_arguments() -> None:
    answer.enqueue("a")
    job = answer.enqueue("b", "fr")
    assert assert_enqueued(answer, question="b").job_id == job.id
    assert assert_enqueued(answer, lang="en").arguments["question"] == "a"
    assert assert_enqueued(jobs, lang="fr").job_id == job.id
    assert assert_enqueued(answer.options(delay=5), question=ANY).arguments["question"] == "a"
    with pytest.raises(AssertionError):
        assert_enqueued(where)


def test_arguments_are_the_same_when_their_json_is() -> None:
    visit.enqueue(Place("Rome", date(2026, 1, 2)), ("a", "b"))
    assert_enqueued(visit, place=Place("Rome", date(2026, 1, 2)), tags=["a", "b"])
    assert_enqueued(visit, place={"city": "Rome", "since": "2026-01-02"})
    with pytest.raises(AssertionError):
        assert_enqueued(visit, place=object())


def test_its_message_shows_what_is_there_the_most_similar_first() -> None:
    with pytest.raises(AssertionError, match="no job of task answer waits in queue jobs: it is empty"):
        assert_enqueued(answer)
    where.options(job_id="job_7").enqueue("job_7")
    answer.options(delay=60).enqueue("a", "fr")
    answer.enqueue("b", "en")
    with pytest.raises(AssertionError) as failed:
        assert_enqueued(answer, question="b", lang="de")
    lines = str(failed.value).splitlines()
    assert lines[0] == ("no job of task answer with question='b', lang='de' waits in queue jobs. There are 3, the most similar first:")
    assert lines[1] == "  answer(question='b', lang='en')   <- different: lang"
    assert lines[2].startswith("  answer(question='a', lang='fr') due in ")
    assert lines[2].endswith("<- different: question, lang")
    assert lines[3] == "  where(job_id='job_7')"


def test_a_slip_in_a_name_is_found() -> None:
    with pytest.raises(TypeError, match='takes no "qestion" - did you mean "question"'):
        assert_enqueued(answer, qestion="x")
    answer.enqueue("x")
    with pytest.raises(AssertionError, match='it has no "qestion" - did you mean "question"'):
        assert_enqueued(jobs, qestion="x")


def test_a_long_queue_is_not_listed_whole() -> None:
    jobs.enqueue_many(answer.bind(f"{n}") for n in range(13))
    with pytest.raises(AssertionError) as failed:
        assert_enqueued(answer, question="x")
    assert len(str(failed.value).splitlines()) == 12
    assert str(failed.value).endswith("and 3 more")
