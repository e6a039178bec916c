"""Rows W that are a handler's doing: whatever it does, it is its own job and at most its own process that suffers."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos import final, oracle, processes, rude
from chaos.checker import Fault
from chaos.confined import JOIN, confined
from chaos.fleet import DEAD_AFTER, Worker
from chaos.rows import Row
from chaos.rows.workers import run_of, stops
from chaos.stage import Stage
from servers import until

RUDE, CHILDREN = "chaos.rude:jobs", ("--processes", "2")
Jobs = dict[str, dict[str, Any]]
DEATHS = 3
"""So many times a job may take its process with it."""
DYING = 1_000_000_000
"""Nanoseconds in which a process has died of such a job: what others began in it meanwhile it breaks off too."""


def segfaults(stage: Stage) -> None:
    """A job that kills its process, among fifty that do no harm."""
    _poisonous(stage, {f"guilty-{n}": {"@task": "crash", "ms": 50} for n in range(1, stage.times + 1)})


def leaves(stage: Stage) -> None:
    """Jobs that end their process with exit codes, one of which says that all is well."""
    codes = (0, 139)
    _poisonous(
        stage, {f"guilty{code}-{n}": {"@task": "leaves", "ms": 50, "code": code} for code in codes for n in range(1, stage.times + 1)}
    )


def _poisonous(stage: Stage, guilty: Jobs) -> Worker:
    """Each of these kills its process: three times, then it is a dead letter."""
    with stage.fleet.under(app=RUDE):
        supervisor = stage.workers(1, *CHILDREN)[0]
    neighbours = _neighbours(stage, 50)
    stage.push({**neighbours, **guilty})
    _await_results(stage, guilty, 30)
    history = oracle.read(stage.notes)
    for job in guilty:
        for run in history.runs[job]:
            stage.faults.append(Fault("its process died", "death", frozenset({run.pid}), run.started, run.started + DYING, 1))
        reason = stage.client.hget(f"result:{job}", "@reason")
        stage.expect(len(history.runs[job]) == DEATHS, f"{job} ran {len(history.runs[job])} times, not {DEATHS}")
        stage.expect(reason == b"poison", f"the reason of {job} is {reason!r}, not poison")
    _unharmed(stage, neighbours, supervisor)
    return supervisor


def raises(stage: Stage) -> None:
    """Everything that can be raised and is no ordinary failure, on the loop and in a thread: it is that job's failure."""
    with stage.fleet.under(app=RUDE):
        supervisor = stage.workers(1, *CHILDREN)[0]
    before = supervisor.children()
    raising: Jobs = {
        f"{task}{what}-{n}": {"@task": task, "ms": 5, "what": what}
        for task in ("raises", "raises_in_thread")
        for what in rude.RAISES
        for n in range(1, 5 * stage.times + 1)
    }
    neighbours = _neighbours(stage, 50)
    stage.strike("odd things are raised", "none", supervisor.pids(), lambda: stage.push({**neighbours, **raising}), held=len(raising))
    _await_results(stage, raising, 20)
    for job, fields in raising.items():
        status, error = stage.client.hmget(f"result:{job}", "status", "error")
        named = str(fields["what"]) in (error or b"").decode()
        stage.expect(status == b"failed" and named, f"{job} is {status!r}: {(error or b'')[:80]!r}")
    stage.expect(before == supervisor.children(), f"processes died of it: {supervisor.last_words()}")
    _unharmed(stage, neighbours, supervisor)


