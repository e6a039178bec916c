"""The test topologies themselves: they are formed when they are handed out, they move, and they end."""

import pytest

from servers import Kind, left_behind
from topologies import Cluster, Replicated

KINDS = pytest.mark.parametrize("kind", ["valkey", "redis"])


@KINDS
def test_a_replicated_server_fails_over_and_ends(kind: Kind) -> None:
    with Replicated(kind) as those:
        before = those.primary()
        assert those.replicating()
        after = those.fail_over()
        assert after is not before
        with after.new_client() as client:
            client.set("there", 1)
        processes = [sentinel.process.pid for sentinel in those.sentinels]
    assert not [line for line in left_behind() if int(line.split(":")[0]) in processes]


@KINDS
def test_a_cluster_fails_over_moves_a_slot_and_ends(kind: Kind) -> None:
    with Cluster(kind) as those:
        before = those.owner("queue:jobs")
        with before.new_client() as client:
            client.lpush("queue:jobs", "a")
        after = those.fail_over(before)
        assert those.owner("queue:jobs") is after
        other = next(server for server in those.primaries() if server is not after)
        those.move("queue:jobs", other)
        assert those.owner("queue:jobs") is other
        with other.new_client() as client:
            assert client.llen("queue:jobs") == 1
