"""State tables of count: each name grows by its number, and the key ends by itself."""

import pytest
from redis import ResponseError

from chute.script import COUNT
from scripts.table import KEYS, Expiring, Table

COUNTS = KEYS.counts(7)


def count(table: Table, *more: str | int) -> object:
    return table.call(COUNT.on(counts=COUNTS)(*more, ttl=60))


@pytest.mark.parametrize("before", [Expiring({"completed": "3"}), {"completed": "3"}])
def test_it_adds_and_the_key_ends_by_itself(table: Table, before: object) -> None:
    table.given({COUNTS: before})
    assert count(table, "completed", 2, "failed", 1) == 1
    assert table.state() == {COUNTS: Expiring({"completed": "5", "failed": "1"})}
    assert 50 < table.client.ttl(COUNTS) <= 60


def test_the_first_makes_the_key(table: Table) -> None:
    assert count(table, "completed", 2) == 1
    assert table.state() == {COUNTS: Expiring({"completed": "2"})}


def test_a_full_server_takes_it(table: Table) -> None:
    table.fill_memory()
    assert count(table, "completed", 2) == 1


def test_where_the_key_is_no_hash_nothing_is_written(table: Table) -> None:
    before = table.given({COUNTS: Expiring("foreign")})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        count(table, "completed", 1)
    assert table.state() == before
