"""Moves a slot of a Cluster at once, as Valkey 9 does by itself. How one is moved key by key is in `topologies`."""

from typing import Any

from redis.crc import key_slot

from servers import Server, until
from topologies import Cluster

ENDED = {"success", "failed", "cancelled"}


def migrate(cluster: Cluster, key: str, target: Server) -> tuple[str, Server]:
    """Begins to move the slot of a key. The name of the migration, and who has the slot until it is over."""
    slot, source = key_slot(key.encode()), cluster.owner(key)
    before = migrations(cluster, source).keys()
    cluster.ask(source, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", cluster.node(target))
    (name,) = migrations(cluster, source).keys() - before
    return name, source


def cancel(cluster: Cluster, source: Server) -> None:
    """Ends every migration that this one began."""
    cluster.ask(source, "CLUSTER", "CANCELSLOTMIGRATIONS")


def ends(cluster: Cluster, name: str, source: Server, seconds: float = 20) -> str:
    """Waits for the end of a migration; what became of it."""
    until(lambda: migrations(cluster, source)[name] in ENDED, seconds)
    return migrations(cluster, source)[name]


def migrations(cluster: Cluster, server: Server) -> dict[str, str]:
    """The migrations that this one knows, and how far each is."""
    told: list[list[Any]] = cluster.ask(server, "CLUSTER", "GETSLOTMIGRATIONS")
    fields = [dict(zip(each[::2], each[1::2], strict=True)) for each in told]
    return {each[b"name"].decode(): each[b"state"].decode() for each in fields}
