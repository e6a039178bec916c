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
from click.testing import CliRunner

import chute
from chute import address, connection
from chute.cli import cli
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
    where = url(guarded, "worker")
    with (
        guarded.new_client() as client,
        figures(guarded) as base,
        Work("app", where, cwd=tmp_path) as one,
        Work("app", where, cwd=tmp_path) as two,
    ):
        for work in (one, two):
            assert until(lambda work=work: "waiting for jobs" in work.stderr, 20), work.stderr
        produce(guarded)
        operate(guarded)
        observe(guarded, base)
        die(client, [one, two])
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


def command(server: Server, user: str, *words: str, code: int = 0) -> str:
    """What a command says that ends well. It is run in this process, which spares twenty others."""
    where = url(server, user)
    try:
        done = CliRunner().invoke(cli, [*words, "--url", where])
    finally:
        address.choose(None)
        connection.endpoint(where).close()
    assert done.exit_code == code, done.output
    return done.stdout


def operate(server: Server) -> None:
    """What people do and look at on the command line."""
    for words in (
        "stats", "ps", "dead list jobs", "dead requeue jobs --job-id job-hopeless", "pause jobs", "resume jobs",
        "dead purge jobs --all --yes", "explain job-1", "explain job-1 --queue jobs", "result job-1", "clear jobs --yes",
    ):  # fmt: skip
        command(server, "operator", *words.split())
    command(server, "operator", "explain", "job-nowhere", code=3)


def observe(server: Server, base: str) -> None:
    """What only looks."""
    assert until(lambda: 'chute_workers{queue="jobs"} 2.0' in get(f"{base}/metrics")[1])
    assert get(f"{base}/queues/jobs")[0] == 200
    for words in ("stats", "ps", "dead list jobs", "explain job-1 --queue jobs", "result job-1"):
        command(server, "observer", *words.split())


def die(client: redis.Redis, fleet: list[Work]) -> None:
    """All of one worker dies with a job, and the other finds it; then the process of that one, and its supervisor gives the job back."""
    push(client, "jobs", {"job_id": "job-w", "@task": "slow", "seconds": 2})
    child = running(client, "job-w")
    lost, heir = fleet if child in fleet[0].children() else fleet[::-1]
    for each in (lost.process.pid, child):
        os.kill(each, signal.SIGKILL)
    assert result(client, "job-w", 20)["status"] == "completed"
    push(client, "jobs", {"job_id": "job-k", "@task": "slow", "seconds": 2})
    os.kill(running(client, "job-k"), signal.SIGKILL)
    assert result(client, "job-k", 20)["status"] == "completed"
    assert heir.process.poll() is None


def running(client: redis.Redis, job: str) -> int:
    """The process that says that it runs this job."""
    found: list[int] = []

    def some() -> bool:
        texts = [client.get(key) for key in client.scan_iter("info:*jobs*")]
        said = [json.loads(text) for text in texts if text]
        found[:] = [each["pid"] for each in said if job in [name for name, *_ in each["running"]]]
        return bool(found)

    assert until(some)
    return found[0]