def blocked_loops(stage: Stage) -> None:
    """time.sleep in an async handler, for three times as long as a silent worker may live: reported within about a second, and no death."""
    with stage.fleet.under(app=RUDE):
        workers = stage.workers(2, *CHILDREN)
    before = set(stage.client.hkeys(final.WORKERS))

    def told() -> int:
        return sum(worker.log.read_text().count("does not come by") for worker in workers)

    for n in range(1, stage.times + 1):
        job, known = f"blocks-{n}", told()
        stage.push({job: {"@task": "blocks", "ms": int(3000 * DEAD_AFTER)}})
        run = run_of(stage, job)
        stage.push({f"beside{n}-{i}": {"@task": "work", "ms": 50} for i in range(1, 51)})
        seen = until(lambda known=known: told() > known, 5)
        took = (oracle.now() - run.started) / 1e9
        stage.expect(seen and took < stage.limit(1.25), f"a blocked loop was reported after {took:.2f} s")
        stage.strike("a blocked loop", "none", [run.pid], lambda: until(lambda: not final.pending(stage.client), 30))
    after = set(stage.client.hkeys(final.WORKERS))
    stage.expect(before == after, f"{len(before - after)} workers were taken for dead")


def out_of_memory(stage: Stage) -> None:
    """A gigabyte where the address space ends before: a MemoryError, or the end of the process."""
    with stage.fleet.under(app=RUDE, before=("prlimit", f"--as={1000 << 20}")):
        supervisor = stage.workers(1, *CHILDREN)[0]
    greedy: Jobs = {f"greedy-{n}": {"@task": "devours", "ms": 50} for n in range(1, 2 * stage.times + 1)}
    neighbours = _neighbours(stage, 50)
    stage.strike("no memory", "none", supervisor.pids(), lambda: stage.push({**neighbours, **greedy}), held=len(greedy))
    _await_results(stage, greedy, 20)
    for job in greedy:
        error = stage.client.hget(f"result:{job}", "error") or b""
        stage.expect(error.startswith(b"MemoryError"), f"{job} ended with {error[:80]!r}")
    _unharmed(stage, neighbours, supervisor)


def killed_for_memory(stage: Stage) -> None:
    """A gigabyte where the process may have 200 MB: the kernel kills it."""
    with confined("memory", 200 << 20) as group:
        fields = {"@task": "devours", "ms": 50, "group": str(group)}
        _poisonous(stage, {f"greedy-{n}": fields for n in range(1, stage.times + 1)})


def copies(stage: Stage) -> None:
    """200 forks, on the loop and beside it, and processes of `multiprocessing`: what a copy inherits is of no harm to the original."""
    stage.push({f"base-{n}": {"@task": "work", "ms": 1} for n in range(1, 51)})
    with stage.fleet.under(app=RUDE):
        supervisor = stage.workers(1, *CHILDREN)[0]
    _await_results(stage, {f"base-{n}": 0 for n in range(1, 51)}, 10)
    kinds = ("forks", "forks", "forks_on_the_loop", "starts_processes")
    forking: Jobs = {
        f"{kinds[n % 4]}{n}-1": {"@task": kinds[n % 4], "ms": 300, "echo": f"base-{n % 50 + 1}"} for n in range(200 * stage.times)
    }
    neighbours = _neighbours(stage, 200)
    mixed = list({**forking, **neighbours}.items())
    stage.chance.shuffle(mixed)
    before = supervisor.children()
    stage.strike("forks", "none", supervisor.pids(), lambda: stage.push(dict(mixed)), held=len(forking))
    _await_results(stage, forking, 60)
    for job in forking:
        status, code = stage.client.hmget(f"result:{job}", "status", "code")
        stage.expect(status == b"completed" and code in (None, b"0"), f"{job} is {status!r}, its copy ended with {code!r}")
    _await_results(stage, {f"{job}-child": 0 for job in forking}, 10)
    stage.expect(before == supervisor.children(), f"processes died of it: {supervisor.last_words()}")
    _unharmed(stage, neighbours, supervisor)


