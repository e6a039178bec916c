"""What the processes of one `chute work` have counted, together, as Prometheus reads it. Whoever ended is not forgotten: counters only grow.

The names and their meaning are public. Reads what the supervisor's loop writes, from the thread that answers a scrape.
"""

import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from chute.keys import base_of
from chute.release import VERSION
from chute.supervisor.agent import Agent
from chute.supervisor.child import Child
from chute.worker.meter import BUCKETS
from chute.worker.wire import Measured

OUTCOMES = {"again": "retry"}
"""How an outcome is called here, where that differs."""
Piled = tuple[list[int], float]


class Sum:
    """What several processes have counted."""

    def __init__(self) -> None:
        self.claimed: Counter[str] = Counter()
        self.finished: Counter[tuple[str, str, str]] = Counter()
        """By queue, task and kind of outcome."""
        self.durations: defaultdict[tuple[str, str], Piled] = defaultdict(_nothing)
        self.waits: defaultdict[str, Piled] = defaultdict(_nothing)
        self.errors: Counter[str] = Counter()

    def add(self, measured: Measured) -> None:
        """One more process."""
        self.errors.update(measured.errors)
        for name, counts in measured.queues.items():
            queue = base_of(name)
            self.claimed[queue] += counts.claimed
            for task, kind, count in counts.finished:
                self.finished[queue, task, kind] += count
            for task, more in counts.durations.items():
                self.durations[queue, task] = _piled(self.durations[queue, task], more)
            self.waits[queue] = _piled(self.waits[queue], counts.waits)

    def copy(self) -> "Sum":
        """Another with the same counts."""
        other = Sum()
        other.claimed, other.finished, other.errors = Counter(self.claimed), Counter(self.finished), Counter(self.errors)
        other.durations.update(self.durations)
        other.waits.update(self.waits)
        return other


class Figures(Collector):
    """The series of a supervisor. `past`: what ended children had counted."""

    def __init__(self, past: Sum, children: list[Child], agent: Agent, slots: int) -> None:
        self._past, self._children, self._agent, self._slots = past, children, agent, slots

    def collect(self) -> Iterator[Metric]:
        """All series at this moment."""
        total, living = self._past.copy(), [child for child in list(self._children) if child.measured]
        for child in living:
            if child.measured:
                total.add(child.measured)
        total.errors.update(self._agent.errors)
        yield from _counters(total, self._agent)
        yield from _histograms(total)
        yield from self._gauges([child.measured for child in living if child.measured and child.code is None])

    def _gauges(self, living: list[Measured]) -> Iterator[Metric]:
        running: Counter[str] = Counter()
        slots: Counter[str] = Counter()
        for each in living:
            for name, counts in each.queues.items():
                running[base_of(name)] += counts.running
            slots.update(dict.fromkeys(map(base_of, each.queues), self._slots))
        yield _gauge("chute_jobs_running", "Jobs that run now", ["queue"], [((queue,), count) for queue, count in running.items()])
        yield _gauge(
            "chute_worker_slots", "Jobs that may run at once, shared by the queues", ["queue"], [((q,), n) for q, n in slots.items()]
        )
        lag = max((each.lag for each in living), default=0.0)
        yield _gauge("chute_event_loop_lag_seconds", "By how much an event loop came late in the last second, at the most", [], [((), lag)])
        yield _gauge("chute_build_info", "1", ["version", "python"], [((VERSION, platform.python_version()), 1)])


def _counters(total: Sum, agent: Agent) -> Iterator[Metric]:
    yield _counter("chute_jobs_claimed", "Jobs taken out of the queue", ["queue"], [((q,), n) for q, n in total.claimed.items()])
    finished = [((queue, task, OUTCOMES.get(kind, kind)), count) for (queue, task, kind), count in total.finished.items()]
    yield _counter("chute_jobs_finished", "Outcomes of jobs", ["queue", "task", "outcome"], finished)
    none = dict.fromkeys(total.claimed, 0)  # a series that began with its first count would hide that from `increase`
    reclaimed = [((queue,), count) for queue, count in (none | _by_queue(agent.reclaimed)).items()]
    yield _counter("chute_leases_reclaimed", "Jobs taken over from dead workers", ["queue"], reclaimed)
    dropped = [((queue,), count) for queue, count in (none | _by_queue(agent.dropped)).items()]
    yield _counter("chute_dead_letters_dropped", "Dead letters dropped for their number or age", ["queue"], dropped)
    yield _counter("chute_server_errors", "Commands that the server refused", ["kind"], [((k,), n) for k, n in total.errors.items()])


def _histograms(total: Sum) -> Iterator[Metric]:
    durations = HistogramMetricFamily("chute_job_duration_seconds", "How long runs took", labels=["queue", "task"])
    for labels, (counts, seconds) in total.durations.items():
        durations.add_metric(labels, _buckets(counts), seconds)
    yield durations
    waits = HistogramMetricFamily("chute_job_wait_seconds", "From when a job was due until it was started", labels=["queue"])
    for queue, (counts, seconds) in total.waits.items():
        waits.add_metric([queue], _buckets(counts), seconds)
    yield waits


def _by_queue(counts: Counter[str]) -> Counter[str]:
    """The counts of lists, by the queues that these belong to."""
    total: Counter[str] = Counter()
    for name, count in counts.items():
        total[base_of(name)] += count
    return total


def _nothing() -> Piled:
    return [0] * (len(BUCKETS) + 1), 0.0


def _piled(one: Piled, other: Piled) -> Piled:
    return [a + b for a, b in zip(one[0], other[0], strict=True)], one[1] + other[1]


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    """As Prometheus wants them: cumulative."""
    piled, found = 0, []
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
        piled += count
        found.append((bound, float(piled)))
    return found


Samples = Iterable[tuple[tuple[str, ...], float]]


def _counter(name: str, text: str, labels: list[str], samples: Samples) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in samples:
        family.add_metric(values, count)
    return family


def _gauge(name: str, text: str, labels: list[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
