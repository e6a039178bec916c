"""State tables of store: one whole result, over whatever was there but a later delivery's of the same queue."""

from typing import Any

import pytest
from redis import ResponseError

from chute.script import STORE
from scripts.finishing import LETTER, pack
from scripts.table import QUEUE, Expiring, Table

FIELDS = ["status", "completed", "@value", "1", "@queue", "jobs", "@tag", "7"]
AFTER = {"result:a": Expiring(dict(zip(FIELDS[::2], FIELDS[1::2], strict=True)))}


def store(table: Table, record: bytes, tag: int = 7) -> Any:
    return table.call(STORE.on(result="result:a")(queue="jobs", tag=tag, record=record))


RESULT = pack("result", 1001, 60, *FIELDS)


@pytest.mark.parametrize(
    "record",
    [RESULT, pack("fail", 1001, 60, LETTER, *FIELDS), pack("refuse", 1001, 60, LETTER, *FIELDS)],
    ids=["result", "fail", "refuse"],
)
@pytest.mark.parametrize(
    "before",
    [
        {},
        {"result:a": Expiring({"status": "failed", "error": "old", "@queue": "jobs", "@tag": "6"})},
        {"result:a": Expiring({"status": "running", "@queue": "jobs", "@tag": "7"})},
        {"result:a": Expiring({"status": "completed", "@queue": "other", "@tag": "99"})},
        {"result:a": Expiring({"status": "completed"})},
        {"result:a": {"for": "ever"}},
        {"result:a": "a string"},
        {"result:a": ["a", "list"]},
    ],
)
def test_writes_one_whole_result_with_an_end(table: Table, record: bytes, before: dict[str, Any]) -> None:
    table.given({QUEUE: ["b"]} | before)
    assert store(table, record) == 1
    assert table.state() == {QUEUE: ["b"]} | AFTER
    assert 50 < table.client.ttl("result:a") <= 60


def test_spares_the_result_of_a_later_delivery(table: Table) -> None:
    before = table.given({"result:a": Expiring({"status": "failed", "@queue": "jobs", "@tag": "8"})})
    assert store(table, RESULT) == 0
    assert table.state() == before


def test_twice_is_once(table: Table) -> None:
    table.given({})
    assert (store(table, RESULT), store(table, RESULT)) == (1, 1)
    assert table.state() == AFTER


@pytest.mark.parametrize("record", [pack("drop", 1001), pack("release", 1001), pack(), b"\xc1", pack("result")])
def test_what_has_no_result_changes_nothing(table: Table, record: bytes) -> None:
    before = table.given({"result:a": Expiring({"status": "failed"})})
    with pytest.raises(ResponseError):
        store(table, record)
    assert {name: value for name, value in table.state().items() if name != "result:a"} == {}
    assert table.state().keys() == before.keys()


def test_a_full_server_takes_it(table: Table) -> None:
    table.given({})
    table.fill_memory()
    assert store(table, RESULT) == 1
    assert table.state() == AFTER
