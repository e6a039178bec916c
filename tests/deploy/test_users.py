"""Workers, the exporter, producers and operators do all that they do as the users of users.acl, on both servers: nothing that they need is missing
there, and nothing is granted that was not seen to be sent, but for what is named with its reason.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

import chute
from chute import address, connection
from chute.cli.commands import cli
from chute.rights import ROLES, YOUNGER, Need, needs
from contract import helpers
from contract.helpers import Work, push, result
from deploy.listening import Listening, url
from deploy.users import denied, password
from scraping import get
from servers import Server, StartServer, until

APP = """
import asyncio
import os
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
async def stay(path: str) -> None:
    while not os.path.exists(path):
        await asyncio.sleep(0.05)


@jobs.task
async def safe() -> None:
    for confirm in os.environ["RELIABLE"].split(","):
        await answer.options(confirm=confirm).aenqueue("safe")


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


PING = "probes send it, and people who try whether they are let in"
UNREACHED = "the script has it, for priority and unique keys"
CLUSTER = "in a Cluster alone a result is written and deleted by a script of its own"
SELDOM = {
    "pusher": {"ping": PING},
    "sender": {"ping": PING, "rpush on queue": UNREACHED, "lpush on first": UNREACHED, "get on unique": UNREACHED, "set on unique": UNREACHED},
    "producer": {"ping": PING, "rpush on queue": UNREACHED, "lpush on first": UNREACHED, "get on unique": UNREACHED, "set on unique": UNREACHED},
    "worker": {
        "ping": PING, "lpush on first": UNREACHED, "get on unique": UNREACHED, "set on unique": UNREACHED, "hmget on result": CLUSTER,
        "sismember on queues": "it may do what a producer may, `chute push` too",
        "client|unblock": "MONITOR does not show what belongs to administration: it is counted instead",
        "xtrim on dead": "once a minute, as soon as there are dead letters to drop",
    },
    "observer": {"ping": PING},
    "operator": {"ping": PING, "hget on result": CLUSTER, "lindex on first": "it may do what an observer may, `chute metrics` too"},
}  # fmt: skip
"""What is granted and was not heard, and why it is granted."""


@pytest.fixture
def replicated(guarded: Server, start_server: StartServer) -> Server:
    """The server, with a replica."""
    start_server(guarded.kind, "--replicaof", f"127.0.0.1 {guarded.port}", tcp=True)
    with guarded.new_client() as client:
        assert until(lambda: client.wait(1, 100) == 1)
    return guarded


def test_nobody_lacks_what_belongs_to_the_work_and_nobody_has_more(replicated: Server, tmp_path: Path) -> None:
    server, where = replicated, url(replicated, "worker")
    (tmp_path / "app.py").write_text(APP)
    with server.new_client() as client, Listening(server) as listening:
        with (
            figures(server) as base,
            Work("app", where, "--grace", "0", "--concurrency", "2", cwd=tmp_path, RELIABLE=CONFIRM[server.kind]) as one,
            Work("app", where, "--grace", "0", "--concurrency", "2", cwd=tmp_path, RELIABLE=CONFIRM[server.kind]) as two,
        ):
            for work in (one, two):
                assert until(lambda work=work: "waiting for jobs" in work.stderr, 20), work.stderr
            produce(server, client, listening)
            look_closely(server, client, listening)
            operate(server, client)
            observe(server, base)
            die(client, [one, two])
        assert denied(server) == []
        assert "cmdstat_client|unblock" in client.info("commandstats")
        wait_in_vain(server)
        for user in ("observer", "operator"):
            command(server, user, "doctor")
    assert {each.partition(" (")[0] for each in denied(server)} <= {f"{user}: {name}" for user, names in CHECKED.items() for name in names}
    for role in ROLES:
        heard, needed = listening.heard[role.name], {need for need in needs(role) if server.kind == "valkey" or need.command not in YOUNGER}
        ours = {*map(str, needed)} - set(SELDOM[role.name])
        allowed = {each for each in heard if each.command not in CHECKED.get(role.name, ())}
        assert {*map(str, allowed)} - {*map(str, needed)} == set(), f"{role.name} lacks these"
        assert ours - {*map(str, heard)} == set(), f"{role.name} has these without need"
        assert {*SELDOM[role.name]} <= {*map(str, needed)}, "a reason without a right"


CONFIRM = {"valkey": "disk,replica", "redis": "replica"}  # Redis 7.0 has no WAITAOF
CHECKED = {"observer": {"config|get", "scan"}, "operator": {"config|get"}, "producer": {"smembers", "hkeys", "zcard", "xlen", "lindex"}}
"""What a doctor asks for, and a program whose result does not come: who may not look is told less."""


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


