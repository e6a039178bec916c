"""Several real servers that belong together: a primary with replicas and Sentinels, and a Cluster. On loopback ports of their own.

They end with whoever started them, as each server of `servers` does.
"""

import os
import subprocess
from collections.abc import Callable
from typing import Any, Self

import redis
from redis.crc import key_slot

from servers import Kind, Server, binary, end_with_parent, free_port, send, short_directory, until

SLOTS = 16384
AT_ONCE = ("--repl-diskless-sync-delay", "0")
"""A replica that comes does not wait for others to come too."""
NODE_TIMEOUT = 2.0
"""Seconds after which a Cluster takes a silent node for dead."""


class _Sentinel:
    """One Sentinel."""

    def __init__(self, kind: Kind, primary: int) -> None:
        self.kind: Kind = kind
        self.directory = short_directory()
        self.port = free_port()
        self._file = self.directory / "sentinel.conf"
        watch = f"sentinel monitor main 127.0.0.1 {primary} 2\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
        self._file.write_text(f"port {self.port}\nbind 127.0.0.1\nlogfile log\ndir {self.directory}\n{watch}")
        self.start()

    def start(self) -> None:
        """Starts it, again after `kill` too."""
        program, parent = binary(self.kind), os.getpid()
        assert program is not None
        self.process = subprocess.Popen(
            [program, str(self._file), "--sentinel"],
            stdin=subprocess.DEVNULL,
            cwd=self.directory,
            preexec_fn=lambda: end_with_parent(parent),  # noqa: PLW1509 - one system call, before any thread exists there
        )

    def ask(self, *command: str) -> Any:
        """The reply to one command; None where it does not answer."""
        with redis.Redis(port=self.port, socket_timeout=2) as client:
            try:
                return send(client, *command)
            except redis.ConnectionError:
                return None

    def kill(self) -> None:
        """Ends it at once."""
        self.process.kill()
        self.process.wait()


