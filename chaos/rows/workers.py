"""Rows W: what can happen to the process that works."""

import math
import re
import signal
import time

from chaos import final, oracle, processes
from chaos.checker import Fault
from chaos.fleet import DEAD_AFTER, GRACE, Failure, Worker
from chaos.rows import Row
from chaos.stage import Stage
from servers import until

CHILDREN = ("--processes", "2")
TIMEOUT, HARD_STOP = 1.0, 5.0
"""Seconds: the timeout of the tasks that spin, and the time past it after which what cannot be stopped is killed with its process."""


def calm(stage: Stage) -> None:
    """No fault at all: the suite itself must be quiet then. One worker and one producer, so that the order shows."""
    stage.workers(1)
    for first in range(1, 1000 * stage.times, 1000):
        stage.push({f"calm-{n}": {"@task": "work", "ms": n % 5} for n in range(first, first + 1000)})
        until(lambda: stage.client.llen(final.QUEUE) < 10_000, 60)


def killed(stage: Stage) -> None:
    """One worker stays, so that somebody watches the others die."""
    stage.workers(4)
    stage.produce(250)
    for _ in range(20 * stage.times):
        time.sleep(stage.chance.uniform(0.3, 0.9))
        victim = _one_that_holds(stage, stage.fleet.workers[1:])
        target = stage.chance.choice(victim.pids())
        stage.kill(victim, [target])
        if target == victim.pid:
            stage.fleet.forget(victim)
            stage.fleet.worker(stage.server.url)


def killed_by_the_clock(stage: Stage) -> None:
    """A worker is killed with everything, and another has the clock of production: beats of 5 s, dead after 30 s."""
    survivor, victim = stage.workers(2, clock=(5.0, 30.0))
    stage.push({f"held-{n}": {"@task": "work", "ms": 2000} for n in range(1, 33)})
    until(lambda: survivor.held() > 0 and victim.held() > 0, 10)
    stage.kill(victim, [victim.pid])
    stage.fleet.forget(victim)
    until(lambda: not final.pending(stage.client), 60)


def rolled(stage: Stage) -> None:
    """Deploys: by SIGHUP, which replaces the processes one by one, and by a new worker before the old one is stopped."""
    worker = stage.workers(1, *CHILDREN)[0]
    stage.produce(250)
    for n in range(20 * stage.times):
        if n % 2:
            old, worker = worker, stage.workers(1, *CHILDREN)[0]
            _stops_busy(stage, old)
        else:
            before = set(worker.children())
            stage.strike("SIGHUP", "none", worker.pids(), lambda: _rolls(stage, worker, before))  # noqa: B023 - called at once


def _rolls(stage: Stage, worker: Worker, before: set[int]) -> None:
    worker.signal(signal.SIGHUP)
    done = until(lambda: len(worker.children()) == 2 and not before & set(worker.children()), 20)
    stage.expect(done, f"the processes were not replaced within 20 s: {worker.last_words()}")


def suspended(stage: Stage) -> None:
    """A zombie: it sleeps through its own death and wakes with work in its hands."""
    *_, victim = stage.workers(3)
    stage.produce(250)
    for _ in range(2 * stage.times):
        time.sleep(0.5)
        stage.freeze(victim, 3 * DEAD_AFTER)
        until(lambda: victim.held() > 0, 5)


def told_twice(stage: Stage) -> None:
    """A second SIGTERM gives what runs back at once; a SIGKILL in the middle of the grace is a death like any other."""
    stage.workers(1)
    stage.produce(60)
    for n in range(2 * stage.times):
        (worker,) = stage.workers(1, "--grace", "5")
        stage.push({f"long{n}-{i}": {"@task": "work", "ms": 4500} for i in range(1, 11)})
        until(lambda worker=worker, n=n: _runs_one_of(stage, worker, f"long{n}-"), 10)
        stage.strike("SIGTERM, SIGTERM", "none", worker.pids(), lambda worker=worker: _told_twice(stage, worker))
    for n in range(2 * stage.times):
        (worker,) = stage.workers(1, "--grace", "2", "--concurrency", "3")
        stage.push({f"longer{n}-{i}": {"@task": "work", "ms": 1500} for i in range(1, 13)})
        until(lambda worker=worker, n=n: _runs_one_of(stage, worker, f"longer{n}-"), 10)
        worker.signal(signal.SIGTERM)
        time.sleep(1)
        stage.kill(worker, worker.pids())
        stage.fleet.forget(worker)
    stage.fleet.quiet()
    until(lambda: not final.pending(stage.client), 30)


