"""What a failover costs: jobs that were accepted and are gone, calls that ended unsure, and how long nothing was accepted.

    python -m benchmarks.failover [--rounds 1] [--server valkey|redis] [NAME...]

One producer enqueues one job after another, without a worker; then the new primary is asked which it has. Under Sentinels with two replicas the
primary dies, it is deposed by a planned failover, and by one before which its writes are paused. In a Cluster with a replica for each primary it
dies, and is deposed with its consent. And a primary alone with a replica is cut off from it for five seconds, and dies then. Each is played with
`confirm="memory"`, with that and primaries that want a replica to hear of them (min-replicas-to-write 1, min-replicas-max-lag 1), and with
`confirm="replica"`. `within` is the time from the first to the last of the jobs that are gone.
"""

import argparse
import contextlib
import itertools
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import chute
from chute import connection
from chute.errors import ChuteError, Unconfirmed
from chute.store import Confirm
from servers import Kind, Server, free_port, until
from topologies import AT_ONCE, Cluster, Replicated

PAUSE = 15_000
"""Milliseconds in which a primary that is about to be deposed takes no writes: longer than it takes until it knows."""
BEFORE, AFTER, CUT = 3.0, 8.0, 5.0
"""Seconds of load, and those in which nothing is copied."""
WANTS = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")
LEVELS: dict[str, tuple[Confirm, tuple[str, ...]]] = {
    "memory": ("memory", ()),
    "memory, min-replicas": ("memory", WANTS),
    "replica": ("replica", ()),
}


@dataclass
class Producer:
    """Enqueues until it is stopped, and notes what became of each call."""

    url: str
    confirm: Confirm
    accepted: dict[str, float] = field(default_factory=dict)
    """Job id -> when it was."""
    unsure: int = 0
    refused: int = 0
    ended: bool = False

    def run(self) -> None:
        """Until it is stopped."""
        queue = chute.Queue("jobs", url=self.url)
        task = queue.task(name="note")(_note)
        while not self.ended:
            try:
                self.accepted[task.options(confirm=self.confirm).enqueue("x" * 100).id] = time.monotonic()
            except Unconfirmed:
                self.unsure += 1
            except ChuteError:
                self.refused += 1
                time.sleep(0.01)
        connection.forget(queue.endpoint.address)

    @property
    def pause(self) -> float:
        """The longest time between two jobs."""
        times = list(self.accepted.values())
        return max((later - sooner for sooner, later in itertools.pairwise(times)), default=0.0)


@dataclass(frozen=True)
class Outcome:
    """What became of one failover."""

    producer: Producer
    gone: list[float]
    """When those were accepted that are gone."""


def _note(text: str) -> None: ...


@contextlib.contextmanager
def producing(url: str, confirm: Confirm) -> Iterator[Producer]:
    """A producer beside the block."""
    producer = Producer(url, confirm)
    thread = threading.Thread(target=producer.run)
    thread.start()
    try:
        yield producer
    finally:
        producer.ended = True
        thread.join()


