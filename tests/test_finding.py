"""A job is found wherever it is, by what its JSON says, in pieces and within bounds."""

import itertools
import json
import threading
from collections.abc import Iterator

import pytest

from chute import connection
from chute.connection import Endpoint
from chute.finding import Dead, Due, Held, Queued, Search
from servers import Server

pytestmark = pytest.mark.leaves("workers", "leases")


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    return connection.endpoint(server.url)


def body(name: str, **more: object) -> str:
    return json.dumps({"job_id": name, **more})


def fill(server: Server, key: str, count: int, size: int = 0) -> None:
    with server.client().pipeline(transaction=False) as pipe:
        for n in range(count):
            pipe.lpush(key, body(f"other-{n}", pad="x" * size))
        pipe.execute()


@pytest.mark.parametrize("ahead", [0, 1, 99, 100, 101, 2_345])
def test_its_place_is_counted_from_the_end_that_is_handed_out_first(server: Server, endpoint: Endpoint, ahead: int) -> None:
    fill(server, "queue:jobs", ahead)
    server.client().lpush("queue:jobs", body("it", **{"@task": "answer", "@attempt": 2}))
    fill(server, "queue:jobs", 10)
    fill(server, "first:{queue:jobs}", 3)
    search = Search(endpoint, "it")
    found = search.ready("jobs")
    assert isinstance(found, Queued)
    assert (found.queue, found.ahead, found.job.task, found.job.attempt) == ("jobs", ahead + 3, "answer", 2)
    assert not search.spent


def test_what_stands_first_is_found(server: Server, endpoint: Endpoint) -> None:
    server.client().lpush("first:{queue:jobs}", body("other"), body("it"))
    found = Search(endpoint, "it").ready("jobs")
    assert found is not None
    assert found.ahead == 1


@pytest.mark.parametrize("entry", ['{"job_id": "i\\u0074"}', '{"x": 1, "job_id":"it"}', '{"job_id": "x", "job_id": "it"}'])
def test_the_json_decides_however_it_is_written(server: Server, endpoint: Endpoint, entry: str) -> None:
    server.client().lpush("queue:jobs", entry)
    assert Search(endpoint, "it").ready("jobs") is not None


@pytest.mark.parametrize(
    "entry",
    [
        '{"job_id": "other", "note": "it"}',
        '{"job_id": "it2"}',
        '"it"',
        "it",
        b"\xff it",
        '{"job_id": ["it"]}',
        '{"a": {"job_id": "it"}}',
        "",
    ],
)
def test_what_only_mentions_it_is_another(server: Server, endpoint: Endpoint, entry: str | bytes) -> None:
    server.client().lpush("queue:jobs", entry)
    search = Search(endpoint, "it")
    assert search.ready("jobs") is None
    assert search.looked == 1


def test_among_what_workers_hold(server: Server, endpoint: Endpoint) -> None:
    client = server.client()
    client.hset("workers:{queue:jobs}", mapping={"a": 7, "b": "dead", "@paused": 1})
    for worker in "ab":
        client.hset(f"leases:{{queue:jobs}}:{worker}", mapping={str(1001 + n): body(f"{worker}{n}", pad="x" * 100) for n in range(500)})
    assert Search(endpoint, "a499").held("jobs") == Held("jobs", Search(endpoint, "a499").held("jobs").job, "a", 1500, closed=False)  # type: ignore[union-attr]
    found = Search(endpoint, "b0").held("jobs")
    assert found is not None
    assert (found.worker, found.closed) == ("b", True)
    nothing = Search(endpoint, "c")
    assert (nothing.held("jobs"), nothing.looked) == (None, 1000)


def test_among_what_is_scheduled(server: Server, endpoint: Endpoint) -> None:
    client = server.client()
    client.zadd("scheduled:{queue:jobs}", {f"{n:016x}{body(f'other-{n}')}": n for n in range(300)})
    client.zadd("scheduled:{queue:jobs}", {f"{500:016x}{body('it')}": 1_700_000_000_500})
    found = Search(endpoint, "it").due("jobs")
    assert isinstance(found, Due)
    assert found.when == 1_700_000_000.5


@pytest.mark.parametrize("stream", ["dead", "refused"])
def test_among_dead_letters_the_newest(server: Server, endpoint: Endpoint, stream: str) -> None:
    client, key = server.client(), f"{stream}:{{queue:jobs}}"
    client.xadd(key, {"body": body("it"), "reason": "old", "job_id": "it"}, id="1-1")
    client.xadd(key, {"body": body("it"), "reason": "new", "job_id": "it"}, id="2-1")
    for n in range(250):
        client.xadd(key, {"body": body(f"other-{n}"), "reason": "failed"}, id=f"3-{n}")
    found = Search(endpoint, "it").dead("jobs")
    assert isinstance(found, Dead)
    assert (found.letter.entry, found.letter.fields["reason"]) == (f"{stream}/2-1", "new")


def test_a_search_has_an_end(server: Server, endpoint: Endpoint) -> None:
    fill(server, "queue:jobs", 3_000)
    search = Search(endpoint, "nothing", most=500)
    assert search.ready("jobs") is None
    assert search.spent
    assert search.looked == 500
    slow = Search(endpoint, "nothing", seconds=0)
    assert (slow.ready("jobs"), slow.looked, slow.spent) == (None, 0, True)


def test_large_entries_are_read_a_few_at_a_time(server: Server, endpoint: Endpoint) -> None:
    fill(server, "queue:jobs", 150, size=400_000)
    server.client().config_resetstat()
    assert Search(endpoint, "nothing").ready("jobs") is None
    assert server.client().info("commandstats")["cmdstat_lrange"]["calls"] >= 6  # 100, then 10 at once
    server.client().delete("queue:jobs")


def test_a_queue_that_moves_on_meanwhile_hides_nothing(server: Server, endpoint: Endpoint) -> None:
    """Somebody takes jobs out all the time, as a claim does, while one at each depth is looked for."""
    client = server.client()
    fill(server, "queue:jobs", 30_000)
    stop = threading.Event()

    def take() -> None:
        with server.new_client() as taking:
            while not stop.is_set():
                with taking.pipeline(transaction=True) as pipe:
                    pipe.rpop("queue:jobs", 16).incrby("tags:{queue:jobs}", 16).execute()

    taker = threading.Thread(target=take)
    taker.start()
    try:
        for n in _places():
            client.lset("queue:jobs", n, body(f"it-{n}"))
            found = Search(endpoint, f"it-{n}").ready("jobs")
            assert found is not None or client.llen("queue:jobs") < 2_000
    finally:
        stop.set()
        taker.join()


def _places() -> Iterator[int]:
    return itertools.islice(range(1_500), 0, None, 75)
