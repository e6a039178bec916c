"""State tables of resume: the mark goes, and what is ready shows in the public list."""

import pytest
from redis import ResponseError

from chute.script import RESUME
from scripts.table import FIRST, LEASES, QUEUE, WORKERS, State, Table

pytestmark = pytest.mark.leaves("workers", "leases")

PAUSED = {WORKERS: {"w": "7", "@paused": "1700000000000"}}
WORKED = {WORKERS: {"w": "7"}}


def resume(table: Table) -> object:
    return table.call(RESUME.on(workers=WORKERS, first=FIRST, queue=QUEUE)())


@pytest.mark.parametrize("ready", [{}, {QUEUE: ["b", "a"]}, {QUEUE: ["b", "a"], FIRST: ["d", "c"]}])
def test_takes_the_mark_away_and_leaves_the_rest(table: Table, ready: State) -> None:
    rest: State = ready | {LEASES: {"1001": "d"}}
    table.given(PAUSED | rest)
    assert resume(table) == 1
    assert table.state() == WORKED | rest


def test_a_repeat_says_that_it_was_not_paused(table: Table) -> None:
    before = table.given(WORKED | {QUEUE: ["a"]})
    assert resume(table) == 0
    assert table.state() == before


def test_without_workers_nothing_is_left(table: Table) -> None:
    table.given({WORKERS: {"@paused": "1"}})
    assert resume(table) == 1
    assert table.state() == {}


@pytest.mark.parametrize(
    ("first", "after"),
    [(["c", "b", "a"], {FIRST: ["b", "a"], QUEUE: ["c"]}), (["a"], {QUEUE: ["a"]})],
)
def test_what_stands_only_first_rings_the_bell(table: Table, first: list[str], after: State) -> None:
    table.given(PAUSED | {FIRST: first})
    assert resume(table) == 1
    assert table.state() == WORKED | after


def test_a_full_server_takes_it(table: Table) -> None:
    table.given(PAUSED | {FIRST: ["a"]})
    table.fill_memory()
    assert resume(table) == 1
    assert table.state() == WORKED | {QUEUE: ["a"]}


def test_where_the_registry_is_no_hash_nothing_changes(table: Table) -> None:
    before = table.given({WORKERS: "foreign", FIRST: ["a"]})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        resume(table)
    assert table.state() == before
