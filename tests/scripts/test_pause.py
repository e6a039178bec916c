"""State tables of pause: a mark beside the workers, and nothing else."""

import pytest
from redis import ResponseError

from chute.script import PAUSE
from scripts.table import FIRST, LEASES, QUEUE, WORKERS, State, Table

pytestmark = pytest.mark.leaves("workers", "leases")


def pause(table: Table) -> object:
    return table.call(PAUSE.on(workers=WORKERS)())


@pytest.mark.parametrize("workers", [{}, {"w": "7"}, {"w": "dead", "v": "3"}])
def test_marks_the_queue_with_the_servers_time_and_leaves_the_rest(table: Table, workers: dict[str, str]) -> None:
    rest: State = {QUEUE: ["b", "a"], FIRST: ["c"], LEASES: {"1001": "d"}}
    table.given(rest | ({WORKERS: workers} if workers else {}))
    assert pause(table) == 1
    after = table.state()
    since = after[WORKERS].pop("@paused")
    assert int(since) == pytest.approx(table.now(), abs=5_000)
    assert after == rest | {WORKERS: workers}


def test_a_repeat_keeps_the_first_time(table: Table) -> None:
    before = table.given({WORKERS: {"w": "7", "@paused": "1700000000000"}})
    assert pause(table) == 0
    assert table.state() == before


def test_a_full_server_takes_it(table: Table) -> None:
    table.given({WORKERS: {"w": "7"}})
    table.fill_memory()
    assert pause(table) == 1
    assert "@paused" in table.state()[WORKERS]


def test_where_the_registry_is_no_hash_nothing_changes(table: Table) -> None:
    before = table.given({WORKERS: "foreign"})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        pause(table)
    assert table.state() == before
