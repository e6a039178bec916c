"""The only door to the server: what its operations do there, in blocking and in asyncio code alike."""

import asyncio
import json
from typing import Any

import pytest
import redis

import chute
from chute import connection, script, store
from chute.connection import Endpoint
from chute.errors import Rejected, Unconfirmed
from chute.operation import Operation
from chute.store import Store
from contract.proxy import Proxy
from servers import Server, send

QUEUE = Store("jobs")


class Both:
    """Runs an operation in blocking or in asyncio code."""

    def __init__(self, url: str, *, asyncio_code: bool) -> None:
        self._endpoint: Endpoint = connection.endpoint(url)
        self._asyncio_code = asyncio_code

    def run(self, operation: Operation[Any]) -> Any:
        if not self._asyncio_code:
            return self._endpoint.run(operation)

        async def run() -> Any:
            try:
                return await self._endpoint.arun(operation)
            finally:
                await chute.aclose()

        return asyncio.run(run())


@pytest.fixture(params=[False, True], ids=["blocking", "asyncio"])
def both(request: pytest.FixtureRequest, server: Server) -> Both:
    return Both(server.url, asyncio_code=request.param)


def body(n: int) -> bytes:
    return b'{"job_id":"%d"}' % n


def ready(server: Server) -> list[bytes]:
    """The jobs in the queue, oldest first."""
    return list(reversed(server.client().lrange("queue:jobs", 0, -1)))


def test_jobs_go_in_in_their_order_whatever_their_number(both: Both, server: Server) -> None:
    both.run(QUEUE.enqueue([(str(n), body(n), "") for n in range(2_500)]))
    assert ready(server) == [body(n) for n in range(2_500)]
    assert both.run(QUEUE.depth()) == 2_500


def test_some_are_scheduled_in_between(both: Both, server: Server) -> None:
    both.run(QUEUE.enqueue([("0", body(0), ""), ("1", body(1), "+60000"), ("2", body(2), ""), ("3", body(3), "9999999999999")]))
    assert ready(server) == [body(0), body(2)]
    scheduled = server.client().zrange("scheduled:{queue:jobs}", 0, -1, withscores=True)
    assert [member[16:] for member, _ in scheduled] == [body(1), body(3)]
    now = server.client().time()[0] * 1000
    assert now + 50_000 < scheduled[0][1] < now + 70_000
    assert scheduled[1][1] == 9999999999999


def test_a_job_that_is_due_already_is_ready_or_soon(both: Both, server: Server) -> None:
    both.run(QUEUE.enqueue([("0", body(0), "1")]))
    assert server.client().llen("queue:jobs") + server.client().zcard("scheduled:{queue:jobs}") == 1


def test_a_refusal_says_how_many_went_in(both: Both, server: Server) -> None:
    server.client().set("scheduled:{queue:jobs}", "x")
    with pytest.raises(Rejected, match="1 of 2"):
        both.run(QUEUE.enqueue([("0", body(0), ""), ("1", body(1), "+60000")]))
    assert ready(server) == [body(0)]
    server.client().set("queue:jobs", "x")
    with pytest.raises(Rejected, match="nothing"):
        both.run(QUEUE.enqueue([("0", body(0), "")]))
    server.client().delete("queue:jobs", "scheduled:{queue:jobs}")


def test_a_forgotten_script_is_brought_again_and_nothing_doubled(both: Both, server: Server) -> None:
    for n in range(3):
        server.client().script_flush()
        both.run(QUEUE.enqueue([(str(n), body(n), ""), (str(n + 10), body(n + 10), "+60000")]))
    assert len(ready(server)) == 3
    assert server.client().zcard("scheduled:{queue:jobs}") == 3


@pytest.mark.parametrize("after", [b"master_replid:2", b"role:slave", redis.ResponseError("NOPERM")])
def test_a_copy_counts_for_the_history_in_which_it_was_written(after: object) -> None:
    operation = QUEUE.enqueue([("7", body(7), "", "")], "replica")
    operation.read([b"master_replid:1", 1, 1, b"master_replid:1"])
    with pytest.raises(Unconfirmed, match="became another one"):
        operation.read([b"master_replid:1", 1, 1, after])


@pytest.mark.parametrize("asyncio_code", [False, True], ids=["blocking", "asyncio"])
def test_a_lost_reply_is_not_sent_again(server: Server, asyncio_code: bool) -> None:
    with Proxy(server, lose=b"LPUSH") as proxy, pytest.raises(Unconfirmed) as caught:
        Both(proxy.url, asyncio_code=asyncio_code).run(QUEUE.enqueue([("7", body(7), ""), ("8", body(8), "")]))
    assert caught.value.job_id == "7"
    assert ready(server) == [body(7), body(8)]


