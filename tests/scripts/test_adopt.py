"""State tables of adopt: a worker takes up its own leases again, under new tags, and moves nothing."""

import pytest
from redis import ResponseError

from chute.script import ADOPT
from scripts.table import LEASES, QUEUE, TAGS, WORKERS, Table

pytestmark = pytest.mark.leaves("workers", "leases")

HELD = {"1001": "a", "1002": "\udcff\udcfe", "2001": ""}


def adopt(table: Table, *leases: str) -> object:
    return table.call(ADOPT.on(leases=LEASES, tags=TAGS)(*leases, bytes=8))


def test_gives_the_bodies_in_the_order_asked_under_new_tags(table: Table) -> None:
    table.given({WORKERS: {"w": "1"}, LEASES: HELD, TAGS: "41", QUEUE: ["z"]})
    assert adopt(table, "2001", "1002", "1001") == [42, ["", "\udcff\udcfe", "a"]]
    assert table.state() == {WORKERS: {"w": "1"}, LEASES: HELD, TAGS: "44", QUEUE: ["z"]}


def test_a_repeat_gives_the_same_bodies_under_higher_tags(table: Table) -> None:
    table.given({LEASES: HELD})
    assert adopt(table, "1001") == [1, ["a"]]
    assert adopt(table, "1001") == [2, ["a"]]
    assert table.state() == {LEASES: HELD, TAGS: "2"}


def test_a_lease_that_is_gone_has_no_body(table: Table) -> None:
    table.given({LEASES: HELD})
    assert adopt(table, "7001", "1001", "7002") == [1, [None, "a", None]]
    assert table.state() == {LEASES: HELD, TAGS: "3"}


def test_of_a_body_that_is_too_long_only_the_beginning_comes(table: Table) -> None:
    held = {"1001": "12345678", "1002": "123456789ab", "1003": "\udcff23456789ab"}
    table.given({LEASES: held})
    assert adopt(table, *held, "7001") == [1, ["12345678", "123456789", "\udcff23456789", None]]
    assert table.state() == {LEASES: held, TAGS: "4"}


def test_a_thousand_in_one_call(table: Table) -> None:
    held = {str(1000 + number): str(number) for number in range(1, 1001)}
    table.given({LEASES: held})
    assert adopt(table, *held) == [1, list(held.values())]


def test_a_full_server_takes_it(table: Table) -> None:
    table.given({LEASES: HELD})
    table.fill_memory()
    assert adopt(table, "1001") == [1, ["a"]]
    assert table.state() == {LEASES: HELD, TAGS: "1"}


@pytest.mark.parametrize("key", [LEASES, TAGS])
def test_a_key_of_a_wrong_type_is_an_error(table: Table, key: str) -> None:
    before = table.given({LEASES: HELD} | {key: ["foreign"]})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        adopt(table, "1001")
    assert table.state() == before
