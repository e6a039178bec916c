"""Rows H: what can happen to one of several servers that belong together. Another takes its place, or what it has goes to another.

A server answers before its replica has heard, so what it accepted in its last moments may be gone with it: such jobs are counted as stranded,
and none of them may be one of which a copy was confirmed. Outcomes and claims of those moments are gone as well, so what was done may be
done once more: that is what a failover excuses, and nothing else.
"""

import time
from functools import partial
from zlib import crc32

from chaos import checker, final, oracle
from chaos.rows import APPEND_ONLY, Row
from chaos.stage import Stage
from servers import Server, until
from slots import cancel, ends, migrate
from topologies import Cluster, Replicated

GAP = 0.5
"""Seconds before a primary dies in which what it accepted may be known to it alone."""
WATCHED = 2
"""Seconds after a planned failover until everybody has asked the Sentinels again; the deposed primary takes jobs meanwhile."""
RATE = 150
BACKLOG = 10_000
MANUAL, BY_HAND = 27, ("--cluster-node-timeout", "1000")
"""So many failovers by hand, three of four by force, in a Cluster whose nodes vote again after twice that time."""
VOTES = 2.0
PARTITIONS = 8
ASIDE = 2.0
"""Seconds in which the partitions of nodes that live begin a job."""
ASIDE_JOBS = 5000
"""Of those, as many as have their places in partitions of nodes that live, wait there: some ten seconds of work."""
KINDS = ("chute", "confirmed")


def begins(stage: Stage) -> None:
    stage.workers(2)
    stage.produce(RATE, kinds=KINDS)


def a_while(stage: Stage) -> None:
    time.sleep(stage.chance.uniform(1, 2))


def primary_killed(stage: Stage) -> None:
    """The primary dies, the Sentinels choose another; the dead one comes back as its replica."""
    begins(stage)
    for _ in range(stage.times):
        a_while(stage)
        old = stage.replicated.primary()
        stage.fail_over("kill -9 of the primary", lambda old=old: (old.kill(), stage.replicated.elected(old)), GAP)
        a_while(stage)
        stage.replicated.rejoin(old)


def planned(stage: Stage) -> None:
    """The Sentinels depose a primary that lives, which goes on taking writes until everybody has heard. One replica: with two, one of them may
    still follow the deposed primary and confirm what the new one never hears of."""
    begins(stage)
    for _ in range(2 * stage.times):
        a_while(stage)
        stage.fail_over("SENTINEL FAILOVER", lambda: (stage.replicated.fail_over(), time.sleep(WATCHED)), GAP)
        until(stage.replicated.replicating, 20)


def node_killed(stage: Stage) -> None:
    """The node that has the queue dies; its replica is elected."""
    begins(stage)
    for _ in range(stage.times):
        a_while(stage)
        old = stage.cluster.owner(final.QUEUE)
        stage.fail_over("kill -9 of the queue's node", lambda old=old: (old.kill(), stage.cluster.elected(final.QUEUE, old)), GAP)
        a_while(stage)
        stage.cluster.rejoin(old)


def manual(stage: Stage) -> None:
    """The replica of the queue's node takes its place: with its consent, when nothing may be lost, and by force. The others vote for it once in a
    while only; whoever asks more often measures that."""
    begins(stage)
    for n in range(MANUAL * stage.times):
        time.sleep(VOTES * stage.chance.uniform(1, 1.2))
        old, how = stage.cluster.owner(final.QUEUE), () if n % 4 == 3 else ("FORCE",)
        stage.fail_over(f"CLUSTER FAILOVER {' '.join(how)}", partial(_replaced, stage.cluster, old, *how), GAP if how else None)
        until(partial(stage.cluster.follows, old, stage.cluster.owner(final.QUEUE)), 20)


def _replaced(cluster: Cluster, old: Server, *how: str) -> None:
    """Over when the old primary has heard of its end: until then it takes jobs and hands them out."""
    cluster.fail_over(old, *how)
    until(partial(cluster.deposed, old), 20)


