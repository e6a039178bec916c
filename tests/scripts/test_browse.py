"""State tables of browse: pieces of a list from its right end, which begin sooner by what was claimed meanwhile; nothing changes."""

import pytest
from redis import ResponseError

from chute.script import BROWSE
from scripts.table import QUEUE, TAGS, Table

LIST = ["f", "e", "d", "c", "b", "a"]


def browse(table: Table, passed: int, count: int, tag: int | str = "") -> object:
    return table.call(BROWSE.on(list=QUEUE, tags=TAGS)(passed=passed, count=count, tag=tag))


@pytest.mark.parametrize(
    ("passed", "count", "piece"),
    [(0, 2, ["b", "a"]), (2, 3, ["e", "d", "c"]), (5, 2, ["f"]), (6, 2, []), (90, 2, []), (0, 1000, LIST)],
)
def test_a_piece_from_the_right(table: Table, passed: int, count: int, piece: list[str]) -> None:
    before = table.given({QUEUE: LIST, TAGS: "40"})
    assert browse(table, passed, count) == [40, passed, piece]
    assert table.state() == before


@pytest.mark.parametrize(("tag", "begins"), [(40, 3), (39, 2), (38, 1), (37, 0), (1, 0), (41, 3)])
def test_what_was_claimed_since_moves_its_beginning(table: Table, tag: int, begins: int) -> None:
    table.given({QUEUE: LIST, TAGS: "40"})
    right_to_left = LIST[::-1]
    assert browse(table, 3, 2, tag) == [40, begins, right_to_left[begins : begins + 2][::-1]]


def test_of_nothing(table: Table) -> None:
    table.given({})
    assert browse(table, 0, 10) == [0, 0, []]
    assert browse(table, 5, 10, 3) == [0, 5, []]


def test_a_full_server_answers(table: Table) -> None:
    table.given({QUEUE: LIST})
    table.fill_memory()
    assert browse(table, 0, 1) == [0, 0, ["a"]]


def test_what_is_no_list(table: Table) -> None:
    before = table.given({QUEUE: "foreign"})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        browse(table, 0, 1)
    assert table.state() == before
    table.client.delete(QUEUE)
