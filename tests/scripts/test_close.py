"""State tables of close: the end of a worker is final, and another's verdict holds only for the beat that it saw."""

import pytest

from chute.script import CLOSE
from scripts.table import LEASES, QUEUE, WORKERS, Table

pytestmark = pytest.mark.leaves("workers", "leases")


def close(table: Table, worker: str, seen: str) -> object:
    return table.call(CLOSE.on(workers=WORKERS)(worker=worker, seen=seen))


@pytest.mark.parametrize("seen", ["7", ""])
def test_closes_by_the_beat_seen_last_or_by_right(table: Table, seen: str) -> None:
    table.given({WORKERS: {"w": "7", "v": "7"}, LEASES: {"1001": "a"}, QUEUE: ["b"]})
    assert close(table, "w", seen) == 1
    assert table.state() == {WORKERS: {"w": "dead", "v": "7"}, LEASES: {"1001": "a"}, QUEUE: ["b"]}


@pytest.mark.parametrize("seen", ["6", "99999", "dead", "07"])
def test_a_worker_that_went_on_lives(table: Table, seen: str) -> None:
    before = table.given({WORKERS: {"w": "7"}, LEASES: {"1001": "a"}})
    assert close(table, "w", seen) == 0
    assert table.state() == before


@pytest.mark.parametrize("seen", ["7", "1", ""])
def test_a_closed_worker_stays_closed(table: Table, seen: str) -> None:
    before = table.given({WORKERS: {"w": "dead"}, LEASES: {"1001": "a"}})
    assert close(table, "w", seen) == 1
    assert table.state() == before


def test_an_unknown_worker_is_not_closed_by_who_watched_it(table: Table) -> None:
    before = table.given({WORKERS: {"v": "7", "@paused": "1"}})
    assert close(table, "w", "7") == 0
    assert table.state() == before


def test_who_ends_is_closed_where_the_registry_was_lost(table: Table) -> None:
    table.given({LEASES: {"1001": "a"}})
    assert close(table, "w", "") == 1
    assert table.state() == {WORKERS: {"w": "dead"}, LEASES: {"1001": "a"}}


def test_a_full_server_takes_it(table: Table) -> None:
    table.given({WORKERS: {"w": "7"}})
    table.fill_memory()
    assert close(table, "w", "7") == 1
    assert table.state() == {WORKERS: {"w": "dead"}}
