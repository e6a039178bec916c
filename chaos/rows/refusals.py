"""Rows S, the server that is there and says no: it is set up badly, has no room for connections, lets nobody in, or has something else where a
queue should be. And one that says yes, row S17: the same history on every server.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from chaos import final, oracle
from chaos.fleet import Terms
from chaos.rows import Row
from chaos.rows.disk import exposed
from chaos.rows.server import backlog, flows_again
from chaos.stage import Stage
from deploy import users
from servers import send, until

FEW = 6
PAD = 20_000
NARROW, WIDE = "normal 65536 0 0", "normal 0 0 0"
AWAY = 0.1
REMOVALS = 100
OTHER = "{queue:other}"
MIX = {"work": "completed", "threaded": "completed", "flaky": "completed", "doomed": "failed"}
MAY_EXPIRE = ("result", "info", "counts", "once")


@dataclass(frozen=True, slots=True)
class As:
    """The server, as one of its users."""

    url: str


def may_evict(stage: Stage) -> None:
    """A policy by which a full server deletes keys: whoever starts a worker hears of it at once. What a volatile policy may take is no job."""
    for policy in ("allkeys-lru", "volatile-ttl"):
        stage.client.config_set("maxmemory-policy", policy)
        (worker,) = stage.workers(1)
        told = until(lambda worker=worker, policy=policy: policy in worker.log.read_text(), stage.limit(1))
        stage.expect(told, f"a worker that has registered did not name {policy} within 1 s: {worker.last_words()}")
    stage.produce(250)
    mortal = set[str]()

    def act() -> None:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            mortal.update(key.decode() for key in stage.client.scan_iter(count=1000) if stage.client.ttl(key) > 0)

    stage.strike_server("volatile-ttl", act)
    wrong = sorted(key for key in mortal if not key.startswith(MAY_EXPIRE))
    stage.expect(bool(mortal) and not wrong, f"{len(wrong)} keys beside results may be deleted: {wrong[:3]}")


def no_connections(stage: Stage) -> None:
    """Ten clients at most; nobody may be idle for a second; a reply of 64 KiB ends the connection."""
    workers = stage.workers(3)
    stage.produce(150)
    for _ in range(stage.times):
        stage.strike("maxclients", "suspicion", stage.fleet.pids(), partial(_with, stage, "maxclients", str(FEW), "10000"))
        flows_again(stage)
        stage.strike_server("timeout 1", partial(_with, stage, "timeout", "1", "0"))
        flows_again(stage)
        stage.push({f"fat-{len(stage.faults)}-{n}": {"@task": "work", "ms": 20, "@pad": "x" * PAD} for n in range(100)})
        stage.strike_server("output buffers", partial(_with, stage, "client-output-buffer-limit", NARROW, WIDE))
        flows_again(stage)
    told = [worker for worker in workers if "max number of clients reached" in worker.log.read_text()]
    stage.expect(bool(told), "no worker says that the server has too many clients")


def _with(stage: Stage, setting: str, value: str, again: str) -> None:
    stage.client.config_set(setting, value)
    send(stage.client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    time.sleep(4)
    stage.client.config_set(setting, again)


def locked_out(stage: Stage) -> None:
    """The worker's password is another, its user is off, and each of the rights that it has is taken from it for a while. A script that may store
    and may not remove leaves two of a job: scripts store first, so that none is lost."""
    users.grant(stage.server)
    ready = exposed(stage, via=As(users.url(stage.server, "worker")))
    stage.produce(100)
    password = users.password("worker")
    for _ in range(stage.times):
        for off, on in (("off", "on"), (f"<{password}", f">{password}")):
            time.sleep(0.5)
            stage.strike_server(f"ACL SETUSER {off[:3]}", partial(_shut, stage, off, on, ready))
            flows_again(stage)
    rights = [word for word in users.rules()["worker"] if word.startswith("+") and word not in users.YOUNGER]
    for n in range(REMOVALS * stage.times):
        _without(stage, rights[n % len(rights)])
    until(ready, 10)


def _shut(stage: Stage, off: str, on: str, ready: Callable[[], bool]) -> None:
    _setuser(stage, off)
    send(stage.client, "CLIENT", "KILL", "USER", "worker")
    stage.expect(until(lambda: not ready(), stage.limit(6)), "/readyz was green while the worker was shut out")
    time.sleep(1)
    _setuser(stage, on)


def _without(stage: Stage, right: str) -> None:
    def act() -> None:
        _setuser(stage, f"-{right[1:]}")
        time.sleep(AWAY)
        _setuser(stage, right)

    until(lambda: stage.gauge.leases > 0, 5)  # who was refused something pauses for a second
    stage.strike_server(f"without {right}", act)


def _setuser(stage: Stage, *words: str) -> None:
    send(stage.client, "ACL", "SETUSER", "worker", *words)


def poisoned(stage: Stage) -> None:
    """Each key of one queue is something else for a while, and then has rubbish in it; the other queue of the same workers goes on. What stands
    where a job's result belongs is replaced."""
    stage.fleet.terms = Terms(app="chaos.app:jobs,other")
    stage.workers(2)
    children = sorted(stage.fleet.pids())
    stage.push({f"warm-{n}": {"@task": "work", "ms": 20} for n in range(1, 51)})
    until(lambda: bool(stage.gauge.leases), 5)
    for n in range(1, 21):
        stage.client.lpush(f"result:foreign-{n}", "x")
    stage.push({f"foreign-{n}": {"@task": "work", "ms": 20} for n in range(1, 21)})
    backlog(stage, 8000)
    normal = stage.rate_while(lambda: time.sleep(2))
    there = [worker.decode() for worker in stage.client.hkeys(f"workers:{OTHER}")]
    keys = [
        *[f"{kind}:{OTHER}" for kind in ("workers", "first", "tags", "scheduled", "dead", "refused")],
        f"leases:{OTHER}:{there[0]}",
        "queue:other",
    ]
    rate = stage.rate_while(lambda: _each_poisoned(stage, keys))
    stage.expect(rate >= 0.95 * normal, f"{rate:,.0f}/s beside a poisoned queue, {normal:,.0f}/s before")
    stage.expect(children == sorted(stage.fleet.pids()), "processes were replaced")
    until(lambda: not stage.client.exists(final.QUEUE), 20)  # it comes first
    stage.client.lpush("queue:other", json.dumps({"job_id": "after", "ms": 1}))
    after = until(lambda: stage.client.hget("result:after", "status") == b"completed", stage.limit(5))
    stage.expect(after, "the queue that was poisoned is not worked 5 s after")
    stage.client.delete("result:after")


