"""Workers, the exporter, producers and operators do all that they do as the users of users.acl. On both servers."""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import redis

import chute
from chute import connection
from contract import helpers
from contract.helpers import Work, push, result
from deploy.users import denied, password, url
from scraping import get
from servers import Server, until

APP = """
import asyncio
import chute

jobs, other = chute.Queue("jobs"), chute.Queue("other")


@jobs.task(default=True)
async def answer(question: str) -> str:
    return question


@jobs.task(retries=1, backoff=0)
async def flaky() -> int:
    if chute.context().attempt == 1:
        raise RuntimeError
    return chute.context().attempt


@jobs.task(retries=0)
def hopeless() -> None:
    raise RuntimeError("never")


@jobs.task
def steps() -> None:
    with chute.context().once("first") as first:
        if first:
            other.push({"job_id": "job-other"})


@other.task(default=True)
async def later() -> int:
    job = await answer.options(delay=0.3).aenqueue("later")
    return len(await job.aresult(timeout=20))


@jobs.task
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"
"""


def test_nobody_is_refused_what_belongs_to_the_work(guarded: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with guarded.new_client() as client, figures(guarded) as base:
        with Work("app", url(guarded, "worker"), "--processes", "2", cwd=tmp_path) as work:
            work.ready(client, "jobs", "other")
            produce(guarded)
            operate(guarded)
            observe(guarded, base)
            take_over_from_a_process(client, work)
        take_over_from_a_worker(guarded, client, tmp_path)
    assert denied(guarded) == []


@contextlib.contextmanager
def figures(server: Server) -> Iterator[str]:
    """`chute metrics`; where."""
    words = [*helpers.COMMAND, "metrics", "--port", "0", "--url", url(server, "observer")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, env=helpers.environment(), text=True) as process:
        try:
            assert process.stderr is not None
            (base,) = re.findall(r"figures at (http://\S+)/metrics", process.stderr.readline())
            yield base
        finally:
            process.terminate()


def produce(server: Server) -> None:
    """Every way to put a job in, and to wait for its result."""
    where = url(server, "producer")
    queue = chute.Queue("jobs", url=where)

    @queue.task(default=True)
    async def answer(question: str) -> str:
        return question

    try:
        jobs = [answer.enqueue("now"), answer.options(delay=0.2).enqueue("later")]
        if server.kind == "valkey":  # Redis 7.0 has no WAITAOF
            jobs.append(answer.options(confirm="disk").enqueue("safe"))
        jobs += queue.enqueue_many(answer.bind(str(n)) for n in range(50))
        assert [job.result(timeout=20) for job in jobs[:2]] == ["now", "later"]
        assert jobs[2].status() in ("pending", "running", "completed")
        assert queue.depth() >= 0
    finally:
        connection.endpoint(where).close()
    with server.new_client(username="producer", password=password("producer")) as client:
        named = [{"job_id": f"job-{task}", "@task": task} for task in ("flaky", "hopeless", "steps")]
        push(client, "jobs", *named, b"no job")
        assert [result(client, job)["status"] for job in ("job-flaky", "job-hopeless", "job-steps", "job-other")] == [
            "completed", "failed", "completed", "completed",
        ]  # fmt: skip
    assert command(server, "producer", "push", "jobs", '{"job_id": "job-1", "question": "?"}') == "job-1\n"
    assert command(server, "producer", "result", "job-1", "--wait", "10") == '"?"\n'


def command(server: Server, user: str, *words: str) -> str:
    """What a command says that ends well."""
    done = helpers.chute(*words, url=url(server, user))
    assert done.returncode == 0, done.stderr
    return done.stdout


def operate(server: Server) -> None:
    """What people do and look at on the command line."""
    for words in (
        "stats", "ps", "dead list jobs", "dead requeue jobs --job-id job-hopeless", "pause jobs", "resume jobs",
        "dead purge jobs --all --yes", "explain job-1", "explain job-1 --queue jobs", "result job-1", "clear jobs --yes",
    ):  # fmt: skip
        command(server, "operator", *words.split())
    assert helpers.chute("explain", "job-nowhere", url=url(server, "operator")).returncode == 3


def observe(server: Server, base: str) -> None:
    """What only looks."""
    assert 'chute_workers{queue="jobs"} 2.0' in get(f"{base}/metrics")[1]
    assert get(f"{base}/queues/jobs")[0] == 200
    for words in ("stats", "ps", "dead list jobs", "explain job-1 --queue jobs", "result job-1"):
        command(server, "observer", *words.split())


def take_over_from_a_process(client: redis.Redis, work: Work) -> None:
    """One dies with a job; the supervisor gives it back."""
    push(client, "jobs", {"job_id": "job-k", "@task": "slow", "seconds": 1})
    child = int(str(running(client)["pid"]))
    os.kill(child, signal.SIGKILL)
    assert result(client, "job-k", 20)["status"] == "completed"
    assert work.process.poll() is None


def running(client: redis.Redis) -> dict[str, object]:
    """What a worker says that runs a job."""
    said: list[dict[str, object]] = []

    def some() -> bool:
        texts = [client.get(key) for key in client.scan_iter("info:*jobs*")]
        said[:] = [each for text in texts if text and (each := json.loads(text))["running"]]
        return bool(said)

    assert until(some)
    return said[0]


def take_over_from_a_worker(server: Server, client: redis.Redis, home: Path) -> None:
    """All of one dies; another finds what it held."""
    with Work("app", url(server, "worker"), cwd=home) as lost:
        lost.ready(client, "jobs")
        push(client, "jobs", {"job_id": "job-w", "@task": "slow", "seconds": 1})
        running(client)
        os.killpg(lost.process.pid, signal.SIGKILL)
        for child in lost.children():
            os.kill(child, signal.SIGKILL)
        lost.wait()
        with Work("app", url(server, "worker"), cwd=home):
            assert result(client, "job-w", 20)["status"] == "completed"
        lost.process.returncode = 0