def multitudes(stage: Stage) -> None:
    """200 processes and 500 threads that never end: killed with their job, past its timeout. And where no more than 300 may be, a failure."""
    with stage.fleet.under(app=RUDE):
        supervisor = stage.workers(1)[0]
    usual = len(_with_url_of(supervisor))
    stage.push({"bomb-1": {"@task": "multiplies", "ms": 0, "processes": 200, "threads": 500}})
    run = run_of(stage, "bomb-1")
    stage.expect(until(lambda: len(_group(run.pid)) > 200, 5), "the processes were not started")
    stage.strike("200 processes, 500 threads", "death", [run.pid], lambda: until(lambda: not processes.alive(run.pid), 10), held=1)
    gone = until(lambda: not _group(run.pid), stage.limit(2))
    stage.expect(gone, f"{len(_group(run.pid))} processes outlived their job by two seconds")
    more = len(_with_url_of(supervisor)) - usual  # also those that left the group
    stage.expect(more <= 0, f"{more} processes more than before")
    _await_results(stage, {"bomb-1": 0}, 5)
    stage.expect(stage.client.hget("result:bomb-1", "status") == b"failed", "the job that would not end did not fail")
    neighbours = _neighbours(stage, 20)
    stage.push(neighbours)
    _unharmed(stage, neighbours, supervisor)


def few_processes(stage: Stage) -> None:
    """The same where no more than 300 processes and threads may be: the attempt fails, and what it started ends with its process."""
    with confined("pids", 300) as group, stage.fleet.under(app=RUDE, before=(*JOIN, str(group))):
        supervisor = stage.workers(1)[0]
        stage.push({"bomb-1": {"@task": "multiplies", "ms": 0, "processes": 200, "threads": 500}})
        run = run_of(stage, "bomb-1")
        stage.strike("no more than 300", "none", [run.pid], lambda: _await_results(stage, {"bomb-1": 0}, 10), held=1)
        error = stage.client.hget("result:bomb-1", "error") or b""
        stage.expect(b"can't start new thread" in error or b"unavailable" in error, f"it ended with {error[:80]!r}")
        neighbours = _neighbours(stage, 20)
        stage.push(neighbours)
        _unharmed(stage, neighbours, supervisor)
        stage.drain()
        stops(stage, supervisor)
        gone = until(lambda: not _group(run.pid), stage.limit(2))
        stage.expect(gone, f"{len(_group(run.pid))} processes outlived their worker by two seconds")


def rudeness(stage: Stage) -> None:
    """What a handler can do to its process: its own may die of it, nobody else's job does, and the worker ends when it is told to."""
    for n, how in enumerate(rude.RUDE):
        with stage.fleet.under(app=RUDE):
            supervisor = stage.workers(1, *CHILDREN, "--grace", "1")[0]
        children = supervisor.children()
        first, second = ({f"{when}{n}-{i}": {"@task": "work", "ms": 50} for i in range(1, 31)} for when in ("beside", "after"))
        stage.push({**first, f"rude-{n}": {"@task": "is_rude", "ms": 50, "how": how}})
        began = oracle.now()
        _await_results(stage, {**first, f"rude-{n}": 0}, 15)
        stage.push(second)
        _await_results(stage, second, 10)
        bad = [job for job in (*first, *second) if stage.client.hget(f"result:{job}", "status") != b"completed"]
        stage.expect(not bad, f"{how}: {len(bad)} neighbours did not complete: {bad[:3]}")
        died = frozenset(run.pid for run in oracle.read(stage.notes).runs[f"rude-{n}"] if not processes.alive(run.pid))
        stage.faults.append(Fault(how, "death" if died else "none", died or frozenset(children), began, oracle.now(), 1))
        stops(stage, supervisor, 1, how)


