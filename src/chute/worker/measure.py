"""How a worker is, for whoever watches it: what its meters have counted, whether it can claim, how late its loop comes. Reads, changes nothing."""

from chute.worker import clock
from chute.worker.engine import Engine
from chute.worker.lane import Lane
from chute.worker.wire import Counts, Measured

UNSERVED = 5.0
"""Seconds without a proper answer to a claim after which a worker is not ready. A wait is answered after two."""


def measure(engine: Engine, lag: float) -> Measured:
    """At this moment."""
    now = clock.now()
    running = dict.fromkeys(engine.lanes, 0)
    for held in engine.slots.started:
        running[held.lane] += 1
    ready = all(route.line.up for route in engine.routes) and not engine.stopping and all(_served(lane, now) for lane in engine.lanes)
    return Measured(ready, lag, dict(engine.errors), {lane.name: _counts(lane, running[lane]) for lane in engine.lanes})


def _served(lane: Lane, now: float) -> bool:
    return lane.live and (lane.unserved_since is None or now - lane.unserved_since < UNSERVED)


def _counts(lane: Lane, running: int) -> Counts:
    meter = lane.meter
    return Counts(
        meter.claimed,
        [(task, kind, count) for (task, kind), count in meter.finished.items()],
        {task: (histogram.counts, histogram.total) for task, histogram in meter.durations.items()},
        (meter.waits.counts, meter.waits.total),
        running,
    )
