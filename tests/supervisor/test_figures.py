"""What one `chute work` shows to Prometheus, and whether it says the truth of its health."""

import os
import signal
import time
from pathlib import Path

import pytest
import redis

from contract.helpers import Work, push, result
from scraping import base, get, scrape, value
from servers import Server, StartServer, until

APP = """
import asyncio, time
import chute

jobs = chute.Queue("jobs")


@jobs.task(default=True)
async def quick() -> None:
    pass


@jobs.task(retries=1, backoff=0)
async def slow(seconds: float) -> None:
    await asyncio.sleep(seconds)
    if chute.context().attempt == 1 and seconds > 0.3:
        raise RuntimeError("once more")


@jobs.task
async def block(seconds: float) -> None:
    time.sleep(seconds)
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_what_was_done_is_what_is_shown(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--metrics-port", "0", "--processes", "2", cwd=app) as work:
        url = base(work)
        push(client, "jobs", *[{"job_id": f"q{n}", "@at": int(time.time() * 1000) - 2000} for n in range(100)])
        push(client, "jobs", *[{"job_id": f"s{n}", "@task": "slow", "seconds": 0.2} for n in range(10)])
        push(client, "jobs", {"job_id": "r", "@task": "slow", "seconds": 0.4}, '{"job_id": "bad", "@task": "slow", "secs": 1}')
        push(client, "jobs", *[{"job_id": f"u{n}", "@task": f"unknown{n}"} for n in range(3)])
        for job in (*[f"q{n}" for n in range(100)], *[f"s{n}" for n in range(10)], "r", "bad", "u0", "u1", "u2"):
            result(client, job)

        def finished(task: str, outcome: str) -> float | None:
            return value(scrape(f"{url}/metrics"), "chute_jobs_finished_total", queue="jobs", task=task, outcome=outcome)

        assert until(lambda: finished("quick", "completed") == 100 and finished("slow", "completed") == 11, 5)
        series = scrape(f"{url}/metrics")
        assert finished("slow", "retry") == 1
        assert finished("slow", "refused") == 1
        assert finished("", "refused") == 3, "whoever pushes cannot make a series"
        assert value(series, "chute_jobs_claimed_total", queue="jobs") == 116
        assert value(series, "chute_job_duration_seconds_count", queue="jobs", task="slow") == 12
        total = value(series, "chute_job_duration_seconds_sum", queue="jobs", task="slow")
        assert total is not None
        assert 2.4 < total < 12
        assert value(series, "chute_job_duration_seconds_bucket", queue="jobs", task="slow", le="0.1") == 0
        assert value(series, "chute_job_wait_seconds_count", queue="jobs") == 112
        waited = value(series, "chute_job_wait_seconds_bucket", queue="jobs", le="1.0")
        assert waited == 12, "a hundred had been due for two seconds"
        assert until(lambda: value(scrape(f"{url}/metrics"), "chute_worker_slots", queue="jobs") == 200)
        assert value(series, "chute_jobs_running", queue="jobs") == 0
        assert value(series, "chute_leases_reclaimed_total", queue="jobs") == 0
        assert value(series, "chute_dead_letters_dropped_total", queue="jobs") == 0


def test_counters_only_grow_when_a_process_dies(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--metrics-port", "0", cwd=app) as work:
        url = base(work)

        def done() -> float:
            return value(scrape(f"{url}/metrics"), "chute_jobs_finished_total", queue="jobs", task="quick", outcome="completed") or 0

        push(client, "jobs", *[{"job_id": f"q{n}"} for n in range(50)])
        assert until(lambda: done() == 50)
        push(client, "jobs", {"job_id": "held", "@task": "slow", "seconds": 0.25})
        assert until(lambda: value(scrape(f"{url}/metrics"), "chute_jobs_claimed_total", queue="jobs") == 51)
        os.kill(work.children()[0], signal.SIGKILL)
        while not client.exists("result:held"):
            assert done() == 50
        push(client, "jobs", *[{"job_id": f"v{n}"} for n in range(50)])
        assert until(lambda: done() == 100)


def health(url: str) -> tuple[int, int]:
    return get(f"{url}/livez")[0], get(f"{url}/readyz")[0]


def test_a_frozen_server_is_seen_within_ten_seconds(start_server: StartServer, app: Path) -> None:
    own = start_server("valkey")
    assert own.process is not None
    with Work("app", own.url, "--metrics-port", "0", cwd=app, CHUTE_BEAT="5", CHUTE_DEAD_AFTER="30") as work:
        url = base(work)
        assert until(lambda: health(url) == (200, 200), 5)
        own.process.send_signal(signal.SIGSTOP)
        try:
            assert until(lambda: health(url) == (200, 503), 10)
        finally:
            own.process.send_signal(signal.SIGCONT)
        assert until(lambda: health(url) == (200, 200), 5)


def test_a_claim_that_is_refused_is_seen_though_beats_are_not(start_server: StartServer, app: Path) -> None:
    own = start_server("redis")
    client: redis.Redis = own.client()
    with Work("app", own.url, "--metrics-port", "0", cwd=app, CHUTE_BEAT="5", CHUTE_DEAD_AFTER="30") as work:
        url = base(work)
        assert until(lambda: health(url) == (200, 200), 5)
        client.execute_command("ACL", "SETUSER", "default", "-lrange", "-lmove")
        push(client, "jobs", {"job_id": "q"})
        assert until(lambda: health(url) == (200, 503), 10), work.stderr
        assert until(lambda: (value(scrape(f"{url}/metrics"), "chute_server_errors_total", kind="NOPERM") or 0) > 0), get(f"{url}/metrics")[
            1
        ]
        client.execute_command("ACL", "SETUSER", "default", "+@all")
        assert until(lambda: health(url) == (200, 200), 5)
        assert result(client, "q")["status"] == "completed"


def test_a_loop_that_comes_late_shows(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--metrics-port", "0", cwd=app) as work:
        url = base(work)
        push(client, "jobs", {"job_id": "b", "@task": "block", "seconds": 0.7})
        assert until(lambda: (value(scrape(f"{url}/metrics"), "chute_event_loop_lag_seconds") or 0) > 0.4)


def test_a_port_that_is_taken(server: Server, app: Path) -> None:
    with Work("app", server.url, "--metrics-port", "0", cwd=app) as work:
        port = base(work).rpartition(":")[2]
        with Work("app", server.url, "--metrics-port", port, cwd=app) as second:
            assert second.wait() == 2
            assert f"cannot listen at 127.0.0.1:{port}: Address already in use" in second.stderr
