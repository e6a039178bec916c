"""`chute bench`: figures come, the user's queue is left alone, and nothing stays behind, however it ends."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from contract.helpers import COMMAND, chute, environment, push
from servers import Server, StartServer, until

APP = """
import asyncio
import time

import chute

jobs = chute.Queue("jobs")


@jobs.task
async def answer(question: str, wait: float = 0.0) -> str:
    await asyncio.sleep(wait)
    if chute.context().job_id.endswith("3"):
        raise LookupError(question)
    return question


@jobs.task
def nap(seconds: float) -> None:
    time.sleep(seconds)
"""
SECTIONS = {"server", "ping", "enqueue", "enqueue_many", "pickup", "result", "drain"}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_a_server(server: Server) -> None:
    done = chute("bench", "--jobs", "40", "--json", url=server.url)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report.keys() == SECTIONS
    drain = report["drain"]
    assert (drain["jobs"], drain["run"], drain["failed"], drain["handler"]) == (80, 80, 0, None)
    assert 0 < report["ping"]["p50"] <= report["ping"]["p99"] < 1
    assert 0 < report["pickup"]["p50"] < report["result"]["p50"] < 1
    assert min(report["enqueue"], report["enqueue_many"], drain["rate"], drain["chute_cpu"], drain["commands"], drain["bytes_in"]) > 0
    assert 0 < drain["worker_busy"] < os.cpu_count() or 1  # type: ignore[operator]
    assert server.url in done.stderr
    assert "up to 40 jobs that do nothing" in done.stderr
    assert server.client().keys() == []


def test_a_task_runs_on_a_queue_of_its_own_until_the_time_is_over(app: Path, server: Server) -> None:
    client = server.client()
    push(client, "jobs", {"job_id": "real", "question": "?"})
    words = ("--jobs", "400", "--concurrency", "2", "--seconds", "0.5")
    done = chute("bench", "app:answer", '{"question": "größe?", "wait": 0.05}', *words, url=server.url, cwd=app, COLUMNS="80")
    assert done.returncode == 1
    assert re.fullmatch(r"chute: [1-9] of 400 jobs failed; the first: LookupError: größe\?", done.stderr.splitlines()[-1])
    assert "app:answer runs up to 400 times, for 0.5 s at most, in queue bench-" in done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert [*rows] == ["what", "round", "drain", "handler", "slots", "worker", "server", "network", "limit:"]
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    run, left = map(int, re.findall(r"(\d+) jobs, one worker process; (\d+) did not end", rows["drain"])[0])
    assert 4 <= run <= 60
    assert run + left == 400
    assert 49 <= float(rows["handler"].split()[2]) < 80  # a loop may be a millisecond early
    assert rows["slots"].split()[2:] == ["of", "2", "busy"]
    assert rows["limit:"].startswith("limit: the slots")
    assert client.keys() == [b"queue:jobs"]
    assert client.llen("queue:jobs") == 1


def test_ctrl_c_leaves_nothing(app: Path, server: Server) -> None:
    words = [*COMMAND, "bench", "app:answer", '{"question": "?", "wait": 60}', "--jobs", "30", "--url", server.url]
    client = server.client()
    with subprocess.Popen(words, cwd=app, env=environment(TMPDIR=str(app)), stderr=subprocess.PIPE, text=True) as process:
        assert until(lambda: any(map(client.hlen, client.keys("leases:*"))), 15)
        assert client.hlen(client.keys("leases:*")[0]) == 30
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 130
    assert client.keys() == []
    assert [path.name for path in app.iterdir() if path.name.startswith("chute-bench")] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("app",), "the name of a task is missing after a colon (tasks in app: answer, nap). Write: chute bench app:"),
        (("app:answr",), '"answr" is no task (tasks in app: answer, nap). Write: chute bench app:answer'),
        (("ap:answer",), "There is app.py: chute bench app:answer"),
        (("app:answer",), 'task answer needs "question". Nothing was sent'),
        (("app:answer", "question=x"), "not JSON at column 1: a job begins with {. Nothing was sent"),
        (("app:answer", json.dumps({"question": "x" * 100_000}), "--jobs", "5000"), "Fewer: --jobs 2"),
    ],
)
def test_a_mistake_is_exit_2_and_nothing_is_sent(app: Path, server: Server, words: tuple[str, ...], says: str) -> None:
    done = chute("bench", *words, url=server.url, cwd=app)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert server.client().keys() == []


def test_no_server_a_full_one_and_one_that_does_not_allow_it(start_server: StartServer) -> None:
    assert chute("bench", url="redis://127.0.0.1:1").returncode == 4
    server = start_server("valkey", "--maxmemory", "20mb", "--maxmemory-policy", "noeviction", tcp=True)
    full = chute("bench", url=server.url)
    assert (full.returncode, full.stdout) == (4, "")
    assert "the server is too full for a bench: it uses" in full.stderr
    client = server.client()
    client.acl_setuser("asks", enabled=True, passwords=["+canary-7f3a"], keys=["*"], commands=["+@all", "-unlink"])
    denied = chute("bench", "--jobs", "10", url=server.tcp_url.replace("//", "//asks:canary-7f3a@"))
    assert (denied.returncode, denied.stdout) == (4, "")
    assert "A bench needs the rights of a worker" in denied.stderr
    assert "canary" not in denied.stderr
    assert client.keys() == []


def test_a_worker_that_does_not_start_is_told_of(app: Path, server: Server) -> None:
    (app / "app.py").write_text(APP + "@jobs.resource\ndef model():\n    raise RuntimeError('no such model')\n    yield\n")
    done = chute("bench", "app:nap", '{"seconds": 0}', url=server.url, cwd=app)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[2].startswith("chute: the worker ended with exit code ")
    assert "no such model" in done.stderr
    assert "Traceback" not in done.stderr
    assert server.client().keys() == []