def _runs_one_of(stage: Stage, worker: Worker, named: str) -> bool:
    pids = worker.pids()
    return any(run.pid in pids and run.ended is None and run.job.startswith(named) for run in oracle.read(stage.notes).all_runs())


def _told_twice(stage: Stage, worker: Worker) -> None:
    worker.signal(signal.SIGTERM)
    time.sleep(0.3)
    held = worker.held()
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    code = worker.wait(10)
    took = time.monotonic() - began
    stage.expect(held > 0, "it held nothing when it was told a second time")
    stage.expect(code == 0 and took < stage.limit(1), f"a second SIGTERM took {took:.1f} s, exit code {code}: {worker.last_words()}")
    stage.fleet.forget(worker)


def told_to_stop(stage: Stage) -> None:
    """SIGTERM: idle, busy, in the middle of a finish, and with jobs that outlast the grace."""
    stops(stage, stage.workers(1)[0])
    stage.workers(1)
    stage.produce(150)
    for _ in range(3 * stage.times):
        _stops_busy(stage, stage.workers(1)[0])
    proxy = stage.proxy()
    worker = stage.workers(1, via=proxy)[0]
    faults = len(stage.faults)
    proxy.fault = lambda name, _: "late" if name == "finish" and len(stage.faults) == faults else None
    stage.expect(until(lambda: len(stage.faults) > faults, 5), "no finish was held up")
    stops(stage, worker)
    stage.drain()
    worker = stage.workers(1, "--grace", "0.3")[0]
    stage.push({f"long-{n}": {"@task": "work", "ms": 3000} for n in range(1, 17)})
    _stops_busy(stage, worker, 0.3)


def endless(stage: Stage) -> None:
    """Loops that nothing stops but SIGKILL: in a thread, and on the event loop."""
    stage.workers(1, *CHILDREN)
    for n in range(1, stage.times + 1):
        loops = [f"spin-{n}", f"spinthread-{n}"]
        stage.push({loops[0]: {"@task": "spin", "ms": 0}, loops[1]: {"@task": "spin_in_thread", "ms": 0}})
        stage.push({f"neighbour{n}-{i}": {"@task": "work", "ms": 100} for i in range(1, 51)})
        runs = [run_of(stage, job) for job in loops]
        died = _deaths({run.pid for run in runs}, TIMEOUT + HARD_STOP + 2)
        for run in runs:
            _killed_in_time(stage, run, died.get(run.pid, 0))


def hogs(stage: Stage) -> None:
    """A handler that keeps the interpreter's lock for three times as long as a silent worker may live, also past the grace of a SIGTERM."""
    (other,) = stage.workers(1)
    supervisor = stage.workers(1, *CHILDREN, "--grace", "1")[0]
    letters = _letters(3 * DEAD_AFTER)
    before = set(stage.client.hkeys(final.WORKERS))
    for n in range(1, stage.times + 1):
        jobs = {f"hog{n}-{i}": {"@task": "hog", "letters": letters} for i in range(1, 4)}
        stage.push(jobs)
        pids = [run.pid for run in _runs_of(stage, list(jobs), 60)]  # one may wait behind another that holds its process
        stage.strike("hog", "none", pids, lambda: until(lambda: not final.pending(stage.client), 60))
    after = set(stage.client.hkeys(final.WORKERS))
    stage.expect(before == after, f"{len(before - after)} workers were taken for dead")
    stops(stage, other)  # now nobody else can take them
    stage.push({f"last-{i}": {"@task": "hog", "letters": letters} for i in range(1, 4)})
    stage.strike("SIGTERM to a hog", "death", supervisor.pids(), lambda: stops(stage, supervisor, 1))
    stage.workers(2)
    until(lambda: not final.pending(stage.client), 60)  # all of them may have come to one worker, one behind the other


def _one_that_holds(stage: Stage, workers: list[Worker]) -> Worker:
    if not until(lambda: any(worker.held() for worker in workers), 10):
        raise Failure("no worker held anything for 10 s")
    return stage.chance.choice([worker for worker in workers if worker.held()] or workers)


