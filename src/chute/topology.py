"""Which server has a key: asked of Sentinels, or of the nodes of a Cluster. Asks and remembers; runs no operation.

redis-py does the asking. Its managers have locks, so each process has its own: one that another thread holds during a fork stays locked.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import PRIMARY, ClusterNode, NodesManager
from redis.connection import parse_url
from redis.crc import key_slot
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from chute.address import Several

Node = tuple[str, int]
"""A server's host and port."""
ANSWER = 1.0
"""Seconds that one of them may take to answer: there are others."""
SILENT = 5.0
"""Seconds in which a Sentinel that did not answer is not asked again."""
_PACE = {"socket_timeout": ANSWER, "socket_connect_timeout": ANSWER}


class Sentinels:
    """One primary that Sentinels watch: it has every key."""

    watch: float | None = 0.5
    """Seconds after which they are asked again although nothing has failed: a primary that a planned failover has deposed takes commands for
    some ten seconds more, and what it takes is lost."""

    def __init__(self, several: Several) -> None:
        dialled = parse_url(several.node(*several.hosts[0]))
        tls = {name: value for name, value in dialled.items() if name.startswith("ssl_")}
        secure = {"ssl": True, **tls} if "connection_class" in dialled else {}
        self._name = several.master
        self._sentinels = Sentinel(
            several.hosts, sentinel_kwargs={**_PACE, "retry": Retry(NoBackoff(), 0), **secure, **several.of_sentinels}
        )
        self._primary: Node | None = None
        self._silent: dict[Any, float] = {}
        """Until when each of them is not asked."""

    def look(self) -> None:
        """Asks who is the primary. Raises redis-py's errors; what was known stays known."""
        told = [answer for sentinel in self._sentinels.sentinels if (answer := self._ask(sentinel))]
        if not told:
            raise MasterNotFoundError(f"none of them answers and names a primary called {self._name}")
        self._primary = max(told)[1]

    def _ask(self, sentinel: Any) -> tuple[int, Node] | None:
        """Which primary one of them names, behind the epoch of that news: after a failover some know it two seconds later than others. Who
        did not answer is left alone for a while."""
        if time.monotonic() < self._silent.get(sentinel, 0.0):
            return None
        try:
            state = sentinel.sentinel_masters().get(self._name)
        except (redis.RedisError, OSError):
            self._silent[sentinel] = time.monotonic() + SILENT
            return None
        if not state or not self._sentinels.check_master_state(state, self._name):
            return None
        return int(state["config-epoch"]), (state["ip"], state["port"])

    def node_of(self, key: str | bytes) -> Node | None:
        """Who has that key, as far as is known."""
        return self._primary

    def nodes(self) -> Sequence[Node]:
        """Everybody who has keys."""
        return [self._primary] if self._primary else []

    def told(self, reply: object) -> bool:
        """Whether a reply says that another has what was asked for: a primary that was deposed takes no writes."""
        return isinstance(reply, redis.exceptions.ReadOnlyError)

    def hinted(self, reply: object) -> bool:
        """Whether a reply makes it likely that another is the primary by now: this one has lost its replicas."""
        return isinstance(reply, redis.ResponseError) and str(reply).startswith("NOREPLICAS")


class Slots:
    """The nodes of a Cluster: each has the keys of some slots."""

    watch: float | None = None
    """Who has lost a slot says so at once."""

    def __init__(self, several: Several) -> None:
        options = dict(parse_url(several.node(*several.hosts[0])))
        for name in ("host", "port", "db"):
            options.pop(name, None)
        self._options = {**options, **_PACE}
        self._hosts = several.hosts
        self._manager: Any = None

    def look(self) -> None:
        """Asks who has what. Raises redis-py's errors; what was known stays known."""
        if self._manager is None:
            seeds = [ClusterNode(host, port) for host, port in self._hosts]
            self._manager = NodesManager(seeds, require_full_coverage=False, **self._options)
        else:
            self._manager.initialize()

    def node_of(self, key: str | bytes) -> Node | None:
        """Who has that key, as far as is known; None too for a slot that nobody serves."""
        if self._manager is None:
            return None
        try:
            node = self._manager.get_node_from_slot(key_slot(key.encode() if isinstance(key, str) else key))
        except redis.exceptions.SlotNotCoveredError:
            return None
        return node.host, node.port

    def nodes(self) -> Sequence[Node]:
        """Everybody who has keys."""
        if self._manager is None:
            return []
        return [(node.host, node.port) for node in self._manager.get_nodes_by_server_type(PRIMARY)]

    def told(self, reply: object) -> bool:
        """Whether a reply says that another has what was asked for; who that is, is noted."""
        if isinstance(reply, redis.exceptions.MovedError) and self._manager is not None:
            with suppress(KeyError):  # of a slot that nobody served
                self._manager.move_slot(reply)
        return isinstance(reply, redis.exceptions.MovedError)

    def hinted(self, reply: object) -> bool:
        """Whether a reply makes it likely that another has what was asked for: who has lost a slot says so."""
        return False


def topology(several: Several) -> Sentinels | Slots:
    """What knows who has a key."""
    return Sentinels(several) if several.kind == "sentinel" else Slots(several)
