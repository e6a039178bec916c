"""What is read in pieces: the order of each piece, and where the next begins."""

import pytest

from chute import connection, sight
from chute.connection import Endpoint
from chute.sight import Sight
from servers import Server

JOBS = Sight("jobs")


@pytest.fixture
def endpoint(each_server: Server) -> Endpoint:
    return connection.endpoint(each_server.url)


@pytest.mark.parametrize(("where", "key"), [("first", "first:{queue:jobs}"), ("queue", "queue:jobs")])
def test_ready_jobs_come_in_the_order_in_which_they_are_handed_out(
    each_server: Server, endpoint: Endpoint, where: sight.Ready, key: str
) -> None:
    each_server.client().lpush(key, "a", "b", "c", "d", "e")
    pieces = [endpoint.run(JOBS.ready(where, passed, 2, None)) for passed in (0, 2, 4, 6)]
    assert pieces == [(0, 0, [b"a", b"b"]), (0, 2, [b"c", b"d"]), (0, 4, [b"e"]), (0, 6, [])]


def test_scheduled_jobs_come_without_their_sequence_the_soonest_first(each_server: Server, endpoint: Endpoint) -> None:
    each_server.client().zadd("scheduled:{queue:jobs}", {"0000000000000002b": 1500, "0000000000000001c": 2500, "0000000000000003a": 500})
    assert endpoint.run(JOBS.due(0, 2)) == [(b"a", 0.5), (b"b", 1.5)]
    assert endpoint.run(JOBS.due(2, 2)) == [(b"c", 2.5)]


@pytest.mark.leaves("leases", "workers")
def test_all_that_a_worker_holds_is_seen(each_server: Server, endpoint: Endpoint) -> None:
    client = each_server.client()
    held = {b"%d" % (1001 + n): b"%d" % n for n in range(700)}
    client.hset("leases:{queue:jobs}:w", mapping=held)  # type: ignore[arg-type]
    client.hset("workers:{queue:jobs}", mapping={"w": 7, "@paused": 5})
    cursor, seen = 0, dict[bytes, bytes]()
    while True:
        cursor, pairs = endpoint.run(JOBS.held("w", cursor, 100))
        seen |= dict(pairs)
        if not cursor:
            break
    assert seen == held
    assert endpoint.run(JOBS.words(["w", "v"])) == [(None, 700), (None, 0)]
    assert endpoint.run(JOBS.still_held("w", [1001, 999, 1700])) == [True, False, True]
    registry, now = endpoint.run(JOBS.registry())
    assert registry == {b"w": b"7", b"@paused": b"5"}
    assert now == pytest.approx(client.time()[0], abs=5)


def test_what_was_finished_by_the_minute(each_server: Server, endpoint: Endpoint) -> None:
    for minute, counts in {7: {"completed": 3, "failed": 2, "again": 9}, 9: {"completed": 1}}.items():
        each_server.client().hset(f"counts:{{queue:jobs}}:{minute}", mapping=counts)
        each_server.client().expire(f"counts:{{queue:jobs}}:{minute}", 600)
    assert endpoint.run(JOBS.history([7, 8, 9])) == [5, 0, 1]


def test_lists_that_could_be_queues(each_server: Server, endpoint: Endpoint) -> None:
    client = each_server.client()
    client.lpush("queue:known", "a")
    client.lpush("queue:not a name", "a")
    client.set("queue:text", "a", ex=60)
    cursor, names = endpoint.run(sight.lists(0, 1000))
    assert (cursor, names) == (0, ["known"])
    client.delete("queue:not a name")