def _each_poisoned(stage: Stage, keys: list[str]) -> None:
    for key in keys:
        stage.strike_server(f"{key} is a string", partial(_replaced, stage, key))
    stage.strike_server("rubbish inside", partial(_rubbish, stage))


def _replaced(stage: Stage, key: str) -> None:
    piped = stage.client.pipeline()
    piped.delete(key)
    piped.set(key, "x")
    piped.execute()
    time.sleep(0.7)
    stage.client.delete(key)


def _rubbish(stage: Stage) -> None:
    client = stage.client
    client.hset(f"workers:{OTHER}", "no worker", "x")
    client.hset(f"leases:{OTHER}:no worker", "no number", "x")
    client.zadd(f"scheduled:{OTHER}", {"short": 0})
    client.lpush("queue:other", b"\xff\x00rubbish")
    time.sleep(0.7)
    client.hdel(f"workers:{OTHER}", "no worker")
    client.delete(f"leases:{OTHER}:no worker")


def the_same(stage: Stage) -> None:
    """Jobs of every kind, and what became of each: the same on every server."""
    stage.workers(2)
    kinds = [stage.chance.choice(tuple(MIX)) for _ in range(3000 * stage.times)]
    jobs = {f"job-{n}": kind for n, kind in enumerate(kinds, 1)}
    named = list(jobs)
    for first in range(0, len(named), 500):
        stage.push({job: {"@task": jobs[job], "ms": stage.chance.randint(0, 5)} for job in named[first : first + 500]})
    stage.drain(60)
    history = oracle.read(stage.notes)
    for kind, status in MIX.items():
        mine = [job for job in named if jobs[job] == kind]
        found = [stage.client.hget(f"result:{job}", "status") for job in mine]
        stage.expect(set(found) == {status.encode()}, f"{kind}: {set(found)}")
        runs = {len(history.runs[job]) for job in mine}
        stage.expect(runs == {2 if kind == "flaky" else 1}, f"{kind}: {runs} runs")


_ALONE = "all but what concerns it goes on, nothing is lost"
ROWS = (
    Row("S11", "a policy that deletes keys", "named at the start; no job has a TTL", may_evict, 1),
    Row("S14", "ten clients, no idle ones, no large replies", "nothing lost, all is as before when it is healed", no_connections, 3),
    Row("S15", "the user is off, and each right is missing in turn", "nothing lost, the worker says that it is not ready", locked_out, 100, copies=True),
    Row("S16", "keys of a queue are something else", _ALONE, poisoned, 9),
    Row("S17", "no fault, jobs of every kind", "the same history on every server", the_same, 0),
)  # fmt: skip
