"""State tables of enqueue: where a job goes by delay, priority and unique key, and what a refusal leaves."""

import pytest
from redis import OutOfMemoryError, ResponseError

from chute.script import ENQUEUE
from scripts.table import FIRST, KEYS, QUEUE, SCHEDULED, TAGS, Expiring, Scored, State, Table

UNIQUE = KEYS.unique("k")


def enqueue(table: Table, body: str, **args: str) -> object:
    call = ENQUEUE.on(queue=QUEUE, first=FIRST, scheduled=SCHEDULED, tags=TAGS, unique=UNIQUE)
    return table.call(call(**{"job_id": "id", "due": "", "priority": "", "unique_ttl": ""} | args, body=body))


@pytest.mark.parametrize(
    ("before", "priority", "after"),
    [
        pytest.param({}, "", {QUEUE: ["x"]}, id="into an empty queue"),
        pytest.param({QUEUE: ["b", "a"]}, "", {QUEUE: ["x", "b", "a"]}, id="behind the ready"),
        pytest.param({FIRST: ["b", "a"]}, "", {FIRST: ["b", "a"], QUEUE: ["x"]}, id="past what is first"),
        pytest.param({}, "high", {QUEUE: ["x"]}, id="high rings the bell: the empty public list gets it"),
        pytest.param({FIRST: ["a"]}, "high", {FIRST: ["a"], QUEUE: ["x"]}, id="high rings the bell also where something is first"),
        pytest.param({QUEUE: ["b", "a"]}, "high", {FIRST: ["x"], QUEUE: ["b", "a"]}, id="high goes before the queue"),
        pytest.param({QUEUE: ["c"], FIRST: ["b", "a"]}, "high", {QUEUE: ["c"], FIRST: ["x", "b", "a"]}, id="high goes behind the high"),
    ],
)
def test_now(table: Table, before: State, priority: str, after: State) -> None:
    table.given(before)
    assert enqueue(table, "x", priority=priority) == "id"
    assert table.state() == after


@pytest.mark.parametrize("priority", ["", "high"])
def test_due_in_a_while(table: Table, priority: str) -> None:
    table.given({TAGS: "9"})
    now = table.now()
    assert enqueue(table, "x", due="+60000", priority=priority) == "id"
    assert table.state() == {TAGS: "10", SCHEDULED: {"000000000000000ax": pytest.approx(now + 60_000, abs=5_000)}}


@pytest.mark.parametrize("due", ["1", "1700000000123", "4102444800999"])
def test_due_at_a_time(table: Table, due: str) -> None:
    table.given({QUEUE: ["a"]})
    assert enqueue(table, "x", due=due) == "id"
    assert table.state() == {QUEUE: ["a"], TAGS: "1", SCHEDULED: Scored({"0000000000000001x": float(due)})}


def test_equal_bodies_are_two_jobs(table: Table) -> None:
    table.given({})
    for due in ("", "", "5", "5"):
        enqueue(table, "x", due=due)
    assert table.state() == {QUEUE: ["x", "x"], TAGS: "2", SCHEDULED: Scored({"0000000000000001x": 5.0, "0000000000000002x": 5.0})}


@pytest.mark.parametrize("body", ["", "\udcff\udcfe", "x" * 70_000])
def test_the_body_is_kept_byte_for_byte(table: Table, body: str) -> None:
    table.given({})
    enqueue(table, body)
    enqueue(table, body, due="5")
    assert table.state() == {QUEUE: [body], TAGS: "1", SCHEDULED: Scored({f"0000000000000001{body}": 5.0})}


def test_a_free_unique_key_is_taken_for_its_time(table: Table) -> None:
    table.given({})
    assert enqueue(table, "x", job_id="id1", unique_ttl="60") == "id1"
    assert table.state() == {QUEUE: ["x"], UNIQUE: Expiring("id1")}
    assert 50 < table.client.ttl(UNIQUE) <= 60


def test_a_free_unique_key_is_taken_by_a_delayed_job(table: Table) -> None:
    table.given({})
    assert enqueue(table, "x", job_id="id1", unique_ttl="60", due="5") == "id1"
    assert table.state() == {SCHEDULED: Scored({"0000000000000001x": 5.0}), TAGS: "1", UNIQUE: Expiring("id1")}


@pytest.mark.parametrize(("due", "priority"), [("", ""), ("", "high"), ("5", ""), ("+5", "")])
@pytest.mark.parametrize("job_id", ["id1", "id2"])
def test_a_held_unique_key_adds_nothing(table: Table, job_id: str, due: str, priority: str) -> None:
    before = table.given({QUEUE: ["x"], UNIQUE: Expiring("id1")})
    assert enqueue(table, "y", job_id=job_id, unique_ttl="60", due=due, priority=priority) == "id1"
    assert table.state() == before
    assert table.client.ttl(UNIQUE) > 500, "a repeat must not shorten the hold"


def test_without_a_unique_key_the_key_is_not_looked_at(table: Table) -> None:
    table.given({UNIQUE: Expiring("id1")})
    assert enqueue(table, "x", job_id="id2") == "id2"
    assert table.state() == {QUEUE: ["x"], UNIQUE: Expiring("id1")}


@pytest.mark.parametrize("args", [{}, {"priority": "high"}, {"due": "5"}, {"unique_ttl": "60"}])
def test_a_full_server_refuses_and_nothing_is_left(table: Table, args: dict[str, str]) -> None:
    before = table.given({QUEUE: ["a"]})
    table.fill_memory()
    with pytest.raises(OutOfMemoryError):
        enqueue(table, "x", **args)
    assert table.state() == before


@pytest.mark.parametrize(
    ("key", "args"),
    [(QUEUE, {}), (QUEUE, {"priority": "high"}), (FIRST, {"priority": "high"}), (SCHEDULED, {"due": "5"}), (UNIQUE, {})],
)
def test_an_error_takes_no_unique_key_and_adds_no_job(table: Table, key: str, args: dict[str, str]) -> None:
    foreign = {key: {"foreign": "hash"}}
    table.given({QUEUE: ["a"]} | foreign)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        enqueue(table, "x", unique_ttl="60", **args)
    after = table.state()
    after.pop(TAGS, None)  # a number that was drawn for nothing
    assert after == {QUEUE: ["a"]} | foreign
    table.client.delete(key)
