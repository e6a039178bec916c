"""`chute stats`: the queues at a glance, for people and for programs."""

import json
import re
import time

import pytest

from contract.helpers import chute, lines, push, result, working
from servers import Server, until

SHAPE = {"queue", "depth", "running", "scheduled", "dead", "workers", "rate", "oldest_age", "paused"}


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


def test_a_paused_queue_is_marked(server: Server) -> None:
    client = server.client()
    client.sadd("queues", "jobs", "other")
    client.hset("workers:{queue:jobs}", "@paused", "1700000000000")
    assert [(row["queue"], row["paused"]) for row in lines(chute("stats", "--json", url=server.url).stdout)] == [
        ("jobs", True),
        ("other", False),
    ]
    (_, jobs, other) = chute("stats", url=server.url).stdout.splitlines()
    assert jobs.startswith("jobs (paused)  ")
    assert "paused" not in other


def test_a_narrow_terminal_cuts_nothing(server: Server) -> None:
    client = server.client()
    long = "a-queue-with-a-name-that-alone-fills-the-line-of-some-terminals-1"[:64]
    client.sadd("queues", "jobs", long)
    push(client, "jobs", *["{}"] * 1234)
    wide = [
        f"{'queue':64}  depth  running  scheduled  dead  workers   rate  oldest",
        f"{long}      0        0          0     0        0  0.0/s       -",
        f"{'jobs':64}  1,234        0          0     0        0  0.0/s       -",
    ]
    assert chute("stats", url=server.url, COLUMNS="200").stdout.splitlines() == wide
    assert chute("stats", url=server.url, COLUMNS="").stdout.splitlines() == wide, "no terminal, no end of a line"
    assert chute("stats", url=server.url, COLUMNS="60").stdout.splitlines() == [
        long,
        "  depth 0, running 0, scheduled 0, dead 0, workers 0,",
        "  rate 0.0/s, oldest -",
        "jobs",
        "  depth 1,234, running 0, scheduled 0, dead 0, workers 0,",
        "  rate 0.0/s, oldest -",
    ]
    assert chute("stats", "jobs", url=server.url, COLUMNS="80").stdout.splitlines()[1].startswith("jobs   1,234 ")


def test_no_sentence_of_the_lists_of_commands_is_cut() -> None:
    groups: tuple[tuple[str, ...], ...] = ((), ("dead",), ("server",))
    for words in groups:
        done = chute(*words, "--help", COLUMNS="80")
        commands = done.stdout.partition("Commands:\n")[2].splitlines()
        assert commands
        assert all(line.endswith((".", ").")) and not line.endswith("...") for line in commands), commands


def test_without_a_terminal_there_is_no_colour(server: Server) -> None:
    server.client().sadd("queues", "jobs")
    assert "\x1b" not in chute("stats", url=server.url, FORCE_COLOR="", TERM="xterm-256color").stdout


def test_a_wrong_name_and_no_server(server: Server) -> None:
    assert chute("stats", "a:b", url=server.url).returncode == 2
    assert chute("stats", "jobs", url="redis://127.0.0.1:1").returncode == 4