def floods(stage: Stage) -> None:
    """What comes out of a handler is too much, or nothing that JSON has: the job ends, and the server does not grow by it."""
    with stage.fleet.under(app=RUDE):
        supervisor = stage.workers(1, *CHILDREN)[0]
    neighbours = _neighbours(stage, 50)
    stage.push(neighbours)
    _unharmed(stage, neighbours, supervisor)
    flooding: Jobs = {
        f"flood{i}-{n}": {"@task": "floods", "ms": 5, "how": how} for i, how in enumerate(rude.FLOODS) for n in range(stage.times)
    }
    used = stage.client.info("memory")["used_memory"]
    stage.strike("floods", "none", supervisor.pids(), lambda: stage.push(flooding), held=len(flooding))
    _await_results(stage, flooding, 30)
    until(lambda: not final.pending(stage.client), 10)
    grown = (stage.client.info("memory")["used_memory"] - used) / len(flooding)
    stage.expect(grown < 300 << 10, f"the server grew by {grown / 1024:,.0f} KiB a job")
    for job, fields in flooding.items():
        status, why, size = stage.client.hmget(f"result:{job}", "status", "@result_error", "error")
        right = why if fields["how"].startswith("returns") else status == b"completed" or len(size or b"") <= 8 << 10
        stage.expect(bool(right), f"what {fields['how']} is {status!r}, {why!r}")


def _group(leader: int) -> list[int]:
    """The processes of a process group that run."""
    return [pid for pid in _all_processes() if _of_group(pid, leader)]


def _of_group(pid: int, leader: int) -> bool:
    with contextlib.suppress(OSError):
        return os.getpgid(pid) == leader
    return False


def _with_url_of(worker: Worker) -> list[int]:
    """The processes that were started with the server of a worker: it, and whatever is of it."""

    def url(pid: int) -> bytes:
        with contextlib.suppress(OSError):
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            return next((each for each in variables if each.startswith(b"CHUTE_URL=")), b"")
        return b""

    wanted = url(worker.pid)
    return [pid for pid in _all_processes() if url(pid) == wanted]


def _all_processes() -> list[int]:
    """Those that run; who was orphaned and has ended is whoever's who adopts orphans here."""
    return [pid for path in Path("/proc").glob("[0-9]*") if processes.alive(pid := int(path.name))]


def _neighbours(stage: Stage, count: int) -> Jobs:
    return {f"neighbour-{n}": {"@task": "work", "ms": stage.chance.randint(20, 200)} for n in range(1, count + 1)}


def _await_results(stage: Stage, jobs: Mapping[str, object], seconds: float) -> None:
    def left() -> list[str]:
        return [job for job in jobs if not stage.client.exists(f"result:{job}")]

    stage.expect(until(lambda: not left(), seconds), f"no result after {seconds:g} s: {left()[:3]}")


def _unharmed(stage: Stage, neighbours: Jobs, supervisor: Worker) -> None:
    _await_results(stage, neighbours, 20)
    bad = [job for job in neighbours if stage.client.hget(f"result:{job}", "status") == b"failed"]
    stage.expect(not bad, f"{len(bad)} neighbours failed: {bad[:3]}")
    stage.expect(processes.alive(supervisor.pid), "the supervisor did not survive")


ROWS = (
    Row("W07", "a segfault in a handler", "3 runs, then a dead letter; the neighbours are unharmed", segfaults, least=3),
    Row("W08", "os._exit(0) and os._exit(139) in a handler", "no success: 3 runs, then a dead letter", leaves, least=6),
    Row("W09", "exits, interrupts and other odd things raised", "failures of those jobs alone", raises, 1),
    Row("W10", "a gigabyte where the address space ends before", "a MemoryError of that job", out_of_memory, 1),
    Row("W10b", "a gigabyte where the worker's control group ends before", "as a segfault", killed_for_memory, least=3),
    Row("W13", "time.sleep on the event loop", "reported, nobody is taken for dead", blocked_loops, 1),
    Row("W14", "200 forks in handlers, which use what they inherit", "no wrong reply, no duplicate", copies, 1, asked=8),
    Row("W15", "200 processes and 500 threads of one handler", "they end with their job", multitudes, 1, asked=1),
    Row("W15b", "the same where 300 are too many", "the attempt fails, they end with the worker", few_processes, 1),
    Row("W16", "handlers that change their process: signals, files, ...", "others' jobs complete", rudeness, least=len(rude.RUDE)),
    Row("W17", "floods of output, results that cannot be stored", "300 KiB a job at the most", floods, 1),
)
