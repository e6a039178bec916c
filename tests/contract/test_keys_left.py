"""After a clean stop of all workers only the keys that the interface names are on the server, whatever was worked before."""

import fnmatch
import signal
import time
from pathlib import Path

import pytest
import redis

from contract.helpers import chute, push, result, working
from servers import Server, until

WITH_TTL = ("result:*", "counts:{queue:*}:*", "unique:*", "once:*")
FOR_EVER = ("queues", "tags:{queue:*}", "cancelled:*", "queue:*", "first:{*", "scheduled:{*", "dead:{*", "refused:{*", "cron:{*")


def not_named(client: redis.Redis) -> list[str]:
    """The keys that may not be there, or lack the TTL that they must have."""
    wrong = []
    for key in client.scan_iter():
        name = key.decode()
        escaped = name.replace("[", "?")
        if any(fnmatch.fnmatchcase(escaped, pattern) for pattern in WITH_TTL):
            if client.ttl(key) == -1:  # -2: it has gone meanwhile
                wrong.append(f"{name} has no TTL")
        elif not any(fnmatch.fnmatchcase(escaped, pattern) for pattern in FOR_EVER):
            wrong.append(name)
    return wrong


def everything(client: redis.Redis, path: Path) -> None:
    """Successes, failures, entries that are no jobs, one that waits to be run again, one without an id."""
    push(client, "outcomes", *[{"job_id": f"ok-{n}"} for n in range(300)], *["not json"] * 3)
    push(client, "outcomes", {"job_id": "boom", "@task": "gives_up", "path": str(path)})
    push(client, "outcomes", {"job_id": "again", "@task": "patient"})
    push(client, "outcomes", {"word": "no id"})
    push(client, "outcomes", {"job_id": "kept-for-a-second", "@result_ttl": 1}, {"job_id": "not-kept", "@result_ttl": 0})
    push(client, "single", {"job_id": "single", "word": "w"})
    for name in (*[f"ok-{n}" for n in range(300)], "boom", "single"):
        result(client, name)
    assert until(lambda: client.zcard("scheduled:{queue:outcomes}") == 1)


def test_only_what_is_named(each_server: Server, tmp_path: Path) -> None:
    client = each_server.client()
    with working(each_server, "outcomes", "outcomes", "single"):
        everything(client, tmp_path / "ran")
    assert not_named(client) == []
    there = {key.decode().split(":")[0] for key in client.scan_iter()}
    assert there - {"counts"} == {"queues", "tags", "result", "scheduled", "dead", "refused"}
    assert client.smembers("queues") == {b"outcomes", b"single"}
    assert not client.exists("result:not-kept")


def test_no_result_of_a_job_lives_longer_than_an_hour(server: Server, tmp_path: Path) -> None:
    client = server.client()
    with working(server, "outcomes", "outcomes", "single"):
        everything(client, tmp_path / "ran")
    assert all(client.ttl(key) == -2 or 0 <= client.ttl(key) <= 3600 for key in client.keys("result:*"))
    assert all(0 < client.ttl(key) <= 8 * 3600 for key in client.keys("counts:*"))
    assert until(lambda: not client.exists("result:kept-for-a-second"), 3)


def test_the_same_after_an_impatient_stop(server: Server, tmp_path: Path) -> None:
    client = server.client()
    with working(server, "tasks:jobs", "jobs", options=("--grace", "0")) as work:
        push(client, "jobs", *[{"job_id": f"long-{n}", "@task": "slow", "seconds": 60, "path": str(tmp_path / "ran")} for n in range(5)])
        assert until(lambda: (tmp_path / "ran").exists() and len((tmp_path / "ran").read_text().split()) == 5)
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
    assert not_named(client) == []
    assert client.llen("queue:jobs") == 5


def test_looking_leaves_nothing(server: Server) -> None:
    """Commands that only read make no key."""
    for words in (("stats", "jobs"), ("dead", "list", "jobs"), ("result", "nobody"), ("dead", "purge", "jobs", "--all", "--yes")):
        chute(*words, url=server.url)
    assert server.client().keys() == []


def test_a_thousand_jobs_leave_a_constant(server: Server) -> None:
    client = server.client()
    with working(server, "tasks:jobs", "jobs"):
        push(client, "jobs", *[{"job_id": f"n-{n}", "question": "?", "@result_ttl": 1} for n in range(1000)])
        assert until(lambda: client.llen("queue:jobs") == 0 and not client.keys("leases:*"))
    end = time.monotonic() + 5
    while client.keys("result:*") and time.monotonic() < end:
        time.sleep(0.05)
    assert len(client.keys()) <= 5


@pytest.mark.leaves("leases", "workers")
def test_a_worker_that_is_killed_leaves_its_leases_to_the_next(server: Server, tmp_path: Path) -> None:
    client = server.client()
    with working(server, "tasks:jobs", "jobs") as work:
        push(client, "jobs", {"job_id": "taken", "@task": "slow", "seconds": 0.5, "path": str(tmp_path / "ran")})
        assert until((tmp_path / "ran").exists)
        work.signal(signal.SIGKILL)
        work.wait()
    assert client.keys("leases:*")
    with working(server, "tasks:jobs", "jobs"):
        assert result(client, "taken", 15)["status"] == "completed"
    assert until(lambda: not_named(client) == [], 1), not_named(client)
