"""Rows L that are about much: jobs, bytes, results, workers, queues, all due at once. Neither the server nor a worker may pay for more than it does."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from chaos import app, final, oracle, processes
from chaos.rows import Row
from chaos.stage import Stage
from servers import send, until

MILLION, PAD, AT_ONCE = 1_000_000, 200, 1000
SLOW, MEBIBYTE = 0.005, 1 << 20
"""Seconds that a script may take at most: as long nobody else is served."""
NOTICED, _MORE = 0.001, re.compile(rb"\((\d+) more arguments\)")
"""Seconds from which on it is looked at what a script was given; how the server says that it shows the beginning alone."""


def backlog(stage: Stage) -> None:
    """A million jobs wait: they are drained as fast as few are, and the server keeps each in little more than its bytes."""
    stage.workers(2, "--concurrency", "16")
    _push(stage, "few", 6000, "accepted")
    few = stage.rate_while(lambda: time.sleep(2))
    until(lambda: not final.pending(stage.client), 20)
    used, size = _used(stage), len(_body("many-1"))

    def act() -> None:
        with watched_scripts(stage, SLOW):
            _push(stage, "many", MILLION * stage.times, "unknown")
            waiting = stage.client.llen(final.QUEUE)
            each = (_used(stage) - used) / waiting - size + PAD
            stage.expect(each < 230, f"a job of {PAD} bytes takes {each:.0f}")
            many = stage.rate_while(lambda: time.sleep(4))
            stage.expect(waiting > 0.9 * MILLION, f"only {waiting:,} were waiting")
            stage.expect(many > 0.9 * few, f"{many:,.0f}/s with a million waiting, {few:,.0f}/s with a few thousand")

    stage.strike("a million jobs", "none", stage.fleet.pids(), act, held=32)
    stage.client.ltrim(final.QUEUE, -2000, -1)  # what is drained like all others need not be drained here


def results(stage: Stage) -> None:
    """Results that live for two seconds, of fifty thousand jobs: the server is then as it was before."""
    stage.workers(2, "--concurrency", "100")
    for name, count in (("warm", 3000), ("many", 50_000 * stage.times)):
        keys, used = stage.client.dbsize(), _used(stage)
        fault = lambda name=name, count=count: _push(stage, name, count, "unknown", **{"@result_ttl": 2})  # noqa: E731 - bound now
        stage.strike(f"{count} results", "none", [], fault, held=count)
        until(lambda: not final.pending(stage.client), 60 * stage.times)
        peak = stage.client.dbsize()
        until(lambda keys=keys: stage.client.dbsize() <= keys + 10, 20)
    stage.expect(peak > keys + 1000, "hardly a result was stored")
    stage.expect(abs(stage.client.dbsize() - keys) <= 10, f"{stage.client.dbsize()} keys, {keys} before")
    stage.expect(abs(_used(stage) / used - 1) < 0.05, f"{_used(stage):,} bytes, {used:,} before")
    ran = [runs for job, runs in oracle.read(stage.notes).runs.items() if job.startswith("many")]
    stage.expect(len(ran) == 50_000 * stage.times and all(len(runs) == 1 for runs in ran), f"{len(ran)} of them ran, or some twice")


def heavy(stage: Stage) -> None:
    """A thousand jobs of the largest size, then one of 512 MB: the first are held a few at a time, the last is refused."""
    (worker,) = stage.workers(1)
    stage.push({f"warm-{n}": {"@task": "work", "ms": 5} for n in range(50)})
    until(lambda: not final.pending(stage.client), 10)
    base = max(map(processes.memory, worker.pids()))
    with _peak(worker.pids()) as peak:
        stage.strike("1,000 jobs of 1 MiB", "none", worker.pids(), lambda: _push_heavy(stage, 1000 * stage.times), held=1)
        until(lambda: not final.pending(stage.client), 30)
    limit = base + 8 * 8 * MEBIBYTE
    stage.expect(peak() < limit, f"a worker had {peak() >> 20} MiB, {base >> 20} before; {limit >> 20} are allowed")
    left = stage.client.xlen("refused:{queue:jobs}")
    with stage.server.new_client(socket_timeout=60) as patient, _peak(worker.pids()) as peak:
        patient.lpush(final.QUEUE, b'{"job_id": "huge", "@task": "padded", "ms": 0, "pad": "' + b"x" * (511 * MEBIBYTE) + b'"}')
        refused = until(lambda: stage.client.xlen("refused:{queue:jobs}") == left + 1, 30)
    stage.expect(refused, "511 MiB were not refused within 30 s")
    stage.expect(
        stage.client.xrevrange("refused:{queue:jobs}", count=1)[0][1][b"reason"] == b"too_large", "it was refused for another reason"
    )
    stage.expect(peak() < limit, f"with 511 MiB a worker had {peak() >> 20} MiB, {base >> 20} before; {limit >> 20} are allowed")
    stage.push({f"behind-{n}": {"@task": "work", "ms": 5} for n in range(50)})


def due_at_once(stage: Stage) -> None:
    """A hundred thousand jobs, due in the same second."""
    stage.workers(2, "--concurrency", "100")
    os.environ["CHUTE_URL"] = stage.place.url  # for what is enqueued here
    due = datetime.now(UTC) + timedelta(seconds=15)
    jobs = [f"due-{n}" for n in range(100_000 * stage.times)]
    sent = oracle.Notebook("sent")
    for first in range(0, len(jobs), AT_ONCE):
        app.jobs.enqueue_many([app.work.options(job_id=job, at=due).bind(0) for job in jobs[first : first + AT_ONCE]])
        for job in jobs[first : first + AT_ONCE]:
            sent.note("accepted", job, oracle.now())
    there = stage.client.zcard("scheduled:{queue:jobs}")
    stage.expect(there == len(jobs), f"{there:,} of {len(jobs):,} wait for their time")

    def act() -> None:
        with watched_scripts(stage, SLOW):
            time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
            began = time.monotonic()
            until(lambda: not stage.client.zcard("scheduled:{queue:jobs}"), 30)
            took = time.monotonic() - began
            stage.expect(took < stage.limit(5), f"it took {took:.1f} s until all were released")

    stage.strike("all due at once", "none", stage.fleet.pids(), act, held=len(jobs))
    until(lambda: not final.pending(stage.client), 60 * stage.times)


def _body(job: str, **fields: Any) -> str:
    return json.dumps({"job_id": job, "@task": "padded", "ms": 20, "pad": "x" * (PAD - 80), **fields})


def _push(stage: Stage, name: str, count: int, noted: str, **fields: Any) -> None:
    """So many jobs, in pieces."""
    sent = oracle.Notebook("sent")
    for first in range(0, count, AT_ONCE):
        jobs = [f"{name}-{n}" for n in range(first, min(count, first + AT_ONCE))]
        for job in jobs:
            sent.note(noted, job, oracle.now())
        stage.client.lpush(final.QUEUE, *[_body(job, **fields) for job in jobs])


def _push_heavy(stage: Stage, count: int) -> None:
    for n in range(count):
        frame = len(json.dumps({"job_id": f"heavy-{n}", "@task": "padded", "ms": 5, "pad": ""}))
        stage.push({f"heavy-{n}": {"@task": "padded", "ms": 5, "pad": "x" * (MEBIBYTE - frame)}})


def _used(stage: Stage) -> int:
    return int(stage.client.info("memory")["used_memory"])


@contextmanager
def watched_scripts(stage: Stage, seconds: float) -> Iterator[None]:
    """No script takes longer than that meanwhile, and none that takes a while has more than a piece of the work."""
    stage.client.config_set("slowlog-log-slower-than", int(min(seconds, NOTICED) * 1e6))
    stage.client.config_set("slowlog-max-len", 10_000)
    send(stage.client, "SLOWLOG", "RESET")
    yield
    scripts = [each for each in stage.client.slowlog_get(10_000) if each["command"].startswith(b"EVAL")]
    worst = max((each["duration"] / 1e6 for each in scripts), default=0.0)
    stage.expect(worst < stage.limit(seconds), f"a script took {worst:.3f} s, the limit is {seconds:g}")
    most = max((int(found[1]) for each in scripts if (found := _MORE.search(each["command"]))), default=0)
    stage.expect(most < 3 * AT_ONCE, f"a script got {most:,} arguments at once")


@contextmanager
def _peak(pids: list[int]) -> Iterator[Callable[[], int]]:
    """The most memory that one of these processes has meanwhile."""
    most, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            most[0] = max(most[0], *map(processes.memory, pids))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        ended.set()
        thread.join()


ROWS = (
    Row("L01", "a million jobs wait", "drained at 90 % of the rate of a few, 230 bytes a job of 200", backlog, 1, alone=True),
    Row("L02", "50,000 results that live for 2 s", "keys and memory as before", results, 2),
    Row("L03", "1,000 jobs of 1 MiB, one of 511", "held a few at a time; refused", heavy, 1),
    Row("L07", "100,000 jobs due in one second", "released within 5 s", due_at_once, 1, alone=True),
)
