"""State tables of inform: the words of a living worker, with an end; nothing of anybody else."""

import pytest
from redis import ResponseError

from chute.script import INFORM
from scripts.table import INFO, LEASES, QUEUE, WORKERS, Expiring, Table

pytestmark = pytest.mark.leaves("workers", "leases", "info")


def inform(table: Table, text: str = "new") -> object:
    return table.call(INFORM.on(workers=WORKERS, info=INFO)(worker="w", text=text, ttl=60))


@pytest.mark.parametrize("before", [{}, {INFO: Expiring("old")}, {INFO: "old, for ever"}])
def test_the_last_words_count_and_end_by_themselves(table: Table, before: dict[str, object]) -> None:
    rest = {WORKERS: {"w": "7", "v": "3"}, LEASES: {"1001": "a"}, QUEUE: ["b"]}
    table.given(rest | before)
    assert inform(table, '{"host": "é"}') == 1
    assert table.state() == rest | {INFO: Expiring('{"host": "é"}')}
    assert 50 < table.client.ttl(INFO) <= 60


@pytest.mark.parametrize("workers", [{"w": "dead"}, {"v": "7"}])
def test_of_who_is_closed_nothing_is_written(table: Table, workers: dict[str, str]) -> None:
    before = table.given({WORKERS: workers})
    assert inform(table) == 0
    assert table.state() == before


def test_what_was_said_before_the_close_stays_until_the_worker_is_forgotten(table: Table) -> None:
    before = table.given({WORKERS: {"w": "dead"}, INFO: Expiring("old")})
    assert inform(table) == 0
    assert table.state() == before


def test_a_full_server_takes_it(table: Table) -> None:
    table.given({WORKERS: {"w": "7"}})
    table.fill_memory()
    assert inform(table) == 1


def test_where_the_registry_is_no_hash_nothing_is_written(table: Table) -> None:
    before = table.given({WORKERS: "foreign"})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        inform(table)
    assert table.state() == before
