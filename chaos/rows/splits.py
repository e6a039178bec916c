"""Rows H, who hears whom: a primary that sleeps through its own end, a client that hears only the deposed one, Sentinels that are gone or know old
news, a node without the others, and a database that is emptied while it moves.
"""

import signal
import time
from functools import partial
from typing import Any

import redis

from chaos import checker, final, oracle
from chaos.road import Road
from chaos.rows import APPEND_ONLY, Row
from chaos.rows.availability import BACKLOG, COUNTED, GAP, KINDS, RATE, WATCHED, a_while, begins
from chaos.rows.server import flows_again
from chaos.stage import Stage
from servers import Server, free_port, send, until
from slots import ends, migrate
from topologies import Cluster, Replicated

SLEEPS = 10.0
STOPS_WRITING = 2.0
"""Seconds after which nobody writes to a primary any more that was deposed, or that has lost its replicas."""
ASKED_AGAIN = 6.0
"""Seconds after which everybody asks a Sentinel again that did not answer."""
BACK = 8.0
"""Seconds after the end of a split until work goes on at the new primary: the Sentinels are asked again, one after the other."""
CAREFUL = (*APPEND_ONLY, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")
PEERS = ("ping", "psync", "sync", "replconf")
"""What Sentinels and replicas say to a primary, and clients do not. Who may not PSYNC tries SYNC, and would count as a replica."""


class Watched:
    """Sentinels at the end of roads."""

    def __init__(self, roads: list[Road]) -> None:
        self.url = f"redis+sentinel://{','.join(f'{road.where[0]}:{road.where[1]}' for road in roads)}/main"


def wakes(stage: Stage) -> None:
    """The primary sleeps, another takes its place, and it wakes as a primary with everything it had."""
    begins(stage)
    for _ in range(stage.times):
        a_while(stage)
        old = stage.replicated.primary()
        calls = list[int]()
        stage.fail_over("SIGSTOP of the primary", partial(_sleeps, stage, old, calls), GAP)
        stage.expect(
            calls[0] == calls[1],
            f"{calls[1] - calls[0]} calls to the deposed primary, {STOPS_WRITING:g} to {2 * STOPS_WRITING:g} s after it woke",
        )
        until(stage.replicated.replicating, 20)


def _sleeps(stage: Stage, old: Server, calls: list[int]) -> None:
    assert old.process is not None
    old.process.send_signal(signal.SIGSTOP)
    try:
        end = time.monotonic() + SLEEPS
        stage.replicated.elected(old)
        time.sleep(end - time.monotonic())
    finally:
        old.process.send_signal(signal.SIGCONT)
    for _ in range(2):
        time.sleep(stage.limit(STOPS_WRITING))
        with old.new_client() as client:
            stats: Any = client.info("commandstats")
        calls.append(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])


def cut_off(stage: Stage) -> None:
    """The clients are on the side of the old primary, without Sentinels and replicas. It hears no replica any more, and soon refuses."""
    sentinels = [("127.0.0.1", sentinel.port) for sentinel in stage.replicated.sentinels]
    roads = [stage.open(Road(sentinel, ("127.0.0.1", free_port()))) for sentinel in sentinels]
    stage.workers(2, via=Watched(roads))
    stage.produce(RATE, kinds=KINDS, via=Watched(roads))
    for _ in range(stage.times):
        a_while(stage)
        old = stage.replicated.primary()
        stage.fail_over("cut off with the old primary", partial(_splits, stage, old, roads), GAP)
        stage.replicated.elected(old)
        a_while(stage)
        _close(roads, False)
        Cluster.ask(old, "ACL", "SETUSER", "default", *[f"+{word}" for word in PEERS])
        until(stage.replicated.replicating, 20)  # until then the new one refuses too
        healed = oracle.now()
        stage.expect(until(stage.replicated.settled, 40), "the old primary is no replica of the new one after 40 s")
        flows_again(stage)
        back = min([run.started - healed for run in oracle.read(stage.notes).all_runs() if run.started > healed], default=0) / 1e9
        stage.expect(back < stage.limit(BACK), f"the next job was begun {back:.1f} s after it was healed")


