"""Who works a queue: what workers say, what they hold, and what is said of those that say nothing."""

import json

import pytest

from chute import connection, roster
from chute.connection import Endpoint
from chute.roster import Member, Running
from servers import Server

pytestmark = pytest.mark.leaves("workers", "leases")


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    return connection.endpoint(server.url)


def says(server: Server, worker: str, words: object, held: int) -> None:
    client = server.client()
    client.hset("workers:{queue:jobs}", worker, "7")
    if words is not None:
        client.set(f"info:{{queue:jobs}}:{worker}", words if isinstance(words, str) else json.dumps(words), ex=60)
    if held:
        client.hset(
            f"leases:{{queue:jobs}}:{worker}", mapping={str(1001 + n): f'{{"job_id": "j{n}", "@task": "answer"}}' for n in range(held)}
        )


def test_without_workers_there_is_nobody(server: Server, endpoint: Endpoint) -> None:
    assert roster.members(endpoint, "jobs") == []
    server.client().hset("workers:{queue:jobs}", "@paused", "1")
    assert roster.members(endpoint, "jobs") == []


def test_one_that_says_what_it_runs(server: Server, endpoint: Endpoint) -> None:
    now = server.client().time()[0]
    words = {
        "at": now,
        "host": "h",
        "pid": 5,
        "started": now - 100,
        "slots": 10,
        "count": 2,
        "running": [["a", "nap", now - 9, 1001], ["", "nap", now, 1003]],
    }
    says(server, "w", words, held=3)
    (member,) = roster.members(endpoint, "jobs")
    assert (member.queue, member.worker, member.host, member.pid, member.slots, member.running, member.held) == (
        "jobs",
        "w",
        "h",
        5,
        10,
        2,
        3,
    )
    assert member.age == pytest.approx(100, abs=5)
    assert [(job.job_id, job.task) for job in member.jobs] == [("a", "nap"), ("", "nap")]
    assert member.jobs[0].age == pytest.approx(9, abs=5)


def test_what_ended_since_is_not_running(server: Server, endpoint: Endpoint) -> None:
    named = [["a", "nap", 1, 1001], ["b", "nap", 1, 999], ["c", "nap", 1, 1002]]
    says(server, "w", {"count": 120, "running": named}, held=2)
    says(server, "v", {"count": 3, "running": named}, held=0)
    by_name = {member.worker: member for member in roster.members(endpoint, "jobs")}
    assert [job.job_id for job in by_name["w"].jobs] == ["a", "c"]
    assert (by_name["w"].running, by_name["w"].held) == (2, 2), "never more than it holds"
    assert (by_name["v"].running, by_name["v"].held, by_name["v"].jobs) == (0, 0, [])


@pytest.mark.parametrize("words", [None, "not json", "[]", '{"running": 5}', '{"running": [["a", "t", 1]]}', '{"pid": "x"}'])
def test_of_one_that_says_nothing_there_are_its_leases(server: Server, endpoint: Endpoint, words: object) -> None:
    says(server, "w", words, held=2)
    (member,) = roster.members(endpoint, "jobs")
    assert member == Member("jobs", "w", None, None, None, None, None, 2, member.jobs)
    assert sorted(member.jobs, key=lambda job: job.job_id) == [Running("j0", "answer", None), Running("j1", "answer", None)]


def test_a_lease_that_is_no_job_has_no_name(server: Server, endpoint: Endpoint) -> None:
    server.client().hset("workers:{queue:jobs}", "w", "7")
    server.client().hset("leases:{queue:jobs}:w", "1001", b"\xff")
    assert roster.members(endpoint, "jobs")[0].jobs == [Running("", "", None)]


def test_the_oldest_comes_first(server: Server, endpoint: Endpoint) -> None:
    for worker, started in (("young", 300), ("old", 100), ("middle", 200)):
        says(server, worker, {"started": started}, held=0)
    assert [member.worker for member in roster.members(endpoint, "jobs")] == ["old", "middle", "young"]
