"""The whole-queue series for Prometheus: what is true of a queue whoever asks, so exactly one target may show them: `chute metrics`, or a program
that registers this collector. What a worker itself has counted, its own port shows.

    from prometheus_client import REGISTRY
    REGISTRY.register(chute.metrics.QueueCollector())
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from chute import envelope, sight, store
from chute.address import Url
from chute.connection import Endpoint, endpoint
from chute.envelope import Refused
from chute.errors import ChuteError, Rejected, ServerUnavailable
from chute.keys import base_of, check_list_name, lists_of
from chute.scrape import Page
from chute.sight import Observed


def page(collector: Collector) -> Page:
    """The series of a collector as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return Page(200, CONTENT_TYPE_LATEST, generate_latest(registry))


class QueueCollector(Collector):
    """Looks at the server when it is scraped: one script call a queue, all in one exchange.

    `url`: the server (default: `CHUTE_URL`, `REDIS_URL`, else the embedded one). `queues`: their names (default: every queue that a worker has
    ever worked). Raises ValueError for what cannot be a name or a URL. A server that does not answer is `chute_server_up` 0, no error.
    """

    def __init__(self, url: str | None = None, queues: Sequence[str] = ()) -> None:
        self._url = url = url and Url(url)
        self._names = [check_list_name(name) for name in queues]
        self._workers: dict[str, list[str]] = {}
        """Of each list, as they were at the last scrape."""
        self._asked: list[str] = []
        """The lists that were looked at last."""
        self._listed: list[str] = []
        self._silent = False
        """Whether a node of the Cluster did not answer."""
        self._seen: dict[str, tuple[bytes, float]] = {}
        """Of each list, the next job that does not say when it was due, and since when it is that."""

    def collect(self) -> Iterator[Metric]:
        """All series at this moment. Of a Cluster of which a node is gone, those of the others."""
        try:
            observed = self.observe()
            memory = max(_memories(endpoint(self._url)), key=_fullness)
        except (ChuteError, ValueError):
            yield _gauge("chute_server_up", "Whether the server answered", [((), 0)])
            return
        yield _gauge("chute_server_up", "Whether the server answered", [((), int(not self._silent))])
        yield from self._of_queues(observed)
        yield from _of_server(memory)

    def observe(self) -> dict[str, Observed]:
        """Every list at this moment: each queue's own, and those of its partitions. Raises ServerUnavailable."""
        where = endpoint(self._url)
        self._silent = False
        known_lists = self._lists(where)
        names = [each for name in self._names for each in lists_of(name, known_lists)] or known_lists
        known = {name: self._workers.get(name, []) for name in names}
        self._asked = names
        found = self._look(where, known)
        changed = {name: each.workers for name, each in found.items() if set(each.workers) != set(known[name])}
        if changed:  # the leases of a worker are counted under its name: look again where there are others than before
            found |= self._look(where, changed)
        self._workers = {name: each.workers for name, each in found.items()}
        return found

    def _lists(self, where: Endpoint) -> list[str]:
        """The names of all lists; where the node is gone that has them, those of the last time."""
        try:
            self._listed = where.run(store.lists())
        except ServerUnavailable:
            if not (where.spread and self._listed):
                raise
            self._silent = True
        return self._listed

    def _look(self, where: Endpoint, workers: dict[str, list[str]]) -> dict[str, Observed]:
        """These lists; where they are spread, without those whose node is gone."""
        try:
            seen = where.run(sight.observe(workers)) if workers else {}
        except ServerUnavailable:
            if not where.spread:
                raise
            seen = {}
            for name, known in workers.items():
                try:
                    seen[name] = where.run(sight.observe({name: known}))[name]
                except ServerUnavailable:
                    self._silent = True
        return {name: each for name, each in seen.items() if each}

    def backlog(self) -> dict[str, int]:
        """What scalers ask of the queues together: `ready`, `running`, `scheduled` jobs, and `backlog`, the first two. Raises
        ServerUnavailable, and Rejected where the server refuses to look at one of them."""
        observed = self.observe()
        if refused := [name for name in self._asked if name not in observed]:
            raise Rejected(f"the server refused to look at queue {', '.join(refused)}")
        ready, running, scheduled = (sum(map(_STATES[state], observed.values())) for state in ("ready", "running", "scheduled"))
        return {"ready": ready, "running": running, "scheduled": scheduled, "backlog": ready + running}

    def _of_queues(self, observed: dict[str, Observed]) -> Iterator[Metric]:
        queues: dict[str, list[tuple[str, Observed]]] = {}
        for name, each in observed.items():
            queues.setdefault(name if name in self._names else base_of(name), []).append((name, each))
        rows = [(queue, [each for _, each in lists]) for queue, lists in queues.items()]
        yield _gauge("queue_depth", "Jobs in the queue list: LLEN", _summed(rows, lambda each: each.queue), "queue")
        states = [((queue, state), count) for state, of in _STATES.items() for (queue,), count in _summed(rows, of)]
        yield _gauge("chute_jobs", "Jobs by state", states, "queue", "state")
        ages = [((queue,), max(self._age(name, each) for name, each in lists)) for queue, lists in queues.items()]
        yield _gauge("chute_oldest_ready_age_seconds", "How long the next job has been due, 0 when none is", ages, "queue")
        workers = [((queue,), max(len(each.workers) for each in lists)) for queue, lists in rows]  # each of them works every list
        yield _gauge("chute_workers", "Workers", workers, "queue")
        paused = [((queue,), int(any(each.paused for each in lists))) for queue, lists in rows]
        yield _gauge("chute_queue_paused", "Whether it is paused", paused, "queue")

    def _age(self, name: str, each: Observed) -> float:
        """Of the next job, from its due time; of one that tells none, from when it was first seen here."""
        if each.oldest is None:
            return 0.0
        try:
            job = envelope.check(each.oldest)
        except Refused:
            job = {}
        due: float = job.get("@due") or job.get("@at") or 0
        if due:
            return max(0.0, each.at - due / 1000)
        digest = hashlib.sha256(each.oldest).digest()
        if self._seen.get(name, (b"",))[0] != digest:
            self._seen[name] = (digest, each.at)
        return each.at - self._seen[name][1]