def moved(stage: Stage) -> None:
    """The queue's slot goes to another node key by key, with a backlog: once with half a second in the middle, when some keys are here and some there."""
    cluster = stage.cluster
    begins(stage)
    stage.push({f"waits-{n}": {"@task": "work", "ms": 1} for n in range(BACKLOG)})
    for _ in range(stage.times):
        a_while(stage)
        stage.strike_server("SETSLOT and MIGRATE, with a pause", lambda: _half(stage))
        for _ in range(2):
            a_while(stage)
            target = next(server for server in cluster.primaries() if server is not cluster.owner(final.QUEUE))
            stage.strike_server("SETSLOT and MIGRATE", lambda target=target: cluster.move(final.QUEUE, target))


def _half(stage: Stage) -> None:
    cluster = stage.cluster
    target = next(server for server in cluster.primaries() if server is not cluster.owner(final.QUEUE))
    slot, source = cluster.open_slot(final.QUEUE, target)
    cluster.move_keys(slot, source, target, most=2)
    time.sleep(0.5)
    cluster.move_keys(slot, source, target)
    cluster.close_slot(slot, target)


def moved_at_once(stage: Stage) -> None:
    """The queue's slot goes to another node in one step, with a backlog; then a move that is cancelled."""
    begins(stage)
    stage.push({f"waits-{n}": {"@task": "work", "ms": 1} for n in range(BACKLOG)})
    for _ in range(3 * stage.times):
        a_while(stage)
        stage.strike_server("CLUSTER MIGRATESLOTS", partial(_migrates, stage, whole=True))
        a_while(stage)
        stage.strike_server("CLUSTER MIGRATESLOTS, cancelled", partial(_migrates, stage, whole=False))


def _migrates(stage: Stage, *, whole: bool) -> None:
    cluster = stage.cluster
    target = next(server for server in cluster.primaries() if server is not cluster.owner(final.QUEUE))
    name, source = migrate(cluster, final.QUEUE, target)
    if not whole:
        cancel(cluster, source)
    end = ends(cluster, name, source)
    stage.expect(end == "success" or not whole, f"a migration ended with {end}")


def spread(stage: Stage) -> None:
    """A queue in eight partitions, and one of the nodes that have them dies. Those of the others go on."""
    stage.partition(PARTITIONS)
    owners = {n: stage.cluster.owner(f"{final.QUEUE}:{n}") for n in range(PARTITIONS)}
    gone = stage.cluster.owner(final.QUEUE)
    for n in [n for n, owner in owners.items() if owner is not gone]:  # who sends to all of them stands still with one of them
        waits = [job for job in (f"aside-{i}" for i in range(ASIDE_JOBS)) if crc32(job.encode()) % PARTITIONS == n]
        stage.push({job: {"@task": "work", "ms": 50} for job in waits}, f"{final.QUEUE}:{n}")
    node_killed(stage)
    aside = [run for run in oracle.read(stage.notes).all_runs() if owners[crc32(run.job.encode()) % PARTITIONS] is not gone]
    stage.expect({each is gone for each in owners.values()} == {True, False}, "the node that died had all partitions, or none")
    pause = checker.outage(aside, stage.faults[:1])
    stage.expect(pause < stage.limit(ASIDE), f"partitions of nodes that live stood still for {pause:.1f} s")


COUNTED = "0 lost that were confirmed, the others in the last moments before it"
ROWS = (
    Row("H01", "the primary dies, Sentinels choose another", COUNTED, primary_killed, 1, outage=5, options=APPEND_ONLY, place=Replicated, asked=3),
    Row("H02", "Sentinels depose the primary", COUNTED, planned, 2, outage=5, options=APPEND_ONLY, place=Replicated, asked=3),
    Row("H06", "a node of a Cluster dies", COUNTED, node_killed, 1, outage=8, options=APPEND_ONLY, place=Cluster, asked=6),
    Row("H07", "a replica takes its primary's place", COUNTED, manual, MANUAL, outage=5, options=(*APPEND_ONLY, *BY_HAND), place=Cluster, asked=6),
    Row(
        "H08", "a slot moves key by key, and stands still half-way", "nothing lost, no duplicate", moved, 3,
        outage=5, options=APPEND_ONLY, place=Cluster, asked=6,
    ),
    Row(
        "H09", "a slot moves at once, or is kept from it", "nothing lost, no duplicate", moved_at_once, 6,
        outage=2, options=APPEND_ONLY, place=Cluster, asked=6, kinds=("valkey",),
    ),
    Row("P01", "a node dies that has partitions of the queue", COUNTED, spread, 1, outage=8, options=APPEND_ONLY, place=Cluster, asked=6),
)  # fmt: skip