def _splits(stage: Stage, old: Server, roads: list[Road]) -> None:
    """Over when the old primary, which still has its clients, must have noticed that it has no replicas."""
    _close(roads, True)
    Cluster.ask(old, "ACL", "SETUSER", "default", *[f"-{word}" for word in PEERS])
    Cluster.ask(old, "CLIENT", "KILL", "TYPE", "replica")
    time.sleep(stage.limit(STOPS_WRITING))


def _close(roads: list[Road], closed: bool) -> None:
    for road in roads:
        road.closed = closed


def unwatched(stage: Stage) -> None:
    """No Sentinel is there: work goes on where it is. Then one sleeps through a failover, and comes back with what it knew."""
    replicated = stage.replicated
    begins(stage)
    for _ in range(stage.times):
        for sentinel in replicated.sentinels:
            sentinel.kill()
        alone = stage.strike_server("all Sentinels are gone", lambda: time.sleep(6))
        pause = checker.outage(oracle.read(stage.notes).all_runs(), [alone])
        stage.expect(pause < stage.limit(1), f"without Sentinels nothing was begun for {pause:.1f} s")
        for sentinel in replicated.sentinels[:2]:
            sentinel.start()
        time.sleep(ASKED_AGAIN)
        stage.fail_over("a failover that one Sentinel misses", lambda: (replicated.fail_over(), time.sleep(WATCHED)), GAP)
        until(replicated.replicating, 20)
        replicated.sentinels[2].start()
        stage.strike_server("a Sentinel with old news", lambda: time.sleep(3))


def minority(stage: Stage) -> None:
    """The queue's node hears none of the others: it refuses until it does."""
    begins(stage)
    for _ in range(stage.times):
        a_while(stage)
        alone = stage.cluster.owner(final.QUEUE)
        stage.strike_server("a node without the others", partial(_alone, stage, alone))
        flows_again(stage)


def _alone(stage: Stage, alone: Server) -> None:
    others = [server.process for server in stage.cluster.servers if server is not alone and server.process]
    for other in others:
        other.send_signal(signal.SIGSTOP)
    down = until(lambda: _is_down(alone), 10)
    time.sleep(2)
    for other in others:
        other.send_signal(signal.SIGCONT)
    stage.expect(down, "the node did not refuse anything")
    until(lambda: not _is_down(alone), 10)


def _is_down(server: Server) -> bool:
    with server.new_client() as client:
        try:
            client.llen(final.QUEUE)
        except redis.ResponseError as error:
            return "CLUSTERDOWN" in str(error) or isinstance(error, redis.exceptions.ClusterDownError)
    return False


def emptied(stage: Stage) -> None:
    """FLUSHDB while the queue's slot moves at once, with a backlog: what is gone is gone, and work goes on."""
    begins(stage)
    for n in range(3 * stage.times):
        stage.push({f"waits-{n}-{i}": {"@task": "work", "ms": 1} for i in range(BACKLOG)})
        stage.strike_server("FLUSHDB during CLUSTER MIGRATESLOTS", partial(_flushes, stage))
        flows_again(stage)


def _flushes(stage: Stage) -> None:
    cluster = stage.cluster
    target = next(server for server in cluster.primaries() if server is not cluster.owner(final.QUEUE))
    name, source = migrate(cluster, final.QUEUE, target)
    with source.new_client() as client:
        send(client, "FLUSHDB")
    ends(cluster, name, source)


ROWS = (
    Row("H03", "the primary sleeps for 10 s, and wakes deposed", COUNTED, wakes, 1, outage=6, options=APPEND_ONLY, place=Replicated, asked=3),
    Row(
        "H04", "the clients are cut off with the old primary", "0 lost that were confirmed, the others in two seconds", cut_off, 1,
        options=CAREFUL, place=partial(Replicated, replicas=2), asked=3,
    ),
    Row("H05", "no Sentinels; then one with old news", "work goes on", unwatched, 3, outage=5, options=APPEND_ONLY, place=Replicated, asked=3),
    Row("H09F", "FLUSHDB while a slot moves at once", "all comes to rest, new jobs flow", emptied, 3, resume=5.0, forgets=True,
        options=APPEND_ONLY, place=Cluster, asked=6, kinds=("valkey",)),
    Row("H10", "a node does not hear the others", "it refuses, nothing is lost", minority, 1, resume=5.0, options=APPEND_ONLY, place=Cluster, asked=6),
)  # fmt: skip
