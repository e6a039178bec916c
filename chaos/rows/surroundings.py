"""Rows W that are about where a worker runs: what takes its output, who has its name and its number, how often it has died."""

import os
import subprocess
import time
from pathlib import Path

from chaos import final, oracle
from chaos.checker import Fault
from chaos.fleet import BEAT, DEAD_AFTER, Skipped
from chaos.rows import Row
from chaos.rows.handlers import RUDE
from chaos.stage import Stage
from servers import until

ALONE = ("unshare", "--pid", "--fork", "--uts", "--kill-child", "sh", "-c", 'hostname twin && exec "$0" "$@"')
"""What follows is the first process of its own, on a host of that name."""
MAYFLIES, AT_ONCE, FLIGHT = 200, 8, 0.2


def mute(stage: Stage) -> None:
    """Nobody reads what one worker writes any more, and the disk is full where another writes to: work goes on."""
    pipe = stage.notes / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with stage.fleet.under(app=RUDE, out=pipe):
        stage.workers(1)
    with stage.fleet.under(app=RUDE, out=Path("/dev/full")):
        stage.workers(1)
    stage.produce(150)
    for n in range(stage.times):
        act = (lambda: os.close(reader)) if n == 0 else (lambda: None)
        stage.strike("nobody reads what it writes", "none", stage.fleet.pids(), act)
        talks = {f"talks{n}-{i}": {"@task": "talks", "ms": 10} for i in range(1, 301)}
        stage.push(talks)
        time.sleep(2)
    stage.drain()
    bad = [job for job in talks if stage.client.hget(f"result:{job}", "status") != b"completed"]
    stage.expect(not bad, f"{len(bad)} jobs that print and log did not complete: {bad[:3]}")


def twins(stage: Stage) -> None:
    """Worker after worker is process 1 on a host of the same name; each dies, and the next one takes over what it held."""
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        raise Skipped("no namespaces can be made here: unshare is refused")
    with stage.fleet.under(before=ALONE):
        (twin,) = stage.workers(1)
    stage.produce(100)
    for _ in range(10 * stage.times):
        with stage.fleet.under(before=ALONE):
            (heir,) = stage.workers(1)
        stage.kill(twin, [twin.pid])
        stage.fleet.forget(twin)
        until(lambda: stage.client.hlen(final.WORKERS) == 1, 10)  # it has been taken over from
        twin = heir
    stage.workers(1)  # one that can be told to stop: what makes the namespace does not pass that on
    stage.kill(twin, [twin.pid])
    stage.fleet.forget(twin)


def crash_loop(stage: Stage) -> None:
    """A worker that dies 0.2 s after its start, 200 times: what it leaves behind does not add up."""
    stage.workers(2)
    stage.produce(60, 1, 10)
    began, known = oracle.now(), set(map(str, stage.fleet.pids()))
    mayflies = stage.fleet.program(stage.place.url, "chaos.mayflies", MAYFLIES * stage.times, FLIGHT, AT_ONCE)
    seen = set[bytes]()

    def over() -> bool:
        seen.update(stage.client.hkeys(final.WORKERS))
        return mayflies.poll() is not None

    stage.expect(until(over, 60 * stage.times), "the workers that were to die live")
    stage.expect(len(seen) > MAYFLIES // 2, f"{len(seen)} workers were seen: too few to say anything")
    until(lambda: len(stage.client.hkeys(final.WORKERS)) == 2, stage.limit(DEAD_AFTER + 3 * BEAT))
    there = len(stage.client.hkeys(final.WORKERS))
    stage.expect(there <= 2 + 5, f"{there} workers are registered, 2 live")
    kept = [key for key in stage.client.keys("leases:*") if key.split(b":")[-1] not in stage.client.hkeys(final.WORKERS)]
    stage.expect(not kept, f"{len(kept)} lease hashes belong to nobody")
    ran = {path.name.rpartition("-")[2] for path in stage.notes.glob("ran-*")}
    stage.faults.append(Fault(f"{len(seen)} workers died", "death", frozenset(map(int, ran - known)), began, oracle.now(), len(seen)))


ROWS = (
    Row("W18", "nobody reads the output; the disk of the log is full", "work goes on", mute, 1),
    Row("W19", "workers that are process 1 of one host name, killed", "the next one recovers what it held", twins, 10, 2.0),
    Row("W20", "a worker that dies after 0.2 s, 200 times", "the registry does not grow", crash_loop, 1),
)
