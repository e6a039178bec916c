"""State tables of observe: a queue at one moment, and nothing changes."""

from typing import Any

import pytest

from chute.script import OBSERVE
from scripts.table import DEAD, FIRST, LEASES, QUEUE, REFUSED, SCHEDULED, WORKERS, Scored, Table

pytestmark = pytest.mark.leaves("workers", "leases")


def observe(table: Table, *leases: str) -> list[Any]:
    call = OBSERVE.on(queue=QUEUE, first=FIRST, scheduled=SCHEDULED, dead=DEAD, refused=REFUSED, workers=WORKERS)
    reply: Any = table.call(call.each(list(leases), []))
    return list(reply)[1:]


def test_counts_what_is_there(table: Table) -> None:
    before = table.given(
        {
            QUEUE: ["c", "b"],
            FIRST: ["a"],
            SCHEDULED: Scored({"0000000000000001x": 5.0}),
            WORKERS: {"w": "1", "@paused": "1"},
            LEASES: {"1": "x", "2": "y"},
        }
    )
    assert observe(table, LEASES) == [2, 1, 1, 0, 0, 2, ["w", "@paused"], "a"]
    assert observe(table) == [2, 1, 1, 0, 0, 0, ["w", "@paused"], "a"]
    assert table.state() == before


def test_the_next_one_is_the_oldest_of_the_queue_when_nothing_stands_before_it(table: Table) -> None:
    table.given({QUEUE: ["c", "b"]})
    assert observe(table)[-1] == "b"


def test_nothing(table: Table) -> None:
    table.given({})
    assert observe(table)[:7] == [0, 0, 0, 0, 0, 0, []]
    assert observe(table)[7:] in ([], [None])
    assert table.state() == {}
