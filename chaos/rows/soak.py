"""Row L08: faults of every kind, one after the other by chance, for as long as is wanted: `python -m chaos L08 --times 60` is an hour."""

import signal
import time
from collections.abc import Callable
from functools import partial

from chaos import faults
from chaos.final import WORKERS
from chaos.fleet import BEAT, Failure, Worker
from chaos.rows import APPEND_ONLY, Row
from chaos.rows.workers import CHILDREN, stops
from chaos.stage import Stage
from servers import send, until

MINUTE = 60.0
REST = (1.0, 3.0)
"""Seconds between two faults."""
LARGE = 100_000
DEAD_AFTER = 4.0
"""Seconds, more than in other rows: a server with the results of an hour is away for a second until it has loaded them, and who is dialling it again
may come two seconds after the others."""
CLOCK = (BEAT, DEAD_AFTER)


def soak(stage: Stage) -> None:
    """A worker that nobody strikes alone, so that its files and its memory are watched all the time; three others; both kinds of producers."""
    stage.workers(1, clock=CLOCK)
    stage.workers(1, *CHILDREN, clock=CLOCK)
    stage.workers(2, clock=CLOCK)
    stage.produce(100)
    end, n = time.monotonic() + MINUTE * stage.times, 0
    while time.monotonic() < end:
        n += 1
        stage.push({f"large{n}-{i}": {"@task": "padded", "ms": 20, "pad": "x" * LARGE} for i in range(5)})
        stage.chance.choice(FAULTS)(stage)
        time.sleep(stage.chance.uniform(*REST))
        _full_strength(stage)
    forgotten = until(lambda: stage.client.hlen(WORKERS) == sum(len(each.children()) for each in stage.fleet.workers), 2 * DEAD_AFTER + 5)
    stage.expect(forgotten, "who died last is still registered")


def _full_strength(stage: Stage) -> None:
    while len(stage.fleet.workers) < 4:
        stage.workers(1, clock=CLOCK)


def _victim(stage: Stage) -> Worker:
    others = stage.fleet.workers[1:]
    if not until(lambda: any(worker.held() for worker in others), 10):
        raise Failure("nobody held anything for 10 s")
    return stage.chance.choice([worker for worker in others if worker.held()] or others)


def _kill(stage: Stage) -> None:
    victim = _victim(stage)
    stage.kill(victim, [victim.pid])
    stage.fleet.forget(victim)


def _kill_child(stage: Stage) -> None:
    victim = _victim(stage)
    stage.kill(victim, [stage.chance.choice(victim.children())])


def _freeze(stage: Stage) -> None:
    stage.freeze(_victim(stage), stage.chance.uniform(0.5, 3) * DEAD_AFTER)


def _stop(stage: Stage) -> None:
    victim = _victim(stage)
    stage.strike("SIGTERM", "none", victim.pids(), partial(stops, stage, victim))


def _deploy(stage: Stage) -> None:
    victim = _victim(stage)
    before = set(victim.children())
    victim.signal(signal.SIGHUP)
    done = until(lambda: not before & set(victim.children()), 20)
    stage.expect(done, f"the processes were not replaced within 20 s: {victim.last_words()}")


def _of_server(what: str, act: Callable[[Stage], object]) -> Callable[[Stage], object]:
    return lambda stage: stage.strike_server(what, partial(act, stage))


FAULTS: tuple[Callable[[Stage], object], ...] = (
    _kill,
    _kill_child,
    _freeze,
    _stop,
    _deploy,
    _of_server("kill -9 of the server", lambda stage: faults.crash(stage, 0.5)),
    _of_server("SIGSTOP of the server, 2 s", lambda stage: faults.freeze(stage, 2)),
    _of_server("CLIENT PAUSE, 2 s", lambda stage: faults.pause_writes(stage, 2)),
    _of_server("BUSY, 1 s", lambda stage: faults.keep_busy(stage, 1)),
    _of_server("SCRIPT FLUSH", lambda stage: send(stage.client, "SCRIPT", "FLUSH")),
    _of_server("CLIENT KILL", lambda stage: send(stage.client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")),
)

ROWS = (Row("L08", "a minute of all of it, by chance", "nothing lost, no growth", soak, 8, options=APPEND_ONLY),)
