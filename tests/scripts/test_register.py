"""State tables of register: an id is registered once."""

import pytest
from redis import ResponseError

from chute.script import REGISTER
from scripts.table import LEASES, QUEUE, WORKERS, Table

pytestmark = pytest.mark.leaves("workers", "leases")


def register(table: Table, worker: str) -> object:
    return table.call(REGISTER.on(workers=WORKERS)(worker=worker))


def test_a_new_id_begins_with_a_beat_of_one(table: Table) -> None:
    table.given({})
    assert register(table, "w") == 1
    assert table.state() == {WORKERS: {"w": "1"}}


def test_beside_others_and_a_pause(table: Table) -> None:
    table.given({WORKERS: {"other": "7", "gone": "dead", "@paused": "1"}, QUEUE: ["a"]})
    assert register(table, "w") == 1
    assert table.state() == {WORKERS: {"other": "7", "gone": "dead", "@paused": "1", "w": "1"}, QUEUE: ["a"]}


@pytest.mark.parametrize("beat", ["1", "42", "dead"])
def test_an_id_that_was_taken_stays_as_it_is(table: Table, beat: str) -> None:
    before = table.given({WORKERS: {"w": beat}, LEASES: {"1001": "a"}})
    assert register(table, "w") == 0
    assert table.state() == before


def test_a_repeat_changes_nothing(table: Table) -> None:
    table.given({})
    register(table, "w")
    before = table.state()
    assert register(table, "w") == 0
    assert table.state() == before


def test_a_full_server_takes_it(table: Table) -> None:
    table.given({})
    table.fill_memory()
    assert register(table, "w") == 1
    assert table.state() == {WORKERS: {"w": "1"}}


def test_a_key_of_a_wrong_type_is_an_error(table: Table) -> None:
    before = table.given({WORKERS: ["foreign"]})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        register(table, "w")
    assert table.state() == before
