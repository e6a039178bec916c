"""The figures of a bench, and what they say limits the rate. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from chute.bench.door import Load

Limit: TypeAlias = Literal["server", "worker", "slots", "network", "machine"]
BUSY = 0.8
"""Share of its time from which on something is what limits: the last fifth is lost in turns."""
FAR = 0.001
"""Seconds of a round trip from which on the way to the server is what keeps worker and server waiting."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of many durations in seconds, the middle one and the one that 99 of 100 do not exceed."""

    p50: float
    p99: float

    @classmethod
    def of(cls, durations: Sequence[float]) -> "Spread":
        """Of at least one duration."""
        ordered = sorted(durations)
        return cls(*[ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99)])


@dataclass(frozen=True, slots=True)
class Runs:
    """What a worker process tells of the runs in it. Seconds; `elapsed`: from the first start to the last end; `cpu`: of the process in this
    time; `computing`: of that, in the handlers; `inside`: all runs added up; `waits`: from the enqueue to the start of the handler."""

    count: int
    elapsed: float
    cpu: float
    computing: float
    inside: float
    handler: Spread | None
    waits: Spread | None


@dataclass(frozen=True, slots=True)
class Drain:
    """How one worker process emptied the queue. Seconds of a job where nothing else is said; shares are 0 to 1 of one core.

    `slots_busy`: share of the slots that had a job; `others`: commands a second that other clients sent before it; `limit`: what kept the rate
    from being higher.
    """

    jobs: int
    run: int
    failed: int
    error: str | None
    rate: float
    handler: Spread | None
    handler_cpu: float | None
    chute_cpu: float
    worker_busy: float
    slots: int
    slots_busy: float | None
    server_busy: float
    server_cpu: float
    commands: float
    bytes_in: float
    bytes_out: float
    others: float
    shared: bool
    limit: Limit


@dataclass(frozen=True, slots=True)
class Report:
    """All figures; None where it was not measured. `ping`, `pickup` (enqueue to the start of the handler) and `result` (enqueue to the result) in
    seconds; `enqueue` and `enqueue_many` in jobs a second."""

    server: str
    ping: Spread
    enqueue: float | None
    enqueue_many: float | None
    pickup: Spread | None
    result: Spread | None
    drain: Drain


def share(part: float, whole: float) -> float:
    """Of nothing, nothing."""
    return part / whole if whole > 0 else 0.0


def limit_of(server_busy: float, worker_busy: float, slots_busy: float, ping: float) -> Limit:
    """What limits the rate: whoever is busy; else the way between them, and where that is short, the machine that gives them no turn."""
    if server_busy >= BUSY and server_busy >= worker_busy:
        return "server"
    if worker_busy >= BUSY:
        return "worker"
    if slots_busy >= BUSY:
        return "slots"
    return "network" if ping >= FAR else "machine"


@dataclass(frozen=True, slots=True)
class Window:
    """What a server says before and after a drain, and how many commands a second other clients sent before."""

    before: Load
    after: Load
    seconds: float
    others: float


def drain_of(jobs: int, runs: Runs, window: Window, slots: int, ping: Spread) -> Drain:
    """The figures of a drain, without its failures. Raises ZeroDivisionError where nothing ran."""
    before, after, each = window.before, window.after, 1 / runs.count
    commands = after.commands - before.commands
    server_busy, worker_busy = share(after.main - before.main, runs.elapsed), share(runs.cpu, runs.elapsed)
    slots_busy = share(runs.inside, runs.elapsed * slots) if runs.handler else None
    return Drain(
        jobs=jobs,
        run=runs.count,
        failed=0,
        error=None,
        rate=share(runs.count, runs.elapsed),
        handler=runs.handler,
        handler_cpu=runs.computing * each if runs.handler else None,
        chute_cpu=(runs.cpu - runs.computing) * each,
        worker_busy=worker_busy,
        slots=slots,
        slots_busy=slots_busy,
        server_busy=min(1.0, server_busy),
        server_cpu=(after.cpu - before.cpu) * each,
        commands=commands * each,
        bytes_in=(after.received - before.received) * each,
        bytes_out=(after.sent - before.sent) * each,
        others=window.others,
        shared=window.others * window.seconds > 0.05 * commands,
        limit=limit_of(server_busy, worker_busy, slots_busy or 0.0, ping.p50),
    )
