"""`chute stats`: the queues at a glance, for people and for programs."""

import json
import re
import time

import pytest

from contract.helpers import chute, lines, push, result, working
from servers import Server, until

SHAPE = {"queue", "depth", "running", "scheduled", "dead", "workers", "rate", "oldest_age"}


def test_a_queue_that_nobody_knows(server: Server) -> None:
    done = chute("stats", "nobody", "--json", url=server.url)
    (row,) = lines(done.stdout)
    assert done.returncode == 0
    assert set(row) == SHAPE
    assert [row[name] for name in ("queue", "depth", "running", "scheduled", "dead", "workers")] == ["nobody", 0, 0, 0, 0, 0]
    assert row["oldest_age"] is None
    assert not server.client().keys()


def test_without_names_every_queue_that_was_ever_worked(server: Server) -> None:
    server.client().sadd("queues", "b", "a")
    done = chute("stats", "--json", url=server.url)
    assert sorted(row["queue"] for row in lines(done.stdout)) == ["a", "b"]
    table = chute("stats", url=server.url)
    assert table.returncode == 0
    assert re.search(r"^a\s", table.stdout, re.M)
    assert re.search(r"^b\s", table.stdout, re.M)


def test_no_queue_at_all(server: Server) -> None:
    done = chute("stats", "--json", url=server.url)
    assert (done.returncode, done.stdout) == (0, "")


def test_depth_is_the_length_of_the_list_and_ages_are_seconds(server: Server) -> None:
    client = server.client()
    at = round((time.time() - 90) * 1000)
    push(client, "jobs", json.dumps({"job_id": "old", "@at": at}), *["{}"] * 4)
    client.zadd("scheduled:{queue:jobs}", {"0000000000000001{}": (time.time() + 500) * 1000})
    (row,) = lines(chute("stats", "jobs", "--json", url=server.url).stdout)
    assert (row["depth"], row["scheduled"]) == (5, 1)
    assert 89 <= row["oldest_age"] <= 120


@pytest.mark.parametrize("body", ["not json", '{"question": "?"}', '{"@at": "x"}', "[]", b"\xff"])
def test_an_age_that_nobody_knows_is_null(server: Server, body: str | bytes) -> None:
    push(server.client(), "jobs", body)
    (row,) = lines(chute("stats", "jobs", "--json", url=server.url).stdout)
    assert (row["depth"], row["oldest_age"]) == (1, None)


@pytest.mark.leaves("leases", "workers")
def test_what_a_worker_does_shows(server: Server) -> None:
    client = server.client()
    with working(server, "tasks:jobs", "jobs", options=("--concurrency", "2", "--grace", "0")):
        push(
            client,
            "jobs",
            *[{"job_id": f"ok-{n}", "question": "?"} for n in range(60)],
            "not json",
            {"job_id": "boom", "@task": "boom", "word": "w"},
        )
        result(client, "boom")
        push(client, "jobs", *[{"job_id": f"slow-{n}", "@task": "slow", "seconds": 60} for n in range(2)])

        def row() -> dict[str, object]:
            (found,) = lines(chute("stats", "jobs", "--json", url=server.url).stdout)
            return found

        assert until(lambda: row()["running"] == 2)
        assert until(lambda: float(str(row()["rate"])) > 0)
        now = row()
        assert set(now) == SHAPE
        assert (now["depth"], now["dead"], now["workers"]) == (0, 2, 1)
        assert 0.3 < float(str(now["rate"])) < 70


def test_without_a_terminal_there_is_no_colour(server: Server) -> None:
    server.client().sadd("queues", "jobs")
    assert "\x1b" not in chute("stats", url=server.url, FORCE_COLOR="", TERM="xterm-256color").stdout


def test_a_wrong_name_and_no_server(server: Server) -> None:
    assert chute("stats", "a:b", url=server.url).returncode == 2
    assert chute("stats", "jobs", url="redis://127.0.0.1:1").returncode == 4