@pytest.mark.parametrize("asyncio_code", [False, True], ids=["blocking", "asyncio"])
def test_a_lost_reply_to_a_question_is_asked_again(server: Server, asyncio_code: bool) -> None:
    server.client().lpush("queue:jobs", "{}")
    with Proxy(server, lose=b"LLEN") as proxy:
        assert Both(proxy.url, asyncio_code=asyncio_code).run(QUEUE.depth()) == 1


def test_results_are_read_whole(both: Both, server: Server) -> None:
    assert both.run(store.read_result("r")) == {}
    server.client().hset("result:r", mapping={"status": "completed", "größe": b"\xff"})
    assert both.run(store.read_result("r")) == {b"status": b"completed", "größe".encode(): b"\xff"}
    server.client().delete("result:r")
    server.client().set("result:r", "of another type")
    with pytest.raises(Rejected):
        both.run(store.read_result("r"))
    server.client().delete("result:r")


def test_known_queues(both: Both, server: Server) -> None:
    assert both.run(QUEUE.known()) is False
    server.client().sadd("queues", "jobs", "b", "a")
    assert both.run(QUEUE.known()) is True
    assert both.run(store.queues()) == ["a", "b", "jobs"]


def test_emptying(both: Both, server: Server) -> None:
    client = server.client()
    client.lpush("queue:jobs", "a", "b")
    client.rpush("first:{queue:jobs}", "c")
    client.zadd("scheduled:{queue:jobs}", {"d": 1})
    assert both.run(QUEUE.clear()) == 3
    assert client.keys() == [b"scheduled:{queue:jobs}"]
    assert both.run(QUEUE.clear()) == 0


def test_a_dead_letter_goes_back_once(both: Both, server: Server) -> None:
    client = server.client()
    entry = client.xadd("dead:{queue:jobs}", {"body": body(1)}).decode()
    client.hset("result:1", "status", "failed")
    assert both.run(QUEUE.requeue("dead", entry, body(1), "1")) is True
    assert both.run(QUEUE.requeue("dead", entry, body(1), "1")) is False
    assert ready(server) == [body(1)]
    assert not client.exists("result:1", "dead:{queue:jobs}") or client.xlen("dead:{queue:jobs}") == 0


def test_letters_page_backwards(both: Both, server: Server) -> None:
    entries = [server.client().xadd("refused:{queue:jobs}", {"body": body(n)}) for n in range(5)]
    newest = both.run(QUEUE.letters("refused", "+", 2))
    assert [entry for entry, _ in newest] == [entries[4], entries[3]]
    assert newest[0][1] == {b"body": body(4)}
    assert [entry for entry, _ in both.run(QUEUE.letters("refused", f"({entries[3].decode()}", 10))] == entries[2::-1]
    assert both.run(QUEUE.purge("refused", [each.decode() for each in entries[:2]])) == 2


def test_the_server_tells_what_it_is(both: Both) -> None:
    info = both.run(store.server_info())
    assert info["server_name"] == "valkey" or "redis_version" in info
    assert json.dumps(info)


@pytest.mark.parametrize(
    ("operation", "command", "calls"),
    [
        (QUEUE.clear(), b"DEL", {"llen": 2}),  # the line may be cut before the second DEL, but what stands before both is sent once
        (QUEUE.purge("dead", ["1-1"]), b"XDEL", {"xdel": 1}),
        (QUEUE.requeue("dead", "1-1", body(1), "1"), b"EVALSHA", {"evalsha": 1}),
    ],
    ids=["clear", "purge", "requeue"],
)
def test_what_deletes_is_never_sent_again(server: Server, operation: Operation[Any], command: bytes, calls: dict[str, int]) -> None:
    """Between the two, others may have put in what was not meant."""
    client = server.client()
    for each in script.LOAD:
        send(client, *each)
    client.config_resetstat()
    with Proxy(server, lose=command) as proxy, pytest.raises(Unconfirmed) as caught:
        connection.endpoint(proxy.url).run(operation)
    assert str(caught.value).startswith("it is unknown whether that was done: ")
    assert str(caught.value).endswith(". Look before you repeat it")
    stats = client.info("commandstats")
    assert {name: stats[f"cmdstat_{name}"]["calls"] for name in calls} == calls
    assert stats.get("cmdstat_del", {"calls": 0})["calls"] <= 2
