"""Rows L06: who gets a turn. Many queues, one of them hot; many workers of one queue; queues that nobody asked about."""

import json
import os
import subprocess
import sys
import time
from typing import Any

from chaos import ROOT, final, many, oracle
from chaos.checker import Fault
from chaos.rows import Row
from chaos.stage import Stage
from servers import until

HOT_MS, SAMPLES = 20, 400
CROWD, LIFE, STARTING = 60, 35.0, 0.4
"""Workers, the seconds until they die, and the part of these in which they start one after the other: each is a process with a helper that beats
for it, and starting both takes a core for a quarter of a second."""
CLOCK, SLOWEST = (1.0, 7.5), 5
QUEUES = 10_000


def hot_and_idle(stage: Stage) -> None:
    """Nine queues with a job now and then, beside one with thousands waiting: theirs do not wait behind those."""
    with stage.fleet.under(app="chaos.many"):
        stage.workers(1)
    _waits(stage, "warm", 50)
    alone = _waits(stage, "alone", SAMPLES * stage.times)
    for first in range(0, 4000 * stage.times, 1000):
        stage.push({f"hot-{n}": {"@task": "work", "ms": HOT_MS} for n in range(first, first + 1000)})
    stage.expect(until(lambda: stage.gauge.leases > 0, 10), "nothing of the hot queue was begun")
    stage.strike_server("a hot queue", lambda: None)
    beside = _waits(stage, "beside", SAMPLES * stage.times)
    stage.expect(stage.client.llen(final.QUEUE) > 100, "the hot queue was empty before the end")
    # a slot must become free, and what was taken in advance may have it before the worker has seen the queue
    limit = 2 * alone + 2 * HOT_MS / 1000
    stage.expect(beside < stage.limit(limit), f"p99 of the wait: {1000 * beside:.0f} ms, {1000 * alone:.0f} alone")
    print(f"p99 of the wait: alone {1000 * alone:.1f} ms, beside a hot queue {1000 * beside:.1f} ms", file=sys.stderr)
    until(lambda: not final.pending(stage.client), 30 * stage.times)


def _waits(stage: Stage, name: str, count: int) -> float:
    """The 99th percentile, in seconds, from the sending of a job to one of the idle queues until it is begun."""
    sent, at = oracle.Notebook("sent"), dict[str, int]()
    for n in range(count):
        job = f"{name}-{n}"
        at[job] = oracle.now()
        stage.client.lpush(f"queue:{many.IDLE[n % len(many.IDLE)].name}", json.dumps({"job_id": job, "ms": 1}))
        sent.note("accepted", job, oracle.now())
        time.sleep(0.01)
    stage.expect(until(lambda: all(stage.client.exists(f"result:{job}") for job in at), 20), f"not all of {name} have results")
    runs = oracle.read(stage.notes).runs
    waits = sorted((runs[job][0].started - began) / 1e9 for job, began in at.items() if job in runs)
    return waits[len(waits) * 99 // 100]


def crowd(stage: Stage) -> None:
    """Sixty workers of one queue: all of them live until they die, all at once, and two take over what they held. Where hundreds are asked for, they
    have the clock of production: two cores have no time to beat for each every second."""
    beat, dead_after = clock = (CLOCK[0] * min(stage.times, SLOWEST), CLOCK[1] * min(stage.times, SLOWEST))
    stage.workers(2, clock=clock)
    stage.produce(150)
    size, life = CROWD * stage.times, LIFE * stage.times
    known, began = set(map(str, stage.fleet.pids())), oracle.now()
    mayflies = stage.fleet.program(stage.place.url, "chaos.mayflies", size, life, size, life * STARTING / size, clock=clock)
    there = until(lambda: stage.client.hlen(final.WORKERS) == size + 2, life)
    stage.expect(there, f"{stage.client.hlen(final.WORKERS)} workers are registered, not {size + 2}")
    before = set(stage.client.hkeys(final.WORKERS))
    time.sleep(4 * beat)
    stage.expect(mayflies.poll() is None, "they died too soon")
    gone = before - set(stage.client.hkeys(final.WORKERS))
    stage.expect(not gone, f"{len(gone)} workers were taken for dead")
    until(lambda: mayflies.poll() is not None, life + 10)
    ended = oracle.now()
    forgotten = until(lambda: stage.client.hlen(final.WORKERS) == 2, stage.limit(dead_after + 5 * beat))
    stage.expect(forgotten, f"{stage.client.hlen(final.WORKERS)} workers are registered, 2 live")
    ran = {path.name.rpartition("-")[2] for path in stage.notes.glob("ran-*")} - known
    stage.expect(len(ran) > size / 2, f"only {len(ran)} of {size} workers had something to do")
    stage.faults.append(Fault(f"{size} workers died", "death", frozenset(map(int, ran)), began, ended, len(ran)))


def many_queues(stage: Stage) -> None:
    """Ten thousand queues with a job each that nobody works, while one is worked: it is worked as before, and can be looked at with all others."""
    stage.workers(2)
    for first in range(0, 8000, 1000):
        stage.push({f"backlog-{n}": {"@task": "work", "ms": 30} for n in range(first, first + 1000)})
    normal = stage.rate_while(lambda: time.sleep(2))
    names = [f"q{n}" for n in range(QUEUES)]

    def act() -> None:
        piped: Any = stage.client.pipeline(transaction=False)
        piped.sadd("queues", *names)
        for name in names:
            piped.lpush(f"queue:{name}", b'{"job_id": "nobody"}')
        piped.execute()

    stage.strike_server("10,000 queues", act)
    rate = stage.rate_while(lambda: time.sleep(2))
    stage.expect(rate > 0.9 * normal, f"{rate:,.0f}/s beside {QUEUES:,} queues, {normal:,.0f}/s before")
    began = time.monotonic()
    look = [sys.executable, "-m", "chute", "stats", "--json", "--url", stage.place.url]
    shown = subprocess.run(look, capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(stage.fleet.src)}, check=False)
    took = time.monotonic() - began
    stage.expect(shown.returncode == 0 and b"q9999" in shown.stdout, f"chute stats: {shown.stderr[-200:]!r}")
    stage.expect(took < stage.limit(10), f"chute stats took {took:.1f} s")
    print(f"chute stats of {QUEUES:,} queues took {took:.1f} s", file=sys.stderr)
    until(lambda: not final.pending(stage.client), 30)


ROWS = (
    Row(
        "L06",
        "one hot queue beside nine idle ones",
        "p99 of their wait twice that of idle, and a slot's time twice",
        hot_and_idle,
        1,
        alone=True,
    ),
    Row("L06b", "60 workers on one queue, which die at once", "nobody before, all recovered", crowd, 1),
    Row("L06c", "10,000 queues that nobody works", "the others are worked as before", many_queues, 1),
)
