"""State tables of finish where it cannot do what a record says: the lease stays, and its neighbours are unharmed."""

from typing import Any

import pytest
from redis import ResponseError

from scripts.finishing import LETTER, finish
from scripts.table import DEAD, LEASES, QUEUE, REFUSED, SCHEDULED, TAGS, Expiring, State, Table

pytestmark = pytest.mark.leaves("workers", "leases")

DONE: State = {"result:b": Expiring({"status": "completed"})}
NEIGHBOUR = ("result:b", ("result", 1002, 60, "status", "completed"))

BAD: dict[str, Any] = {
    "garbage": b"\xc1garbage",
    "nothing": b"",
    "cut off": b"\x93\xa4drop",
    "a number": 7,
    "a text": "nottable",
    "an empty record": (),
    "no lease": ("drop",),
    "no kind": (None, 1001),
    "an unknown kind": ("explode", 1001),
    "a map in place of a record": {"kind": "drop", "lease": 1001},
    "a result without fields": ("result", 1001, 60),
    "a result with half a field": ("result", 1001, 60, "status"),
    "a result with a field and a half": ("result", 1001, 60, "status", "completed", "answer"),
    "a result with a table in it": ("result", 1001, 60, "status", ["completed"]),
    "a result with a TTL that is no number": ("result", 1001, "soon", "status", "completed"),
    "a result with a TTL beyond all time": ("result", 1001, 10**16, "status", "completed"),
    "a result with a nil": ("result", 1001, 60, "status", None),
    "a retry without a body": ("retry", 1001, 5),
    "a retry without anything": ("retry", 1001),
    "a retry with a delay that is no number": ("retry", 1001, "x", "{}"),
    "a retry with a body that is no text": ("retry", 1001, 5, 7),
    "a fail without a letter": ("fail", 1001, 60),
    "a fail with a letter that is no table": ("fail", 1001, 60, "reason"),
    "a fail with half a field in the letter": ("fail", 1001, 60, ["reason"], "status", "failed"),
    "a refuse without a letter": ("refuse", 1001, 60),
    "a refuse with half a field in the letter": ("refuse", 1001, 60, ["reason"], "status", "failed"),
}


CASES = [(key, name) for name in BAD for key in ("result:a", LEASES) if key != LEASES or not name.startswith("a result")]
"""A record with a result names its key; any other may name the leases in place of one."""


@pytest.mark.leaves("result")  # one whose TTL was refused
@pytest.mark.parametrize(("key", "name"), CASES)
@pytest.mark.parametrize("place", [0, 1])
def test_a_bad_record_keeps_its_lease_and_harms_nobody(table: Table, key: str, name: str, place: int) -> None:
    table.given({LEASES: {"1001": "a", "1002": "b"}, QUEUE: ["z"]})
    records: list[tuple[str, Any]] = [NEIGHBOUR]
    records.insert(place, (key, BAD[name]))
    assert finish(table, *records) == ("E1", "1E")[place]
    state = table.state()
    state.pop("result:a", None)  # a half-told outcome may show; the lease says that the job is not done
    state.pop(TAGS, None)
    assert state == {LEASES: {"1001": "a"}, QUEUE: ["z"]} | DONE


def test_many_bad_records_in_one_call(table: Table) -> None:
    table.given({LEASES: {str(lease): "m" for lease in range(61001, 61007)}})
    answer = finish(
        table,
        (LEASES, ("retry", 61001, 5)),
        (LEASES, ("fail", 61002, 60)),
        (LEASES, ("retry", 61003, "x", "{}")),
        (LEASES, "notatable"),
        ("result:big", ("refuse", 61005, 60, ["reason", "bad_json", "length", "70000"], "status", "failed")),
        ("result:ok", ("result", 61006, 60, "status", "completed")),
    )
    assert answer == "EEEE11"
    assert table.state() == {
        LEASES: {str(lease): "m" for lease in range(61001, 61005)},
        REFUSED: [{"body": "m", "reason": "bad_json", "length": "70000"}],
        "result:big": Expiring({"status": "failed"}),
        "result:ok": Expiring({"status": "completed"}),
    }


@pytest.mark.parametrize(
    ("key", "record"),
    [
        (SCHEDULED, (LEASES, ("retry", 1001, 0, "{}"))),
        (DEAD, (LEASES, ("fail", 1001, 60, LETTER))),
        (DEAD, ("result:a", ("fail", 1001, 60, LETTER, "status", "failed"))),
        (REFUSED, (LEASES, ("refuse", 1001, 60, LETTER))),
    ],
)
def test_what_cannot_be_stored_keeps_its_lease(table: Table, key: str, record: tuple[str, Any]) -> None:
    table.given({LEASES: {"1001": "a", "1002": "b"}, key: "foreign"})
    assert finish(table, record, NEIGHBOUR) == "E1"
    state = table.state()
    state.pop("result:a", None)
    state.pop(TAGS, None)
    assert state == {LEASES: {"1001": "a"}, key: "foreign"} | DONE


@pytest.mark.parametrize(
    ("key", "record"),
    [
        pytest.param(QUEUE, ("release", 1001), id="the queue is no list"),
        pytest.param(TAGS, ("retry", 1001, 0, "{}"), id="the tags are no counter"),
    ],
)
def test_an_error_of_one_record_is_no_end_of_the_others(table: Table, key: str, record: tuple[Any, ...]) -> None:
    """Or a retry before it would be scheduled once more with each repetition."""
    table.given({LEASES: {"1001": "a", "1002": "b"}, key: {"foreign": "hash"}})
    assert finish(table, NEIGHBOUR, (LEASES, record)) == "1E"
    assert table.state() == {LEASES: {"1001": "a"}, key: {"foreign": "hash"}} | DONE
    assert finish(table, NEIGHBOUR, (LEASES, record)) == "0E"
    table.client.delete(key)
    assert finish(table, NEIGHBOUR, (LEASES, record)) == "01"


def test_leases_that_are_no_hash_are_an_error(table: Table) -> None:
    before = table.given({LEASES: "foreign"})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        finish(table, NEIGHBOUR)
    assert table.state() == before
