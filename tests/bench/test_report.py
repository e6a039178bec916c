"""The figures of a bench: what is counted of a drain, and what limits it."""

from dataclasses import replace

import pytest

from chute.bench.door import Load
from chute.bench.report import Limit, Runs, Spread, Window, drain_of, limit_of

RUNS = Runs(1000, 2.0, 1.0, 0.4, 100.0, Spread(0.1, 0.2), None)
BEFORE = Load(5.0, 6.0, 100, 1_000, 2_000, 0, 0)
WINDOW = Window(BEFORE, Load(6.0, 8.0, 3_100, 201_000, 82_000, 0, 0), 2.5, 0.0)
NEAR = Spread(0.0001, 0.0002)


@pytest.mark.parametrize(
    ("durations", "p50", "p99"),
    [([3.0], 3.0, 3.0), ([2.0, 1.0], 2.0, 2.0), ([float(n) for n in range(1000, 0, -1)], 501.0, 991.0)],
)
def test_a_spread(durations: list[float], p50: float, p99: float) -> None:
    assert Spread.of(durations) == Spread(p50, p99)


@pytest.mark.parametrize(
    ("server", "worker", "slots", "ping", "limit"),
    [
        (0.9, 0.85, 1.0, 0.01, "server"),
        (0.85, 0.95, 1.0, 0.0001, "worker"),
        (0.3, 0.81, 1.0, 0.01, "worker"),
        (0.3, 0.3, 0.9, 0.01, "slots"),
        (0.3, 0.3, 0.5, 0.002, "network"),
        (0.7, 0.7, 0.0, 0.0001, "machine"),
    ],
)
def test_who_is_busy_limits(server: float, worker: float, slots: float, ping: float, limit: Limit) -> None:
    assert limit_of(server, worker, slots, ping) == limit


def test_a_drain_of_a_task() -> None:
    drain = drain_of(1200, RUNS, WINDOW, 100, NEAR)
    assert (drain.jobs, drain.run, drain.rate, drain.worker_busy, drain.server_busy) == (1200, 1000, 500, 0.5, 0.5)
    assert (drain.handler_cpu, drain.chute_cpu, drain.slots_busy) == (pytest.approx(0.0004), pytest.approx(0.0006), 0.5)
    assert (drain.server_cpu, drain.commands, drain.bytes_in, drain.bytes_out) == tuple(map(pytest.approx, (0.002, 3, 200, 80)))
    assert (drain.shared, drain.limit) == (False, "machine")


def test_a_drain_of_nothing_has_no_handler() -> None:
    drain = drain_of(1000, replace(RUNS, computing=0.0, inside=0.0, handler=None), WINDOW, 100, NEAR)
    assert (drain.handler, drain.handler_cpu, drain.slots_busy, drain.chute_cpu) == (None, None, None, pytest.approx(0.001))


@pytest.mark.parametrize(("others", "shared"), [(50, False), (70, True)])
def test_a_server_that_others_use_is_shared(others: float, shared: bool) -> None:
    """Of 3,000 commands in 2.5 s, a twentieth are 60 a second."""
    assert drain_of(1000, RUNS, replace(WINDOW, others=others), 100, NEAR).shared is shared
