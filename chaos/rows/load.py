"""Rows L that are about what the dead leave behind: very much, and rubbish in the keys that are ours."""

import json
import time
from typing import Any

from chaos import final, oracle
from chaos.rows import Row
from chaos.rows.volume import watched_scripts
from chaos.stage import Stage
from servers import until

RUBBISH = 5000
HELD = 10_000


def much_held(stage: Stage) -> None:
    """A worker dies that had begun ten thousand jobs: all of them are given back, in pieces that hold up nobody."""
    oracle.hold_on(stage.notes, on=True)
    (victim,) = stage.workers(1, "--concurrency", str(HELD))
    for first in range(0, HELD, 1000):
        stage.push({f"held-{n}": {"@task": "holds", "ms": 0} for n in range(first, first + 1000)})
    until(lambda: victim.held() == HELD, 20)
    oracle.hold_on(stage.notes, on=False)
    stage.workers(2)
    with watched_scripts(stage, 0.01):
        stage.kill(victim, [victim.pid])
        began = time.monotonic()
        stage.fleet.forget(victim)
        back = until(lambda: stage.client.hlen(final.WORKERS) == 2, 30)  # a dead one is forgotten when it holds nothing more
        took = time.monotonic() - began
    stage.expect(stage.faults[-1].held == HELD, f"it held {stage.faults[-1].held:,} jobs, not {HELD:,}")
    stage.expect(back and took < stage.limit(12), f"it took {took:.1f} s until nothing was left of what it held")
    until(lambda: not final.pending(stage.client), 60)  # each runs alone: any of them may be to blame


def corrupt_owners(stage: Stage) -> None:
    """Workers died and left leases: one's numbers are no numbers, many workers' ids and keys are rubbish, and two are in order. What these
    two held is recovered, whatever stands beside it."""
    stage.workers(2)
    good = [f"good-{n}" for n in range(1, 201)]
    whole = {job: json.dumps({"job_id": job, "@task": "work", "ms": 5}) for job in good}

    def act() -> None:
        piped = stage.client.pipeline(transaction=False)
        _dead(piped, "0" * 32, {str(1001 + i): whole[job] for i, job in enumerate(good[:100])})
        _dead(piped, "1" * 32, {f"no number {n}": json.dumps({"job_id": f"rubbish-{n}", "ms": 0}) for n in range(RUBBISH - 200)})
        for n in range(100):
            piped.hset(final.WORKERS, b"\xff\xfe%d" % n, 1)
            _dead(piped, f"wrong type {n}", {})
            piped.set(f"leases:{{queue:jobs}}:wrong type {n}", "x")
        _dead(piped, "f" * 32, {str(1001 + i): whole[job] for i, job in enumerate(good[100:])})
        piped.execute()

    sent = oracle.Notebook("sent")
    for job in [*good, *[f"rubbish-{n}" for n in range(RUBBISH - 200)]]:
        sent.note("accepted" if job in whole else "unknown", job, oracle.now())
    stage.strike("rubbish among the leases of the dead", "none", [], act, held=len(good))
    began = time.monotonic()
    done = until(lambda: len(oracle.read(stage.notes).runs.keys() & whole.keys()) == len(good), 10)
    ran = len(oracle.read(stage.notes).runs.keys() & whole.keys())
    stage.expect(done, f"after 10 s {ran} of {len(good)} sound leases of dead workers were recovered")
    took = time.monotonic() - began
    stage.expect(took < stage.limit(4), f"it took {took:.1f} s until all sound leases were recovered")
    _sweep(stage)


def _dead(piped: Any, worker: str, held: dict[str, str]) -> None:
    piped.hset(final.WORKERS, worker, 1)
    if held:
        piped.hset(f"leases:{{queue:jobs}}:{worker}", mapping=held)


def _sweep(stage: Stage) -> None:
    """Takes the rubbish away: what becomes of it is not this row's question."""
    for key in stage.client.keys("leases:{queue:jobs}:*"):
        if stage.client.type(key) == b"string" or any(not lease.isdigit() for lease in stage.client.hkeys(key)):
            stage.client.delete(key)
    rubbish = [worker for worker in stage.client.hkeys(final.WORKERS) if len(worker) != 32 or worker == b"1" * 32]
    if rubbish:
        stage.client.hdel(final.WORKERS, *rubbish)


ROWS = (
    Row(
        "L04",
        "10,000 jobs held by a worker that is killed",
        "given back within 12 s, no script over 10 ms",
        much_held,
        1,
        recovery=4.0,
        alone=True,
    ),
    Row("L05", "5,000 corrupt leases among the dead", "the sound ones are recovered", corrupt_owners, 1),
)
