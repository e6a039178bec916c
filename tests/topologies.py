"""Several real servers that belong together: a primary with replicas and Sentinels, and a Cluster. On loopback ports of their own.

They end with whoever started them, as each server of `servers` does.
"""

from collections.abc import Callable
from typing import Any, Self

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.sentinel import Sentinel

from sentinel import OneSentinel
from servers import AS_CLIENTS, Kind, Server, free_port, send, until

SLOTS = 16384
AT_ONCE = ("--repl-diskless-sync-delay", "0")
"""A replica that comes does not wait for others to come too."""
NODE_TIMEOUT = 2.0
"""Seconds after which a Cluster takes a silent node for dead."""


def _logs(servers: list[Server]) -> str:
    return "\n".join(f"{server.port}: {line}" for server in servers for line in server.log().splitlines()[-5:])


def _follows(replica: Server, primary: Server) -> bool:
    with replica.new_client() as client:
        try:
            told: Any = client.info("replication")
        except redis.ConnectionError:
            return False  # whoever is made a replica ends its connections
    return (told["role"], told.get("master_port"), told.get("master_link_status")) == ("slave", primary.port, "up")


class Replicated:
    """A primary, replicas, and three Sentinels that watch them under the name `main`. `options` are those of the servers."""

    def __init__(self, kind: Kind, *options: str, replicas: int = 1) -> None:
        self.servers = [Server(kind, *AT_ONCE, *options, tcp=True)]
        self.sentinels: list[OneSentinel] = []
        self._kind: Kind = kind
        for _ in range(replicas):
            self.servers.append(Server(kind, "--replicaof", f"127.0.0.1 {self.servers[0].port}", *AT_ONCE, *options, tcp=True))

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            self.sentinels = [OneSentinel(self._kind, self.servers[0].port) for _ in range(3)]
            self._wait(self._formed, "is not formed")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for sentinel in self.sentinels:
            sentinel.stop()
        for server in self.servers:
            server.stop()

    @property
    def url(self) -> str:
        """What a client is given."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{sentinel.port}' for sentinel in self.sentinels)}/main"

    def primary(self) -> Server:
        """The server that the Sentinels name."""
        for sentinel in self.sentinels:
            if told := sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"):
                return next(server for server in self.servers if server.port == int(told[1]))
        raise RuntimeError("no Sentinel answers")

    def new_client(self, **options: Any) -> redis.Redis:
        """A client that goes to who is the primary, closed by the caller."""
        sentinels = Sentinel([("127.0.0.1", sentinel.port) for sentinel in self.sentinels], socket_timeout=2)
        return sentinels.master_for("main", **AS_CLIENTS | options)

    def log(self) -> str:
        """The end of what each server wrote to its log."""
        return _logs(self.servers)

    def elected(self, before: Server) -> Server:
        """Waits until the Sentinels name another than this one; that other."""
        self._wait(lambda: self.primary() is not before, "has no new primary")
        return self.primary()

    def rejoin(self, server: Server) -> None:
        """Starts one that was killed as a replica of who is the primary now, and waits until it follows. Left to the Sentinels, who would make
        it one, that takes ten seconds."""
        server.start("--replicaof", f"127.0.0.1 {self.primary().port}")
        self._wait(self.replicating, "has no replica")

    def fail_over(self) -> Server:
        """A planned failover; the new primary."""
        before = self.primary()
        assert until(lambda: self.sentinels[0].ask("SENTINEL", "FAILOVER", "main") in (b"OK", True), 10)
        return self.elected(before)

    def replicating(self) -> bool:
        """Whether the primary has a replica that follows."""
        with self.primary().new_client() as client:
            told: Any = client.info("replication")
        return any(value["state"] == "online" for name, value in told.items() if name.startswith("slave") and isinstance(value, dict))

    def settled(self) -> bool:
        """Whether every other server is a replica of the primary, and has what it has. Who was primary before takes jobs until it is one."""
        primary = self.primary()
        return all(_follows(server, primary) for server in self.servers if server is not primary)

    def _formed(self) -> bool:
        if not self.replicating():
            return False
        for sentinel in self.sentinels:
            told = sentinel.ask("SENTINEL", "MASTER", "main")
            fields = dict(zip(told[::2], told[1::2], strict=True)) if isinstance(told, list) else told or {}
            if (fields.get(b"num-other-sentinels"), fields.get(b"num-slaves")) != (b"2", b"%d" % (len(self.servers) - 1)):
                return False
        return True

    def _wait(self, met: Callable[[], bool], what: str) -> None:
        if not until(met, 20):
            raise TimeoutError(f"the replicated server {what}")


class Cluster:
    """Primaries that have an equal part of the slots each, and a replica for each unless there are to be none. `options` are those of the servers."""

    def __init__(self, kind: Kind, *options: str, primaries: int = 3, replicas: bool = True) -> None:
        self.kind: Kind = kind
        self.servers: list[Server] = []
        self._primaries = primaries
        for _ in range(primaries * (1 + replicas)):
            bus = free_port()
            words = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(int(NODE_TIMEOUT * 1000)), "--cluster-port", str(bus))
            self.servers.append(Server(kind, *words, *AT_ONCE, *options, tcp=True))
            self.servers[-1].bus = bus

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            self._form()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.stop()

    @property
    def url(self) -> str:
        """What a client is given."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in self.servers[: self._primaries])}"

    def new_client(self, **options: Any) -> RedisCluster:
        """A client that goes to who has the key, closed by the caller."""
        nodes = [ClusterNode("127.0.0.1", server.port) for server in self.servers if server.running()]
        return RedisCluster(startup_nodes=nodes, protocol=3, **options)

    def log(self) -> str:
        """The end of what each server wrote to its log."""
        return _logs(self.servers)

    def elected(self, key: str, before: Server) -> Server:
        """Waits until another than this one has the slot of a key; that other."""
        self._wait(lambda: self.owner(key) is not before, f"has nobody else for {key}")
        return self.owner(key)

    def rejoin(self, server: Server) -> None:
        """Starts one that was killed, and waits until it follows who took its slots."""
        server.start()
        self._wait(self._whole, "is not whole")

    def node(self, server: Server) -> str:
        """The id of a node."""
        return str(self.ask(server, "CLUSTER", "MYID").decode())

    def owner(self, key: str) -> Server:
        """Who has the slot of a key."""
        slot = key_slot(key.encode())
        for asked in self.servers:
            if not asked.running():
                continue
            for first, last, primary, *_ in self.ask(asked, "CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return next(server for server in self.servers if server.port == primary[1])
        raise RuntimeError(f"nobody has slot {slot}")

    def replica_of(self, primary: Server) -> Server:
        """The replica of a primary that runs."""
        return next(server for server in self.servers if server is not primary and self.follows(server, primary))

    def follows(self, replica: Server, primary: Server) -> bool:
        """Whether it runs, is a replica of that one, and has what it has."""
        return replica.running() and _follows(replica, primary)

    def deposed(self, server: Server) -> bool:
        """Whether it knows that it is a replica."""
        with server.new_client() as client:
            return bool(client.info("replication")["role"] == "slave")

    def primaries(self) -> list[Server]:
        """Those that have slots."""
        asked = next(server for server in self.servers if server.running())
        ports = {primary[1] for _, _, primary, *_ in self.ask(asked, "CLUSTER", "SLOTS")}
        return [server for server in self.servers if server.port in ports]

    def fail_over(self, primary: Server, *how: str) -> Server:
        """Makes the replica of a primary the primary; how: `FORCE`, `TAKEOVER`, nothing = with its consent. The new primary."""
        replica = self.replica_of(primary)
        for _ in range(5):  # the others vote for a replica of the same primary only once in four seconds
            self.ask(replica, "CLUSTER", "FAILOVER", *how)
            if until(lambda: replica in self.primaries() and primary not in self.primaries(), 3 * NODE_TIMEOUT):
                return replica
        raise TimeoutError("the Cluster did not fail over")

    def open_slot(self, key: str, target: Server) -> tuple[int, Server]:
        """Begins to move the slot of a key as of old: keys that are there stay, new ones go to the target. The slot and its owner."""
        self._wait(self._whole, "is not whole")  # another test may have had it otherwise a moment ago
        slot, source = key_slot(key.encode()), self.owner(key)
        self._set_slot(target, slot, "IMPORTING", source)
        self._set_slot(source, slot, "MIGRATING", target)
        return slot, source

    def move_keys(self, slot: int, source: Server, target: Server, most: int = 10_000) -> int:
        """Moves keys of a slot that is being moved; how many."""
        moved = 0
        while moved < most and (keys := self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, min(10, most - moved))):
            self.ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "KEYS", *keys)
            moved += len(keys)
        return moved

    def close_slot(self, slot: int, owner: Server) -> None:
        """Ends a move: the slot is the owner's, and everybody is told."""
        for server in (owner, *[each for each in self.primaries() if each is not owner]):
            self._set_slot(server, slot, "NODE", owner)

    def _set_slot(self, server: Server, slot: int, what: str, other: Server) -> None:
        """Valkey refuses it while a replica of the server is not heard of, as on a busy machine for a moment."""

        def done() -> bool:
            try:
                self.ask(server, "CLUSTER", "SETSLOT", slot, what, self.node(other))
            except redis.ResponseError as error:
                if str(error).startswith("NOREPLICAS"):
                    return False
                raise
            return True

        self._wait(done, f"cannot set slot {slot}")

    def move(self, key: str, target: Server) -> None:
        """Moves the slot of a key as of old, key by key."""
        slot, source = self.open_slot(key, target)
        self.move_keys(slot, source, target)
        self.close_slot(slot, target)

    def _form(self) -> None:
        count = self._primaries
        primaries, replicas = self.servers[:count], self.servers[count:]
        for n, server in enumerate(self.servers):
            self.ask(server, "CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for n, server in enumerate(primaries):
            self.ask(server, "CLUSTER", "ADDSLOTSRANGE", n * SLOTS // count, (n + 1) * SLOTS // count - 1)
        for n, server in enumerate(self.servers):
            for other in self.servers[:n]:
                self.ask(server, "CLUSTER", "MEET", "127.0.0.1", other.port, other.bus)
        met = b"cluster_known_nodes:%d\r\n" % len(self.servers)
        self._wait(lambda: all(self.ask(server, "CLUSTER", "INFO").count(met) for server in self.servers), "is not met")
        for primary, replica in zip(primaries, replicas, strict=False):
            self._wait(lambda p=primary, r=replica: self._replicates(r, p), "has no replica")  # type: ignore[misc]
        self._wait(self._whole, "is not whole")

    def _replicates(self, replica: Server, primary: Server) -> bool:
        try:
            self.ask(replica, "CLUSTER", "REPLICATE", self.node(primary))
        except redis.ResponseError:
            return False  # it has not heard of that one yet
        return True

    def _whole(self) -> bool:
        replicas = 0
        for server in self.servers:
            with server.new_client() as client:
                told: Any = client.info("replication")
            if told["role"] == "slave":
                replicas += told["master_link_status"] == "up"
            if not self.ask(server, "CLUSTER", "INFO").count(b"cluster_state:ok"):
                return False
        return replicas == len(self.servers) - self._primaries

    @staticmethod
    def ask(server: Server, *command: Any) -> Any:
        """The reply to one command of one node, as the node says it."""
        with server.new_client(protocol=2) as client:
            client.response_callbacks.clear()
            return send(client, *command)

    @staticmethod
    def _wait(met: Callable[[], bool], what: str) -> None:
        if not until(met, 20):
            raise TimeoutError(f"the Cluster {what}")
