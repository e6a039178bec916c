"""URL -> who runs the operations that the store builds: one server, or the nodes that Sentinels or a Cluster name. One for each address."""

from typing import TypeAlias

from chute import address
from chute.address import Address
from chute.endpoint import Server
from chute.nodes import Nodes

Endpoint: TypeAlias = Server | Nodes
"""Whoever answers under one address."""

_endpoints: dict[Address, Endpoint] = {}


def reach(where: Address) -> Endpoint:
    """Who answers there, with connections of its own."""
    return Nodes(where) if address.several(where.url) else Server(where)


def endpoint(url: str | None = None) -> Endpoint:
    """The server to use where a queue names `url`; the same object for the same address, so that queues share connections."""
    where = address.resolve(url)
    return _endpoints.get(where) or _endpoints.setdefault(where, reach(where))


def forget(where: Address) -> None:
    """Closes the connections to a server that will not come back; for `chute.testing`."""
    if (gone := _endpoints.pop(where, None)) is not None:
        gone.close()


async def aclose() -> None:
    """Closes the pools of the running event loop."""
    for each in list(_endpoints.values()):
        await each.aclose()