class Cable:
    """A line to a port that can be cut, both ways, with all its sockets left open."""

    def __init__(self, port: int) -> None:
        self._to, self.port, self._cut = port, free_port(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing gets through."""
        self._cut.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ends = self._listener.accept()[0], socket.create_connection(("127.0.0.1", self._to))
                for one, other in (ends, ends[::-1]):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if not self._cut.is_set():
                    other.sendall(data)


def under_sentinels(kind: Kind, level: str, strike: Callable[[Replicated], Any]) -> Outcome:
    """A primary, two replicas and three Sentinels."""
    confirm, options = LEVELS[level]
    with Replicated(kind, *options, replicas=2) as servers:
        with producing(servers.url, confirm) as producer:
            time.sleep(BEFORE)
            strike(servers)
            time.sleep(AFTER)
        return _compared(producer, servers.primary())


def killed(kind: Kind, level: str) -> Outcome:
    """The primary dies."""
    return under_sentinels(kind, level, lambda servers: servers.primary().kill())


def planned(kind: Kind, level: str) -> Outcome:
    """The primary is deposed."""
    return under_sentinels(kind, level, lambda servers: servers.fail_over())


def paused(kind: Kind, level: str) -> Outcome:
    """The primary takes no more writes, its replicas catch up, and it is deposed."""

    def strike(servers: Replicated) -> None:
        with servers.primary().new_client() as client:
            client.client_pause(PAUSE, all=False)
            until(lambda: _caught_up(client.info("replication")), 5)
        servers.fail_over()

    return under_sentinels(kind, level, strike)


def in_cluster(kind: Kind, level: str, strike: Callable[[Cluster, Server], Any]) -> Outcome:
    """Three primaries, each with a replica."""
    confirm, options = LEVELS[level]
    with Cluster(kind, *options) as servers:
        primary = servers.owner("queue:jobs")
        with producing(servers.url, confirm) as producer:
            time.sleep(BEFORE)
            strike(servers, primary)
            time.sleep(AFTER)
        return _compared(producer, servers.owner("queue:jobs"))


def cluster_killed(kind: Kind, level: str) -> Outcome:
    """A primary dies."""
    return in_cluster(kind, level, lambda _, primary: primary.kill())


def cluster_planned(kind: Kind, level: str) -> Outcome:
    """A primary is deposed with its consent."""
    return in_cluster(kind, level, lambda servers, primary: servers.fail_over(primary))


def cut_off(kind: Kind, level: str) -> Outcome:
    """The primary takes jobs, and nobody copies them; then it dies."""
    confirm, options = LEVELS[level]
    with Server(kind, *AT_ONCE, *options, tcp=True) as primary:
        cable = Cable(primary.port)
        with Server(kind, *AT_ONCE, "--replicaof", f"127.0.0.1 {cable.port}", tcp=True) as replica, replica.new_client() as client:
            until(lambda: client.info("replication").get("master_link_status") == "up", 20)
            time.sleep(1.5)  # until the primary has heard of it
            with producing(primary.tcp_url, confirm) as producer:
                time.sleep(1)
                cable.cut()
                time.sleep(CUT)
            primary.kill()
            client.replicaof("NO", "ONE")
            return _compared(producer, replica)


def _caught_up(told: Any) -> bool:
    replicas = [value for name, value in told.items() if name.startswith("slave") and isinstance(value, dict)]
    return all(each["offset"] == told["master_repl_offset"] for each in replicas)


def _compared(producer: Producer, primary: Server) -> Outcome:
    with primary.new_client() as client:
        there = {json.loads(body)["job_id"] for body in client.lrange("queue:jobs", 0, -1)}
    return Outcome(producer, [when for job, when in producer.accepted.items() if job not in there])


PLAYS = {
    "killed": killed,
    "planned": planned,
    "paused": paused,
    "cluster-killed": cluster_killed,
    "cluster-planned": cluster_planned,
    "cut-off": cut_off,
}


def main(options: argparse.Namespace) -> None:
    """A line for each failover and level: sums over the rounds, and the longest times."""
    print(f"{options.server}, {options.rounds} rounds, Python {sys.version.split()[0]}")
    print(f"{'':17}{'confirm':22}{'accepted':>9}{'gone':>9}{'within':>9}{'unconfirmed':>13}{'refused':>9}{'pause':>8}")
    for name in options.names or PLAYS:
        for level in LEVELS:
            rounds = [PLAYS[name](options.server, level) for _ in range(options.rounds)]
            accepted, gone = sum(len(each.producer.accepted) for each in rounds), sum(len(each.gone) for each in rounds)
            unsure, refused = sum(each.producer.unsure for each in rounds), sum(each.producer.refused for each in rounds)
            within = max((max(each.gone) - min(each.gone) for each in rounds if each.gone), default=0.0)
            pause = max(each.producer.pause for each in rounds)
            head = f"{name:17}{level:22}{accepted:>9,}{gone:>9,}{within:>7.1f} s"
            print(f"{head}{unsure:>13,}{refused:>9,}{pause:>6.1f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *PLAYS], metavar="NAME", help=f"one of {', '.join(PLAYS)}; without: all")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey")
    main(parser.parse_args())