_STATES: dict[str, Callable[[Observed], int]] = {
    "ready": lambda each: each.queue + each.first,
    "running": lambda each: each.held,
    "scheduled": lambda each: each.scheduled,
    "dead": lambda each: each.dead,
    "refused": lambda each: each.refused,
}


def _summed(rows: list[tuple[str, list[Observed]]], of: Callable[[Observed], int]) -> list[tuple[tuple[str], float]]:
    """One figure of each queue, over its lists."""
    return [((queue,), sum(map(of, lists))) for queue, lists in rows]


def _memories(where: Endpoint) -> list[dict[str, str]]:
    """How full each server is that answers."""
    found = []
    for part in where.parts:
        with suppress(ServerUnavailable):
            found.append(part.run(store.memory_info()))
    return found


def _fullness(memory: dict[str, str]) -> float:
    """How full a server is: the fullest of a Cluster is the first that refuses."""
    used, most = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
    return used / most if most else used / (1 << 60)


def _of_server(memory: dict[str, str]) -> Iterator[Metric]:
    yield _gauge("chute_server_memory_used_bytes", "Memory that the server uses", [((), int(memory.get("used_memory", 0)))])
    yield _gauge("chute_server_memory_max_bytes", "Memory that it may use, 0 = any", [((), int(memory.get("maxmemory", 0)))])
    evicts = memory.get("maxmemory_policy", "noeviction") != "noeviction"
    yield _gauge("chute_server_may_evict", "Whether it may delete jobs when it is full (maxmemory-policy)", [((), int(evicts))])


def _gauge(name: str, text: str, samples: Sequence[tuple[tuple[str, ...], float]], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
