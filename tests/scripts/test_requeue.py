"""State tables of requeue: a dead letter goes back once, and its old result goes with it."""

import pytest
from redis import OutOfMemoryError, ResponseError

from chute.script import REQUEUE
from scripts.table import DEAD, QUEUE, REFUSED, Expiring, Table

LETTERS = [{"body": "a", "reason": "failed"}, {"body": "b", "reason": "poison"}]


def requeue(table: Table, stream: str, entry: str, result: str = "result:a") -> object:
    return table.call(REQUEUE.on(letters=stream, queue=QUEUE, result=result)(body="again", id=entry))


@pytest.mark.parametrize("stream", [DEAD, REFUSED])
def test_moves_the_letter_behind_the_ready_and_deletes_the_result(table: Table, stream: str) -> None:
    table.given({stream: LETTERS, QUEUE: ["c"], "result:a": Expiring({"status": "failed"}), "result:b": Expiring({"status": "failed"})})
    assert requeue(table, stream, table.letter(stream)) == 1
    assert table.state() == {stream: LETTERS[1:], QUEUE: ["again", "c"], "result:b": Expiring({"status": "failed"})}


def test_a_repeat_finds_nothing_and_spares_the_new_result(table: Table) -> None:
    table.given({DEAD: LETTERS})
    entry = table.letter(DEAD)
    assert requeue(table, DEAD, entry) == 1
    table.client.hset("result:a", "status", "completed")
    table.client.expire("result:a", 60)
    before = table.state()
    assert requeue(table, DEAD, entry) == 0
    assert table.state() == before


def test_without_a_result_to_delete(table: Table) -> None:
    table.given({DEAD: LETTERS, "result:a": Expiring({"status": "failed"})})
    assert requeue(table, DEAD, table.letter(DEAD), result=DEAD) == 1
    assert table.state() == {DEAD: LETTERS[1:], QUEUE: ["again"], "result:a": Expiring({"status": "failed"})}


def test_a_result_of_a_wrong_type_is_deleted_too(table: Table) -> None:
    table.given({DEAD: LETTERS, "result:a": Expiring("old")})
    assert requeue(table, DEAD, table.letter(DEAD)) == 1
    assert table.state() == {DEAD: LETTERS[1:], QUEUE: ["again"]}


@pytest.mark.parametrize("entry", ["1-1", "99999999999999-0"])
def test_a_letter_that_is_not_there_changes_nothing(table: Table, entry: str) -> None:
    before = table.given({DEAD: LETTERS, QUEUE: ["c"], "result:a": Expiring({"status": "failed"})})
    assert requeue(table, DEAD, entry) == 0
    assert table.state() == before


def test_of_an_empty_server_makes_nothing(table: Table) -> None:
    table.given({})
    assert requeue(table, DEAD, "1-1") == 0
    assert table.state() == {}


@pytest.mark.parametrize("result", ["result:a", DEAD])
def test_a_full_server_moves_the_letter_whole_or_not_at_all(table: Table, result: str) -> None:
    before = table.given({DEAD: LETTERS, QUEUE: ["c"]})
    table.fill_memory()
    try:
        requeue(table, DEAD, table.letter(DEAD), result)
    except OutOfMemoryError:
        assert table.state() == before
    else:
        assert table.state() == {DEAD: LETTERS[1:], QUEUE: ["again", "c"]}


def test_where_the_queue_is_no_list_the_letter_stays(table: Table) -> None:
    table.given({DEAD: LETTERS, QUEUE: "foreign"})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        requeue(table, DEAD, table.letter(DEAD))
    assert table.state() == {DEAD: LETTERS, QUEUE: "foreign"}
