"""State tables of promote: what is due moves in the order of its time, behind what is ready."""

import pytest
from redis import ResponseError

from chute.script import PROMOTE
from scripts.table import QUEUE, SCHEDULED, Scored, Table

LATER = 5_000_000_000_000.0


def promote(table: Table, want: int) -> list[int]:
    return list(table.call(PROMOTE.on(scheduled=SCHEDULED, queue=QUEUE)(want=want)))


def member(number: int, body: str) -> str:
    return f"{number:016x}{body}"


def test_moves_the_due_oldest_first_behind_the_ready(table: Table) -> None:
    table.given({QUEUE: ["ready"], SCHEDULED: Scored({member(1, "b"): 20, member(2, "a"): 10, member(3, "c"): 30})})
    assert promote(table, 1000) == [3, -1]
    assert table.state() == {QUEUE: ["c", "b", "a", "ready"]}


def test_of_one_time_the_first_made_goes_first(table: Table) -> None:
    table.given({SCHEDULED: Scored({member(10, "y"): 10, member(2, "z"): 10, member(16, "x"): 10})})
    assert promote(table, 1000) == [3, -1]
    assert table.state() == {QUEUE: ["x", "y", "z"]}


def test_what_is_not_due_stays(table: Table) -> None:
    now = table.now()
    table.given({SCHEDULED: Scored({member(1, "a"): now - 1, member(2, "b"): now + 60_000, member(3, "c"): LATER})})
    moved, wait = promote(table, 1000)
    assert moved == 1
    assert 50_000 < wait <= 60_000
    assert table.state() == {QUEUE: ["a"], SCHEDULED: Scored({member(2, "b"): now + 60_000, member(3, "c"): LATER})}


def test_no_more_than_wanted(table: Table) -> None:
    table.given({SCHEDULED: Scored({member(1, "a"): 1, member(2, "b"): 2, member(3, "c"): 3})})
    assert promote(table, 2) == [2, 0]
    assert table.state() == {QUEUE: ["b", "a"], SCHEDULED: Scored({member(3, "c"): 3})}
    assert promote(table, 2) == [1, -1]
    assert table.state() == {QUEUE: ["c", "b", "a"]}


def test_a_thousand_in_one_call(table: Table) -> None:
    table.given({})
    table.client.zadd(SCHEDULED, {member(number, str(number)): 1 for number in range(1, 1201)})
    assert promote(table, 1000) == [1000, 0]
    assert table.state()[QUEUE] == [str(number) for number in range(1000, 0, -1)]
    assert table.client.zcard(SCHEDULED) == 200


@pytest.mark.parametrize("state", [{}, {QUEUE: ["a"]}])
def test_nothing_is_scheduled(table: Table, state: dict[str, list[str]]) -> None:
    table.given(state)
    assert promote(table, 1000) == [0, -1]
    assert table.state() == state


def test_equal_bodies_stay_two_jobs(table: Table) -> None:
    table.given({SCHEDULED: Scored({member(1, '{"same":1}'): 1, member(2, '{"same":1}'): 1})})
    assert promote(table, 1000) == [2, -1]
    assert table.state() == {QUEUE: ['{"same":1}', '{"same":1}']}


@pytest.mark.parametrize("body", ["", "\udcff\udcfe", "0123456789abcdef", "x" * 70_000])
def test_the_body_is_kept_byte_for_byte(table: Table, body: str) -> None:
    table.given({SCHEDULED: Scored({member(1, body): 1})})
    assert promote(table, 1000) == [1, -1]
    assert table.state() == {QUEUE: [body]}


def test_a_full_server_takes_it(table: Table) -> None:
    table.given({SCHEDULED: Scored({member(1, "a"): 1})})
    table.fill_memory()
    assert promote(table, 10) == [1, -1]
    assert table.state() == {QUEUE: ["a"]}


def test_where_the_queue_is_no_list_the_jobs_stay_scheduled(table: Table) -> None:
    before = table.given({QUEUE: "foreign", SCHEDULED: Scored({member(1, "a"): 1, member(2, "b"): 1})})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        promote(table, 10)
    assert table.state() == before
    table.client.delete(QUEUE)
    assert promote(table, 10) == [2, -1]
    assert table.state() == {QUEUE: ["b", "a"]}
