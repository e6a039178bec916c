"""Rows S: what can happen to the server."""

import time
from functools import partial

from chaos import faults, oracle
from chaos.rows import APPEND_ONLY, Row
from chaos.stage import Stage
from servers import until


def crashes(stage: Stage) -> None:
    """kill -9, a second of nothing, restart."""
    stage.workers(3)
    stage.produce(250)
    for _ in range(4 * stage.times):
        time.sleep(0.5)
        stage.strike_server("kill -9 of the server", lambda: faults.crash(stage, 1.0))
        flows_again(stage)


def rolls_back(stage: Stage) -> None:
    """The server loses its last half second: leases of jobs that are done are there again, under workers that live and know nothing of it."""
    stage.workers(3)
    stage.produce(250)
    for _ in range(2 * stage.times):
        time.sleep(0.5)
        stage.strike_server("back to a snapshot", lambda: faults.roll_back(stage, 0.5))
        flows_again(stage)


def freezes(stage: Stage) -> None:
    """Stopped for less than a beat may be late, for longer than a worker may be silent, for longer than a command may take."""
    stage.workers(3)
    stage.produce(250)
    for seconds in (1, 3, 7) * stage.times:
        time.sleep(0.3)
        stage.strike_server(f"SIGSTOP of the server, {seconds} s", partial(faults.freeze, stage, seconds))
        flows_again(stage)


def is_slow(stage: Stage) -> None:
    """There and of no use: busy with a script, not writing for a while, refusing writes."""
    stage.workers(3)
    stage.produce(250)
    for what, act in (("BUSY", faults.keep_busy), ("CLIENT PAUSE", faults.pause_writes), ("NOREPLICAS", faults.refuse_without_replicas)):
        time.sleep(0.5)
        stage.strike_server(f"{what}, 3 s", partial(act, stage, 3))
        flows_again(stage)


def is_full(stage: Stage) -> None:
    """At maxmemory, with a backlog to drain and producers that go on."""
    stage.workers(3)
    stage.produce(60)
    backlog(stage, 4000)
    normal = stage.rate_while(lambda: time.sleep(1.5))
    stage.strike_server("maxmemory", lambda: faults.fill(stage))
    full = stage.rate_while(lambda: time.sleep(2))
    stage.expect(full >= 0.8 * normal, f"a full server was drained at {full:,.0f}/s, an empty one at {normal:,.0f}/s")
    faults.empty(stage)
    history = oracle.read(stage.notes)
    stage.expect(len(history.rejected) > 0, "no producer was rejected: the server was not full")
    accepted = len(history.accepted)
    stage.expect(until(lambda: len(oracle.read(stage.notes).accepted) > accepted, 5), "producers were not accepted again within 5 s")


def forgets_scripts(stage: Stage) -> None:
    """SCRIPT FLUSH every 50 ms."""
    stage.workers(3)
    stage.produce(60)
    backlog(stage, 4000)
    normal = stage.rate_while(lambda: time.sleep(1.5))
    rate = stage.rate_while(lambda: faults.send_again(stage, 3.0 * stage.times, 0.05, "SCRIPT", "FLUSH"))
    stage.expect(rate >= 0.5 * normal, f"{rate:,.0f}/s while scripts were forgotten, {normal:,.0f}/s before")


def cuts_connections(stage: Stage) -> None:
    """CLIENT KILL of every connection, every 100 ms."""
    stage.workers(3)
    stage.produce(250)
    faults.send_again(stage, 8.0 * stage.times, 0.1, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def backlog(stage: Stage, count: int) -> None:
    """Jobs that sleep, so that slots and not this machine say how fast they are done."""
    for first in range(0, count, 1000):
        stage.push({f"backlog-{n + 1}": {"@task": "work", "ms": 30} for n in range(first, first + 1000)})


def flows_again(stage: Stage) -> None:
    """Waits until a job ends that began after the last fault."""
    since = stage.faults[-1].ended
    until(lambda: any(run.started > since and run.ended for run in oracle.read(stage.notes).all_runs()), 10)


ROWS = (
    Row(
        "S01",
        "kill -9 of the server, restart after 1 s",
        "nothing accepted is lost, work goes on",
        crashes,
        4,
        resume=2.0,
        options=APPEND_ONLY,
    ),
    Row("S04", "the server goes back to a snapshot", "all comes to rest, new jobs flow", rolls_back, 2, resume=2.0, forgets=True),
    Row("S05", "the server is frozen for 1, 3 and 7 s", "no duplicate, nobody is taken for dead", freezes, 3, resume=3.0),
    Row("S06", "BUSY, CLIENT PAUSE, NOREPLICAS, 3 s each", "no duplicate, nobody is taken for dead", is_slow, 3, resume=5.0),
    Row("S10", "maxmemory, noeviction", "producers are rejected, workers drain", is_full, 1),
    Row("S12", "SCRIPT FLUSH every 50 ms", "no duplicate, half of the normal rate", forgets_scripts, 20),
    Row("S13", "CLIENT KILL of everybody every 100 ms", "what was in flight is found again", cuts_connections, 40),
)