def stops(stage: Stage, worker: Worker, grace: float = GRACE, before: str = "") -> None:
    """Ends it as an operator does, in time and well. `before`: what was done to it, for the complaint."""
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    code = worker.wait(grace + 5)
    took = time.monotonic() - began
    stage.expect(code == 0, f"exit code {code} after {before or 'work'} and SIGTERM: {worker.last_words()}")
    stage.expect(took < grace + stage.limit(1), f"after {before or 'work'} SIGTERM took {took:.1f} s, the grace is {grace:g} s")
    if code is None:
        stage.kill(worker)
    stage.fleet.forget(worker)


def _stops_busy(stage: Stage, worker: Worker, grace: float = GRACE) -> None:
    stage.strike("SIGTERM", "none", worker.pids(), lambda: stops(stage, worker, grace))


def run_of(stage: Stage, job: str) -> oracle.Run:
    """The first run of a job; it is waited for."""
    if not until(lambda: bool(oracle.read(stage.notes).runs.get(job)), 10):
        raise Failure(f"job {job} was not started within 10 s")
    return oracle.read(stage.notes).runs[job][0]


def _runs_of(stage: Stage, jobs: list[str], seconds: float) -> list[oracle.Run]:
    """The first run of each, but of those that came to an end without one."""

    def begun() -> bool:
        return {*jobs} <= oracle.read(stage.notes).runs.keys() or not final.pending(stage.client)

    if not until(begun, seconds):
        raise Failure(f"one of {', '.join(jobs)} was not started within {seconds:g} s")
    runs = oracle.read(stage.notes).runs
    return [runs[job][0] for job in jobs if job in runs]


def _deaths(pids: set[int], seconds: float) -> dict[int, int]:
    """When each of these processes died."""
    died: dict[int, int] = {}

    def all_dead() -> bool:
        died.update({pid: oracle.now() for pid in pids - died.keys() if not processes.alive(pid)})
        return died.keys() == pids

    until(all_dead, seconds)
    return died


def _killed_in_time(stage: Stage, run: oracle.Run, at: int) -> None:
    took = max(0, at - run.started) / 1e9
    limit = TIMEOUT + HARD_STOP
    stage.expect(
        limit - 0.1 < took < limit + stage.limit(0.5), f"{run.job} was killed after {took:.1f} s, not {limit:g} to {limit + 0.5:g}"
    )
    stage.faults.append(Fault("killed past its timeout", "death", frozenset({run.pid}), at, at, 1))
    failed = until(lambda: stage.client.hget(f"result:{run.job}", "status") == b"failed", 2)
    stage.expect(failed, f"{run.job} has no failure 2 s after its process was killed")


def _letters(seconds: float) -> int:
    """For how many letters the hog takes about so long here; each doubles it."""
    known, took = 18, 0.0
    while took < 0.1:
        known += 1
        began = time.monotonic()
        re.match("(a+)+$", "a" * known + "b")
        took = time.monotonic() - began
    return known + round(math.log2(seconds / took))


ROWS = (
    Row("W00", "no fault", "each job runs once, in order", calm, least=0, ordered=True),
    Row("W01", "kill -9 of a worker or a child, every 0.3 to 0.9 s", "the others recover what it held", killed, least=20, recovery=2.0),
    Row("W02", "kill -9 of a supervisor, with the clock of production", "recovered after 41 s at the most", killed_by_the_clock, 1, 41.0),
    Row(
        "W03",
        "SIGSTOP for three times the time of death, SIGCONT",
        "late outcomes change nothing, it goes on under a new id",
        suspended,
        2,
        2.0,
        2.0,
    ),
    Row(
        "W04",
        "SIGTERM: idle, busy, with a finish held up, past the grace",
        "exit 0 in grace + 1 s, no attempt is burned",
        told_to_stop,
        least=5,
    ),
    Row("W05", "SIGTERM twice; SIGTERM, then SIGKILL at half of the grace", "given back at once; a death", told_twice, 4, recovery=3.0),
    Row("W06", "20 deploys under load, by SIGHUP and by successors", "no duplicate", rolled, 20),
    Row("W11", "an endless loop, timeout 1 s", "killed at 6.0 to 6.5 s, a failed attempt", endless, least=2),
    Row("W12", "a handler that keeps the interpreter's lock", "no worker is taken for dead, SIGTERM is obeyed", hogs, least=1),
)
