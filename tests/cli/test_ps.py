"""`chute ps`: the workers and what they run, for people and for programs."""

import socket

import pytest

from contract.helpers import chute, lines, push, result, working
from servers import Server, until

SHAPE = {"queue", "worker", "host", "pid", "age", "slots", "running", "held", "jobs"}


def rows(server: Server, *queues: str) -> list[dict[str, object]]:
    return lines(chute("ps", *queues, "--json", url=server.url).stdout)


def test_nobody(server: Server) -> None:
    done = chute("ps", "jobs", url=server.url)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no worker works queue jobs" in done.stderr
    assert (chute("ps", "--json", url=server.url).stdout, chute("ps", url=server.url).returncode) == ("", 0)


def test_a_worker_and_what_it_runs(server: Server) -> None:
    client = server.client()
    with working(server, "tasks", "jobs", "alone", options=("--concurrency", "7", "--grace", "0")) as work:
        push(client, "jobs", {"job_id": "long", "@task": "slow", "seconds": 60})
        assert until(lambda: any(row["running"] == 1 for row in rows(server)))
        (row,) = rows(server, "jobs")
        assert set(row) == SHAPE
        assert (row["queue"], row["host"], row["slots"], row["running"], row["held"]) == ("jobs", socket.gethostname(), 7, 1, 1)
        assert row["pid"] == work.children()[0]
        (job,) = row["jobs"]  # type: ignore[misc]
        assert (job["job_id"], job["task"]) == ("long", "slow")
        assert 0 <= job["age"] <= float(str(row["age"])) < 60
        assert [each["queue"] for each in rows(server)] == ["alone", "jobs"]
        table = chute("ps", url=server.url).stdout
        assert table.splitlines()[0].split() == ["worker", "queue", "host", "pid", "age", "slots", "running", "held"]
        assert any(line.startswith(f"long  slow  jobs   {str(row['worker'])[:8]}  ") for line in table.splitlines()), table
        assert all(len(line) <= 60 for line in chute("ps", url=server.url, COLUMNS="60").stdout.splitlines())
        client.delete("queue:jobs")
    client.delete("queue:jobs")
    assert rows(server) == []


@pytest.mark.leaves("workers", "leases")
def test_a_worker_that_does_not_say_what_it_runs(server: Server) -> None:
    client = server.client()
    client.hset("workers:{queue:jobs}", "a" * 32, "7")
    client.hset(f"leases:{{queue:jobs}}:{'a' * 32}", mapping={"1001": '{"job_id": "x", "@task": "t"}', "1002": "{}"})
    (row,) = rows(server, "jobs")
    assert (row["host"], row["running"], row["held"]) == (None, None, 2)
    table = chute("ps", "jobs", url=server.url).stdout.splitlines()
    assert table[1].split() == ["aaaaaaaa", "jobs", "-", "-", "-", "-", "-", "2"]
    assert sorted(line.split() for line in table[4:]) == [["(no", "id)", "-", "jobs", "aaaaaaaa", "-"], ["x", "t", "jobs", "aaaaaaaa", "-"]]


def test_what_is_done_is_not_shown(server: Server) -> None:
    with working(server, "tasks:jobs", "jobs"):
        push(server.client(), "jobs", {"job_id": "quick", "question": "?"})
        result(server.client(), "quick")
        assert until(lambda: [row["held"] for row in rows(server)] == [0])
        assert "quick" not in chute("ps", url=server.url).stdout


def test_a_wrong_name_and_no_server(server: Server) -> None:
    assert chute("ps", "a:b", url=server.url).returncode == 2
    assert chute("ps", "jobs", url="redis://127.0.0.1:1").returncode == 4
