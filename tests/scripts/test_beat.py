"""State tables of beat: it raises the living and brings nobody back."""

import pytest

from chute.script import BEAT
from scripts.table import LEASES, WORKERS, Table

pytestmark = pytest.mark.leaves("workers", "leases")


def beat(table: Table, *workers: str) -> object:
    return table.call(BEAT.on(workers=WORKERS)(*workers))


def test_raises_the_beat_of_those_named(table: Table) -> None:
    table.given({WORKERS: {"w": "1", "v": "41", "u": "5"}, LEASES: {"1001": "a"}})
    assert beat(table, "w", "v") == []
    assert table.state() == {WORKERS: {"w": "2", "v": "42", "u": "5"}, LEASES: {"1001": "a"}}


def test_names_the_fenced_and_creates_nobody(table: Table) -> None:
    table.given({WORKERS: {"w": "1", "closed": "dead"}})
    assert beat(table, "closed", "w", "unknown") == ["closed", "unknown"]
    assert table.state() == {WORKERS: {"w": "2", "closed": "dead"}}


def test_on_an_empty_server(table: Table) -> None:
    table.given({})
    assert beat(table, "w") == ["w"]
    assert table.state() == {}


def test_of_nobody(table: Table) -> None:
    before = table.given({WORKERS: {"w": "1"}})
    assert beat(table) == []
    assert table.state() == before


def test_while_paused(table: Table) -> None:
    table.given({WORKERS: {"w": "1", "@paused": "1"}})
    assert beat(table, "w") == []
    assert table.state() == {WORKERS: {"w": "2", "@paused": "1"}}


def test_a_full_server_takes_it(table: Table) -> None:
    table.given({WORKERS: {"w": "1"}})
    table.fill_memory()
    assert beat(table, "w") == []
    assert table.state() == {WORKERS: {"w": "2"}}
