"""What the project wants to reach, and whether figures of one run reach it. Ratios to what was measured beside it, wherever there is such a thing."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from benchmarks.figures import Key, Spread
from benchmarks.peers import PEERS

Spreads: TypeAlias = Mapping[Key, Spread]


class Target(NamedTuple):
    """`value` finds the figure among those of one kind of server; `met` judges it. Where something was not measured there is no figure."""

    what: str
    wanted: str
    value: Callable[["Of"], float | None]
    met: Callable[[float], bool]


class Of:
    """The medians of one kind of server."""

    def __init__(self, spreads: Spreads, server: str) -> None:
        self._spreads, self._server = spreads, server

    def median(self, scenario: str, system: str, quantity: str) -> float | None:
        """The median of one figure."""
        found = self._spreads.get(Key(scenario, self._server, system, quantity))
        return found.median if found else None

    def ratio(self, scenario: str, system: str, to: str, quantity: str) -> float | None:
        """One system's median over another's."""
        ours, theirs = self.median(scenario, system, quantity), self.median(scenario, to, quantity)
        return ours / theirs if ours is not None and theirs else None

    def times_the_best(self, peers: Callable[[str], bool]) -> float | None:
        """Chute's drain over that of the best of some peers."""
        rates = [self.median("peers", name, "jobs/s") or 0.0 for name in PEERS if peers(name)]
        ours = self.median("drain", "chute", "jobs/s")
        return ours / max(rates) if ours is not None and any(rates) else None


def _ratio(scenario: str, system: str, to: str, quantity: str) -> Callable[[Of], float | None]:
    return lambda of: of.ratio(scenario, system, to, quantity)


def _median(scenario: str, system: str, quantity: str) -> Callable[[Of], float | None]:
    return lambda of: of.median(scenario, system, quantity)


def _at_least(least: float) -> Callable[[float], bool]:
    return lambda value: value >= least


def _at_most(most: float) -> Callable[[float], bool]:
    return lambda value: value <= most


def _python(name: str) -> bool:
    return not re.search("node|ardiq", name)  # ArdiQ's core is Rust


CEILING, RATE, COST = "ceiling", "jobs/s", "server µs/job"
TARGETS = (
    Target("drain, results stored, all defaults", "≥ 0.75 of the ceiling", _ratio("drain", "chute", CEILING, RATE), _at_least(0.75)),
    Target("the same, beside the best peer in any language", "≥ 5 times", lambda of: of.times_the_best(lambda _: True), _at_least(5)),
    Target("the same, beside the best peer in Python", "≥ 8 times", lambda of: of.times_the_best(_python), _at_least(8)),
    Target("two tasks, a dataclass, 1 % failures", "≥ 0.6 of the ceiling", _ratio("drain-mixed", "chute", CEILING, RATE), _at_least(0.6)),
    Target("drain, result not wanted", "≥ 150,000/s", _median("drain-no-results", "chute", RATE), _at_least(150_000)),
    Target("plain functions", "≥ 25,000/s", _median("drain-def", "chute", RATE), _at_least(25_000)),
    Target("enqueue, one at a time", "≥ 0.8 of a bare lpush", _ratio("enqueue-one", "chute", "lpush", RATE), _at_least(0.8)),
    Target("enqueue, 1,000 callers at once", "≥ 60,000/s", _median("enqueue-concurrent", "chute", RATE), _at_least(60_000)),
    Target("enqueue, in bulk", "≥ 300,000/s", _median("enqueue-bulk", "chute", RATE), _at_least(300_000)),
    Target("pickup when idle, p50", "≤ 1.4 of BRPOP", _ratio("pickup", "chute", "BRPOP", "p50 ms"), _at_most(1.4)),
    Target("pickup when idle, p99", "≤ 2 of BRPOP", _ratio("pickup", "chute", "BRPOP", "p99 ms"), _at_most(2)),
    Target("finish until `await job.aresult()` has it, p50", "≤ 2 ms", _median("result", "await", "p50 ms"), _at_most(2)),
    Target("finish until `job.result()` has it, p50", "≤ 2 ms", _median("result", "result()", "p50 ms"), _at_most(2)),
    Target(
        "2.5 ms of network each way",
        "≥ 0.8 of the local rate",
        _ratio("network-2.5ms", "chute, over the network", "chute", RATE),
        _at_least(0.8),
    ),
    Target("server, with results", "≤ 1.15 of the ceiling's", _ratio("drain", "chute", CEILING, COST), _at_most(1.15)),
    Target("server, without", "≤ 1.15 of the ceiling's", _ratio("drain-no-results", "chute", CEILING, COST), _at_most(1.15)),
    Target(
        "memory of a waiting job of 12 bytes", "≤ its JSON + 40 bytes", _median("waiting", "12 bytes", "bytes above the JSON"), _at_most(40)
    ),
    Target(
        "memory of a waiting job of 200 bytes",
        "≤ its JSON + 40 bytes",
        _median("waiting", "200 bytes", "bytes above the JSON"),
        _at_most(40),
    ),
    Target("worker process", "≤ 40 MB", _median("drain", "chute", "worker MB"), _at_most(40)),
    Target("supervisor", "≤ 20 MB", _median("drain", "chute", "supervisor MB"), _at_most(20)),
    Target(
        "worker process after 10^6 jobs", "as after 10^4", _ratio("backlog", "10^6 waiting", "10^4 waiting", "worker MB"), _at_most(1.1)
    ),
    Target("drain with 10^6 waiting", "≥ 0.95 of 10^4", _ratio("backlog", "10^6 waiting", "10^4 waiting", RATE), _at_least(0.95)),
    Target("10^5 jobs due in one second are released", "≤ 5 s", _median("release", "chute", "s until all are released"), _at_most(5)),
    Target("script calls over 5 ms meanwhile", "none", _median("release", "chute", "script calls over 5 ms"), _at_most(0)),
    Target("two processes: the server is the limit", "≥ 90 % busy", _median("processes", "2 processes", "server busy %"), _at_least(90)),
)
"""In the order of the table."""
