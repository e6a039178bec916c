"""Who is stuck: killed past the timeout, reported before, and never taken for dead while busy."""

import json
import signal
import time
from pathlib import Path

import pytest

from contract.helpers import Work, push, result
from servers import Server, until

APP = """
import asyncio, json, re, time
import chute

jobs = chute.Queue("jobs")


def note(what):
    with open("ran", "a") as file:
        print(what, time.monotonic(), file=file, flush=True)


@jobs.task(timeout=1, retries=0)
async def spin() -> None:
    note("spin")
    while True:
        pass


@jobs.task(timeout=1, retries=1, backoff=0)
def spin_in_thread() -> None:
    note("spin_in_thread")
    while chute.context().attempt == 1:
        pass


@jobs.task(timeout=1, give_up_on=TimeoutError)
def hang() -> None:
    note("hang")
    time.sleep(60)


@jobs.task
async def neighbour(seconds: float) -> None:
    note("neighbour")
    await asyncio.sleep(seconds)


@jobs.task(timeout=None)
async def block(seconds: float) -> None:
    note("block")
    time.sleep(seconds)
"""

CLOSES = """

@jobs.resource
async def pool():
    yield None
    {how}(6.5)
    note("closed")
"""


@pytest.fixture
def work(server: Server, tmp_path: Path) -> Work:
    (tmp_path / "app.py").write_text(APP)
    return Work("app", server.url, cwd=tmp_path)


def notes(folder: Path, what: str) -> list[float]:
    path = folder / "ran"
    return [float(at) for kind, at in map(str.split, path.read_text().splitlines()) if kind == what] if path.exists() else []


@pytest.mark.parametrize(("task", "reason", "runs"), [("spin", "failed", 1), ("hang", "gave_up", 1)])
def test_what_nothing_else_stops_is_killed_five_seconds_past_its_timeout(
    server: Server, tmp_path: Path, work: Work, task: str, reason: str, runs: int
) -> None:
    client = server.client()
    with work:
        push(client, "jobs", {"job_id": "n", "@task": "neighbour", "seconds": 0.2}, {"job_id": "s", "@task": task})
        assert until(lambda: bool(notes(tmp_path, task)), 15)
        end = result(client, "s", 15)
        took = time.monotonic() - notes(tmp_path, task)[0]
        assert 5.9 < took < 8
        assert end["error"] == f"TimeoutError: ran longer than 1 s (the timeout of task {task})"
        assert end["@reason"] == reason
        assert "killed: 5 s past its timeout nothing else stops: job s of task " + task in work.stderr
        assert result(client, "n")["status"] == "completed"
        push(client, "jobs", {"job_id": "after", "@task": "neighbour", "seconds": 0})
        assert result(client, "after")["status"] == "completed"
        assert len(notes(tmp_path, task)) == runs


def test_its_neighbours_go_back_uncharged_and_it_runs_again_if_it_may(server: Server, tmp_path: Path, work: Work) -> None:
    client = server.client()
    with work:
        push(client, "jobs", {"job_id": "s", "@task": "spin_in_thread"}, {"job_id": "n", "@task": "neighbour", "seconds": 9})
        assert until(lambda: bool(notes(tmp_path, "neighbour")), 15)
        assert until(lambda: len(notes(tmp_path, "neighbour")) == 2, 15)
        (held,) = client.scan_iter("leases:*")
        assert until(lambda: client.hgetall("result:s").get(b"status") == b"completed")
        bodies = [json.loads(body) for body in client.hvals(held)]
        assert bodies == [{"job_id": "n", "@task": "neighbour", "seconds": 9}]
    assert len(notes(tmp_path, "spin_in_thread")) == 2


def test_while_a_job_cannot_be_stopped_nothing_new_is_begun_beside_it(server: Server, tmp_path: Path, work: Work) -> None:
    """It would only be broken off with the process."""
    client = server.client()
    with work:
        push(client, "jobs", {"job_id": "h", "@task": "hang"})
        assert until(lambda: "is past its timeout" in work.stderr, 15)
        assert "if it does not end, its process is killed" in work.stderr
        time.sleep(1)
        pushed = time.monotonic()
        push(client, "jobs", *[{"job_id": f"n{n}", "@task": "neighbour", "seconds": 0} for n in range(20)])
        for n in range(20):
            assert result(client, f"n{n}", 15)["status"] == "completed"
        assert min(notes(tmp_path, "neighbour")) - pushed > 1


def test_a_task_without_a_timeout_may_block_for_as_long_as_it_likes(server: Server, tmp_path: Path, work: Work) -> None:
    client = server.client()
    with work, Work("app", server.url, cwd=tmp_path):
        push(client, "jobs", {"job_id": "b", "@task": "block", "seconds": 4})
        assert result(client, "b", 20)["status"] == "completed"
        assert until(lambda: "is back after 4." in work.stderr or len(notes(tmp_path, "block")) == 1)
        assert client.hlen("workers:{queue:jobs}") == 2
    assert len(notes(tmp_path, "block")) == 1


@pytest.mark.parametrize("how", ["await asyncio.sleep", "time.sleep"])
def test_who_takes_time_to_close_is_not_taken_for_stuck(server: Server, tmp_path: Path, how: str) -> None:
    (tmp_path / "app.py").write_text(APP + CLOSES.replace("{how}", how))
    with Work("app", server.url, cwd=tmp_path) as work:
        work.ready(server.client(), "jobs")
        work.signal(signal.SIGTERM)
        assert work.wait(20) == 0
        assert notes(tmp_path, "closed")
        assert "killed" not in work.stderr


def test_when_what_was_held_cannot_be_settled_others_take_it_over(server: Server, tmp_path: Path, work: Work) -> None:
    """Somebody has written into the lease meanwhile, so that the job names a task that there is not."""
    client = server.client()
    with work:
        push(client, "jobs", {"job_id": "s", "@task": "spin"})
        assert until(lambda: bool(notes(tmp_path, "spin")), 15)
        (leases,) = client.scan_iter("leases:*")
        (lease,) = client.hkeys(leases)
        client.hset(leases, lease, '{"job_id": "s", "@task": "nothing"}')
        assert result(client, "s", 20)["@reason"] == "unknown_task"
        assert "could not all be given back; it is taken over as that of a stranger" in work.stderr
        assert until(lambda: not client.keys("leases:*"))
