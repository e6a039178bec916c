"""What an operator does with a queue: look, put dead letters back, throw them away."""

import json
import time
from typing import Any

import pytest

from chute import admin, connection
from chute.connection import Endpoint
from servers import Server

QUEUE = "jobs"


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    return connection.endpoint(server.url)


def letter(server: Server, stream: str, body: bytes, **fields: Any) -> str:
    """A dead letter; gives its entry."""
    entry: bytes = server.client().xadd(f"{stream}:{{queue:{QUEUE}}}", {"body": body, "reason": "failed", **fields})
    return f"{stream}/{entry.decode()}"


def job(name: str, **fields: Any) -> bytes:
    return json.dumps({"job_id": name, **fields}).encode()


def test_both_streams_newest_first(server: Server, endpoint: Endpoint) -> None:
    entries: list[str] = []
    for n in range(9):
        entries.append(letter(server, ("dead", "refused")[n % 2], job(str(n)), job_id=str(n)))
        time.sleep(0.002)  # two of one millisecond have no order
    assert [each.entry for each in admin.letters(endpoint, QUEUE)] == entries[::-1]


def test_more_than_one_page(server: Server, endpoint: Endpoint) -> None:
    with server.client().pipeline(transaction=False) as pipe:
        for n in range(1_250):
            pipe.xadd(f"dead:{{queue:{QUEUE}}}", {"body": job(str(n)), "reason": "failed", "job_id": str(n)})
        pipe.execute()
    names = [each.fields["job_id"] for each in admin.letters(endpoint, QUEUE)]
    assert names == [str(n) for n in reversed(range(1_250))]


def test_one_by_its_entry(server: Server, endpoint: Endpoint) -> None:
    entry = letter(server, "dead", job("a"), job_id="a")
    found = admin.find(endpoint, QUEUE, entry)
    assert found is not None
    assert (found.entry, found.body) == (entry, job("a"))
    assert admin.find(endpoint, QUEUE, "dead/1-1") is None
    for wrong in ("", "dead", "dead/", "dead/x-1", "other/1-1", "1-1", "dead/1-1-1", "dead/-", "dead/1"):
        with pytest.raises(ValueError, match="entry"):
            admin.find(endpoint, QUEUE, wrong)


def test_put_back_a_job_is_as_if_it_had_never_run(server: Server, endpoint: Endpoint) -> None:
    body = b'{"job_id": "a", "q": 1.50, "big": 12345678901234567890123, "@attempt": 3, "@deaths": 2, "@v": [ ] }'
    entry = letter(server, "dead", body, job_id="a")
    server.client().hset("result:a", "status", "failed")
    found = admin.find(endpoint, QUEUE, entry)
    assert found is not None
    assert admin.requeue(endpoint, found) is True
    (sent,) = server.client().lrange("queue:jobs", 0, -1)
    assert json.loads(sent) == {"job_id": "a", "q": 1.5, "big": 12345678901234567890123, "@v": []}
    assert b"1.50" in sent, "what is not ours stays as it was pushed"
    assert not server.client().exists("result:a")
    assert admin.requeue(endpoint, found) is False, "once"
    assert server.client().llen("queue:jobs") == 1


@pytest.mark.parametrize("body", [b"\xff not json", b"null", b'{"job_id":null}'])
def test_put_back_what_is_no_job_goes_as_it_came(server: Server, endpoint: Endpoint, body: bytes) -> None:
    found = admin.find(endpoint, QUEUE, letter(server, "refused", body))
    assert found is not None
    assert admin.requeue(endpoint, found) is True
    assert server.client().lrange("queue:jobs", 0, -1) == [body]


def test_what_was_cut_does_not_go_back(server: Server, endpoint: Endpoint) -> None:
    entry = letter(server, "refused", b"x" * 65_536, length=2_000_000, sha256="0" * 64)
    found = admin.find(endpoint, QUEUE, entry)
    assert found is not None
    with pytest.raises(ValueError, match="requeue"):
        admin.requeue(endpoint, found)
    assert server.client().xlen("refused:{queue:jobs}") == 1


def test_throwing_away(server: Server, endpoint: Endpoint) -> None:
    for n in range(5):
        letter(server, ("dead", "refused")[n % 2], job(str(n)), job_id=str(n))
    all_of_them = list(admin.letters(endpoint, QUEUE))
    assert admin.purge(endpoint, all_of_them[:3]) == 3
    assert admin.purge(endpoint, all_of_them) == 2, "what was gone does not count"
    assert admin.purge(endpoint, []) == 0
    assert list(admin.letters(endpoint, QUEUE)) == []


def test_many_queues_are_looked_at_and_their_names_are_read_once(server: Server, endpoint: Endpoint) -> None:
    client = server.client()
    client.sadd("queues", *[f"q{n}" for n in range(50)], "q7:0", "q7:1")
    client.lpush("queue:q7:1", "{}")
    client.config_resetstat()
    found = admin.survey(endpoint)
    assert len(found) == 50
    assert [each.queue for each in found if each.depth] == ["q7"]
    assert client.info("commandstats")["cmdstat_smembers"]["calls"] == 1
    assert [each.queue for each in admin.survey(endpoint, ["q7", "unknown"])] == ["q7", "unknown"]


@pytest.mark.leaves("workers", "leases")
def test_a_queue_at_a_glance(server: Server, endpoint: Endpoint) -> None:
    client = server.client()
    seconds, _ = client.time()
    client.lpush("queue:jobs", job("old", **{"@at": (seconds - 30) * 1000}), *[job(str(n)) for n in range(4)])
    client.hset("workers:{queue:jobs}", mapping={"a" * 32: 1, "b" * 32: 1, "@paused": 1})
    client.hset(f"leases:{{queue:jobs}}:{'a' * 32}", mapping={"1001": "{}", "1002": "{}"})
    client.hset(f"leases:{{queue:jobs}}:{'b' * 32}", mapping={"1001": "{}"})
    client.zadd("scheduled:{queue:jobs}", {"0000000000000001{}": 1})
    letter(server, "dead", b"{}")
    letter(server, "refused", b"x")
    client.hset(f"counts:{{queue:jobs}}:{seconds // 60}", mapping={"completed": 60, "failed": 60})
    client.expire(f"counts:{{queue:jobs}}:{seconds // 60}", 600)
    found = admin.stats(endpoint, QUEUE)
    assert (found.queue, found.depth, found.running, found.scheduled, found.dead, found.workers) == ("jobs", 5, 3, 1, 2, 2)
    assert found.oldest_age is not None
    assert 29 <= found.oldest_age < 60
    assert 0 < found.rate <= 2.1
    assert found.paused is True