def produce(server: Server, client: redis.Redis, listening: Listening) -> None:
    """Every way to put a job in, and to wait for its result."""
    for user in ("sender", "producer"):
        where = url(server, user)
        queue = chute.Queue("jobs", url=where)

        @queue.task(default=True)
        async def answer(question: str) -> str:
            return question

        try:
            jobs = [answer.enqueue("now"), answer.options(delay=0.2).enqueue("later")]
            jobs += [answer.options(confirm=each).enqueue("safe") for each in CONFIRM[server.kind].split(",")]  # type: ignore[arg-type]
            forget_scripts(client, listening, user, lambda: answer.options(delay=0.1).enqueue("told anew"))
            jobs += queue.enqueue_many(answer.bind(str(n)) for n in range(50))
            assert queue.depth() >= 0
            if user == "producer":
                assert [job.result(timeout=20) for job in jobs[:2]] == ["now", "later"]
                assert jobs[2].status() in ("pending", "running", "completed")
        finally:
            connection.endpoint(where).close()
        assert command(server, user, "push", "jobs", f'{{"job_id": "job-{user}", "question": "?"}}') == f"job-{user}\n"
    assert command(server, "producer", "result", "job-sender", "--wait", "10") == '"?"\n'
    client.lpush("result:job-steps", "foreign")
    with server.new_client(
        username="pusher", password=password("pusher"), client_name="pusher", unix_socket_path=None, port=server.port
    ) as pusher:
        push(pusher, "jobs", *[{"job_id": f"job-{task}", "@task": task} for task in ("flaky", "hopeless", "steps", "safe")], b"no job")
    ends = [result(client, job)["status"] for job in ("job-flaky", "job-hopeless", "job-other", "job-safe")]
    assert ends == ["completed", "failed", "completed", "completed"]
    assert until(lambda: client.type("result:job-steps") == b"hash"), sorted(client.scan_iter())


def forget_scripts(client: redis.Redis, listening: Listening, user: str, act: Callable[[], object]) -> None:
    """The server forgets its scripts, until it is this user that tells it of them."""

    def told() -> bool:
        client.script_flush()
        act()
        return Need("script|load") in listening.heard[user]

    assert until(told)


def wait_in_vain(server: Server) -> None:
    """A producer may not look why there is no result; that there is none, it is told all the same."""
    command(server, "producer", "result", "nothing", code=3)
    try:
        with pytest.raises(TimeoutError):
            chute.Queue("jobs", url=url(server, "producer")).job("nothing").result(timeout=0.1)
    finally:
        connection.endpoint(url(server, "producer")).close()


def look_closely(server: Server, client: redis.Redis, listening: Listening) -> None:
    """Where jobs are, of every state, and what those do that run."""
    client.zadd("scheduled:{queue:jobs}", {'0000000000000001{"job_id": "job-due"}': 4e12})
    push(client, "still", *[{"job_id": f"still-{n}"} for n in range(3)])
    client.sadd("queues", "still")
    client.lpush("first:{queue:still}", '{"job_id": "still-first"}')
    names = ["job-now", "job-2", "job-3", "job-4"]  # all slots are taken, so that workers end their waits
    push(client, "jobs", *[{"job_id": name, "@task": "stay", "path": f"{server.directory}/enough"} for name in names])
    assert [running(client, name) for name in names]
    for user in ("observer", "operator"):
        forget_scripts(client, listening, user, partial(command, server, user, "explain", "still-1", "--queue", "still"))
        command(server, user, "ps")
        for job in ("job-due", "job-now", "still-1", "still-first"):
            command(server, user, "explain", job, *(["--queue", "still" if "still" in job else "jobs"] if user == "observer" else []))
        command(server, user, "result", "job-now", "--wait", "0.1", code=3)
    (server.directory / "enough").touch()
    client.delete("queue:still")
    command(server, "operator", "pause", "still")
    command(server, "operator", "resume", "still")
    assert (client.llen("queue:still"), client.llen("first:{queue:still}")) == (1, 0)
    client.delete("queue:still")


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


def operate(server: Server, client: redis.Redis) -> None:
    """What people do and look at on the command line."""
    command(server, "operator", "pause", "jobs")
    client.lpush("first:{queue:jobs}", '{"job_id": "job-paused", "question": "?"}')  # as a wait that was open leaves it
    assert until(lambda: client.llen("queue:jobs") == 1)
    for words in (
        "stats", "ps", "dead list jobs", "dead requeue jobs --job-id job-hopeless", "dead requeue jobs --reason bad_json", "resume jobs",
        "dead purge jobs --all --yes", "explain job-producer", "result job-producer", "clear jobs --yes",
    ):  # fmt: skip
        command(server, "operator", *words.split())
    command(server, "operator", "explain", "job-nowhere", code=3)


def observe(server: Server, base: str) -> None:
    """What only looks."""
    assert until(lambda: 'chute_workers{queue="jobs"} 2.0' in get(f"{base}/metrics")[1])
    assert get(f"{base}/queues/jobs")[0] == 200
    for words in ("stats", "ps", "dead list jobs", "explain job-producer --queue jobs", "result job-producer"):
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
