"""Who has which key, where several servers are behind one address, and the clients of each. Runs no operation."""

import asyncio
import os
import time
from contextlib import suppress

import redis

from chute import address
from chute.address import Address
from chute.endpoint import Server, unreachable
from chute.errors import ServerUnavailable
from chute.operation import discreet
from chute.topology import Sentinels, Slots, topology

UNHEARD = 10.0
"""Seconds in which those who did not answer are not asked again without need."""
PACE = 0.1
"""Seconds between two times of asking at the least: many callers may want to know at once."""
_KINDS = {"cluster": "the Cluster", "sentinel": "the Sentinels"}
_UNHEARD = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)


class Atlas:
    """The servers of a Cluster, or the primary that Sentinels name, as far as is known."""

    def __init__(self, where: Address) -> None:
        those = address.several(where.url)
        if those is None:
            raise ValueError(f"{address.redact(where.url)} names one server")
        self.address = where
        self._several = those
        self.spread = those.kind == "cluster"
        """Whether keys are on different servers."""
        self._looked = self._asked = 0.0
        self._topologies: dict[int, Sentinels | Slots] = {}
        self._servers: dict[tuple[str, int], Server] = {}

    @property
    def doubtful(self) -> bool:
        """Whether it is time to ask again who has what."""
        watch = self._topology.watch
        return watch is not None and time.monotonic() > self._looked + watch

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return bool(self._topology.nodes())

    @property
    def parts(self) -> list[Server]:
        """Everybody who has keys."""
        if not self.known:
            self.look()
        return self.known_parts

    @property
    def known_parts(self) -> list[Server]:
        """Everybody who has keys, as far as is known: asks nobody."""
        return [self.server(*node) for node in self._topology.nodes()]

    def look(self) -> None:
        """Asks who has what. Where nobody answers, what was known stays known; raises ServerUnavailable where nothing was."""
        now = time.monotonic()
        if self.known and now - self._asked < PACE:
            return
        self._looked = self._asked = now
        try:
            self._topology.look()
        except _UNHEARD as error:
            self._looked += UNHEARD
            if not self._topology.nodes():
                raise self.unreachable(discreet(error)) from error

    async def alook(self) -> None:
        """As `look`, for asyncio code that goes on where nobody answers."""
        with suppress(ServerUnavailable):
            await asyncio.to_thread(self.look)

    def elsewhere(self, reply: object) -> bool:
        """Whether a reply says that another server has what was asked for; noted, if it says which. One that only hints at it makes doubtful what
        is known."""
        if self._topology.hinted(reply):
            self._looked = 0.0
        return self._topology.told(reply)

    def server_of(self, key: str | bytes) -> Server | None:
        """Who has that key, as far as is known; "" is any."""
        topology = self._topology
        node = topology.node_of(key) if key else next(iter(topology.nodes()), None)
        return self.server(*node) if node else None

    def server(self, host: str, port: int) -> Server:
        """The server there."""
        if (known := self._servers.get((host, port))) is None:
            known = self._servers.setdefault((host, port), Server(Address(self._several.node(host, port), self.address.how)))
        return known

    def close(self) -> None:
        """Closes the connections of blocking code in this process."""
        for each in self._servers.values():
            each.close()

    async def aclose(self) -> None:
        """Closes the connections of the running event loop."""
        for each in self._servers.values():
            await each.aclose()

    def unreachable(self, error: BaseException | None, unsent: str = "") -> ServerUnavailable:
        """The error that says so, for people."""
        return unreachable(self.address, _KINDS[self._several.kind], error, unsent)

    @property
    def _topology(self) -> Sentinels | Slots:
        if (known := self._topologies.get(os.getpid())) is None:
            known = self._topologies.setdefault(os.getpid(), topology(self._several))
        return known
