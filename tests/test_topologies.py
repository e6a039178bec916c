"""The test topologies themselves: they are formed when they are handed out, they fail over, slots move, and they end."""

import contextlib

import pytest
import redis

import slots
from servers import Kind, left_behind, until
from topologies import Cluster, Replicated

KINDS = pytest.mark.parametrize("kind", ["valkey", "redis"])
LOGGED = ("--appendonly", "yes", "--appendfsync", "everysec")


def _answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def test_a_killed_primary_has_a_successor_and_joins_again() -> None:
    with Replicated("redis", *LOGGED) as those:
        before = those.primary()
        client = those.new_client()
        client.set("there", 1)
        assert client.wait(1, 2000) == 1
        before.kill()
        after = those.elected(before)
        assert after is not before
        assert until(lambda: _answers(client)), "the client has not followed"
        assert client.get("there") == b"1"
        those.rejoin(before)
        assert those.primary() is after
        client.close()
        processes = [sentinel.process.pid for sentinel in those.sentinels]
    assert not [line for line in left_behind() if int(line.split(":")[0]) in processes]
    assert not any(server.directory.exists() for server in (*those.servers, *those.sentinels))


def test_a_planned_failover() -> None:
    with Replicated("valkey") as those:
        before = those.primary()
        assert those.replicating()
        assert those.fail_over() is not before


@KINDS
def test_a_cluster_fails_over_moves_a_slot_and_ends(kind: Kind) -> None:
    with Cluster(kind) as those:
        before = those.owner("queue:jobs")
        with those.new_client() as client:
            client.lpush("queue:jobs", "a")
            after = those.fail_over(before)
            assert those.owner("queue:jobs") is after
            other = next(server for server in those.primaries() if server is not after)
            those.move("queue:jobs", other)
            assert those.owner("queue:jobs") is other
            assert client.llen("queue:jobs") == 1
    assert not any(server.directory.exists() for server in those.servers)


def test_a_killed_primary_of_a_cluster_has_a_successor_and_joins_again() -> None:
    with Cluster("valkey", *LOGGED) as those:
        before = those.owner("queue:jobs")
        before.kill()
        after = those.elected("queue:jobs", before)
        those.rejoin(before)
        assert those.follows(before, after)


def test_a_slot_moves_at_once_or_not_at_all() -> None:
    with Cluster("valkey", replicas=False) as those, those.new_client() as client:
        client.lpush("queue:jobs", *["x" * 200] * 1000)
        before = those.owner("queue:jobs")
        target = next(server for server in those.primaries() if server is not before)
        name, source = slots.migrate(those, "queue:jobs", target)
        assert slots.ends(those, name, source) == "success"
        assert those.owner("queue:jobs") is target
        name, source = slots.migrate(those, "queue:jobs", before)
        slots.cancel(those, source)
        assert slots.ends(those, name, source) == "cancelled"
        assert those.owner("queue:jobs") is target
        assert until(lambda: client.llen("queue:jobs") == 1000)