class Replicated:
    """A primary, replicas, and three Sentinels that watch them under the name `main`. `options` are those of the servers."""

    def __init__(self, kind: Kind, *options: str, replicas: int = 1) -> None:
        self.servers = [Server(kind, *AT_ONCE, *options, tcp=True)]
        self.sentinels: list[_Sentinel] = []
        self._kind: Kind = kind
        for _ in range(replicas):
            self.servers.append(Server(kind, "--replicaof", f"127.0.0.1 {self.servers[0].port}", *AT_ONCE, *options, tcp=True))

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            self.sentinels = [_Sentinel(self._kind, self.servers[0].port) for _ in range(3)]
            self._wait(self._formed, "is not formed")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for sentinel in self.sentinels:
            sentinel.kill()
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

    def fail_over(self) -> Server:
        """A planned failover; the new primary."""
        before = self.primary()
        assert until(lambda: self.sentinels[0].ask("SENTINEL", "FAILOVER", "main") in (b"OK", True), 10)
        self._wait(lambda: self.primary() is not before, "has no new primary")
        return self.primary()

    def replicating(self) -> bool:
        """Whether the primary has a replica that follows."""
        with self.primary().new_client() as client:
            told: Any = client.info("replication")
        return any(value["state"] == "online" for name, value in told.items() if name.startswith("slave") and isinstance(value, dict))

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

    def node(self, server: Server) -> str:
        """The id of a node."""
        return str(self._ask(server, "CLUSTER", "MYID").decode())

    def owner(self, key: str) -> Server:
        """Who has the slot of a key."""
        slot = key_slot(key.encode())
        for asked in self.servers:
            if not asked.running():
                continue
            for first, last, primary, *_ in self._ask(asked, "CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return next(server for server in self.servers if server.port == primary[1])
        raise RuntimeError(f"nobody has slot {slot}")

    def replica_of(self, primary: Server) -> Server:
        """The replica of a primary that runs."""
        return next(server for server in self.servers if server is not primary and self.follows(server, primary))

    def follows(self, replica: Server, primary: Server) -> bool:
        """Whether it runs, is a replica of that one, and has what it has."""
        if not replica.running():
            return False
        with replica.new_client() as client:
            told: Any = client.info("replication")
        return (told["role"], told.get("master_port"), told.get("master_link_status")) == ("slave", primary.port, "up")

    def primaries(self) -> list[Server]:
        """Those that have slots."""
        asked = next(server for server in self.servers if server.running())
        ports = {primary[1] for _, _, primary, *_ in self._ask(asked, "CLUSTER", "SLOTS")}
        return [server for server in self.servers if server.port in ports]

    def fail_over(self, primary: Server, *how: str) -> Server:
        """Makes the replica of a primary the primary; how: `FORCE`, `TAKEOVER`, nothing = with its consent. The new primary."""
        replica = self.replica_of(primary)
        self._ask(replica, "CLUSTER", "FAILOVER", *how)
        self._wait(lambda: replica in self.primaries() and primary not in self.primaries(), "did not fail over")
        return replica

    def open_slot(self, key: str, target: Server) -> tuple[int, Server]:
        """Begins to move the slot of a key as of old: keys that are there stay, new ones go to the target. The slot and its owner."""
        slot, source = key_slot(key.encode()), self.owner(key)
        self._ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.node(source))
        self._ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.node(target))
        return slot, source

    def move_keys(self, slot: int, source: Server, target: Server, most: int = 10_000) -> int:
        """Moves keys of a slot that is being moved; how many."""
        moved = 0
        while moved < most and (keys := self._ask(source, "CLUSTER", "GETKEYSINSLOT", slot, min(10, most - moved))):
            self._ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "KEYS", *keys)
            moved += len(keys)
        return moved

    def close_slot(self, slot: int, owner: Server) -> None:
        """Ends a move: the slot is the owner's, and everybody is told."""
        for server in (owner, *[each for each in self.primaries() if each is not owner]):
            self._ask(server, "CLUSTER", "SETSLOT", slot, "NODE", self.node(owner))

    def move(self, key: str, target: Server) -> None:
        """Moves the slot of a key as of old, key by key."""
        slot, source = self.open_slot(key, target)
        self.move_keys(slot, source, target)
        self.close_slot(slot, target)

    def _form(self) -> None:
        count = self._primaries
        primaries, replicas = self.servers[:count], self.servers[count:]
        for n, server in enumerate(self.servers):
            self._ask(server, "CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for n, server in enumerate(primaries):
            self._ask(server, "CLUSTER", "ADDSLOTSRANGE", n * SLOTS // count, (n + 1) * SLOTS // count - 1)
        for n, server in enumerate(self.servers):
            for other in self.servers[:n]:
                self._ask(server, "CLUSTER", "MEET", "127.0.0.1", other.port, other.bus)
        met = b"cluster_known_nodes:%d\r\n" % len(self.servers)
        self._wait(lambda: all(self._ask(server, "CLUSTER", "INFO").count(met) for server in self.servers), "is not met")
        for primary, replica in zip(primaries, replicas, strict=False):
            self._wait(lambda p=primary, r=replica: self._replicates(r, p), "has no replica")  # type: ignore[misc]
        self._wait(self._whole, "is not whole")

    def _replicates(self, replica: Server, primary: Server) -> bool:
        try:
            self._ask(replica, "CLUSTER", "REPLICATE", self.node(primary))
        except redis.ResponseError:
            return False  # it has not heard of that one yet
        return True

    def _whole(self) -> bool:
        for n, server in enumerate(self.servers):
            with server.new_client() as client:
                told: Any = client.info("replication")
            alone = len(self.servers) == self._primaries
            linked = told.get("master_link_status") == "up" if n >= self._primaries else alone or told.get("connected_slaves") == 1
            if not (linked and self._ask(server, "CLUSTER", "INFO").count(b"cluster_state:ok")):
                return False
        return True

    @staticmethod
    def _ask(server: Server, *command: Any) -> Any:
        with server.new_client(protocol=2) as client:
            client.response_callbacks.clear()
            return send(client, *command)

    @staticmethod
    def _wait(met: Callable[[], bool], what: str) -> None:
        if not until(met, 20):
            raise TimeoutError(f"the Cluster {what}")
