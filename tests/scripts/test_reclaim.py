"""State tables of reclaim: only from a closed worker, in the order of the claim, in chunks."""

import pytest
from redis import ResponseError

from chute.script import RECLAIM
from scripts.table import INFO, LEASES, QUEUE, WORKERS, Expiring, Table

pytestmark = pytest.mark.leaves("workers", "leases")

HELD = {"1001": "a", "1002": "b", "2001": "c"}
YOUNGEST_FIRST = ("2001", "c", "1002", "b", "1001", "a")


def reclaim(table: Table, *pairs: str) -> object:
    return table.call(RECLAIM.on(queue=QUEUE, leases=LEASES, workers=WORKERS, info=INFO)(*pairs, worker="w"))


def test_what_has_no_body_goes_back_as_it_is_held(table: Table) -> None:
    table.given({WORKERS: {"w": "dead"}, LEASES: {"1001": "a", "1002": "", "1003": "\udcffc"}, QUEUE: ["e"]})
    assert reclaim(table, "1003", "", "1002", "", "1001", "b") == 3
    assert table.state() == {QUEUE: ["e", "\udcffc", "", "b"]}


def test_gives_back_to_the_front_and_forgets_the_worker(table: Table) -> None:
    table.given({WORKERS: {"w": "dead", "v": "3"}, LEASES: HELD, QUEUE: ["e", "d"]})
    assert reclaim(table, *YOUNGEST_FIRST) == 3
    assert table.state() == {WORKERS: {"v": "3"}, QUEUE: ["e", "d", "c", "b", "a"]}


def test_in_chunks_the_worker_is_forgotten_with_the_last(table: Table) -> None:
    table.given({WORKERS: {"w": "dead"}, LEASES: HELD, QUEUE: ["d"]})
    assert reclaim(table, *YOUNGEST_FIRST[:4]) == 2
    assert table.state() == {WORKERS: {"w": "dead"}, LEASES: {"1001": "a"}, QUEUE: ["d", "c", "b"]}
    assert reclaim(table, *YOUNGEST_FIRST[4:]) == 1
    assert table.state() == {QUEUE: ["d", "c", "b", "a"]}


def test_a_repeat_gives_back_nothing_twice(table: Table) -> None:
    table.given({WORKERS: {"w": "dead"}, LEASES: HELD})
    assert reclaim(table, *YOUNGEST_FIRST[:4]) == 2
    assert reclaim(table, *YOUNGEST_FIRST) == 1
    before = table.state()
    assert before == {QUEUE: ["c", "b", "a"]}
    assert reclaim(table, *YOUNGEST_FIRST) == 0
    assert table.state() == before


@pytest.mark.parametrize("workers", [{"w": "7"}, {"v": "7"}, {"w": "1", "@paused": "1"}])
def test_a_worker_that_is_not_closed_keeps_all(table: Table, workers: dict[str, str]) -> None:
    before = table.given({WORKERS: workers, LEASES: HELD, QUEUE: ["d"]})
    assert reclaim(table, *YOUNGEST_FIRST) == -1
    assert reclaim(table) == -1
    assert table.state() == before
    table.client.delete(LEASES)
    assert reclaim(table) == 0


def test_the_charged_body_goes_back_in_place_of_the_kept_one(table: Table) -> None:
    table.given({WORKERS: {"w": "dead"}, LEASES: {"1001": '{"a":1}'}})
    assert reclaim(table, "1001", '{"a":1,"@deaths":1}') == 1
    assert table.state() == {QUEUE: ['{"a":1,"@deaths":1}']}


def test_a_lease_that_is_gone_is_passed_over(table: Table) -> None:
    table.given({WORKERS: {"w": "dead"}, LEASES: {"1001": "a", "3001": "d"}})
    assert reclaim(table, *YOUNGEST_FIRST) == 1
    assert table.state() == {WORKERS: {"w": "dead"}, LEASES: {"3001": "d"}, QUEUE: ["a"]}


def test_a_worker_with_nothing_is_forgotten(table: Table) -> None:
    table.given({WORKERS: {"w": "dead", "@paused": "1"}, QUEUE: ["a"]})
    assert reclaim(table) == 0
    assert table.state() == {WORKERS: {"@paused": "1"}, QUEUE: ["a"]}


def test_what_a_worker_said_of_itself_goes_with_it_and_no_sooner(table: Table) -> None:
    said = {INFO: Expiring("{}"), "info:{queue:jobs}:v": Expiring("{}")}
    table.given({WORKERS: {"w": "dead"}, LEASES: HELD} | said)
    reclaim(table, *YOUNGEST_FIRST[:4])
    assert INFO in table.state()
    reclaim(table, *YOUNGEST_FIRST[4:])
    assert table.state() == {QUEUE: ["c", "b", "a"], "info:{queue:jobs}:v": Expiring("{}")}


def test_a_call_for_nothing_keeps_what_is_held(table: Table) -> None:
    before = table.given({WORKERS: {"w": "dead"}, LEASES: HELD})
    assert reclaim(table) == 0
    assert table.state() == before


def test_bytes_that_are_no_text_go_back_as_they_are(table: Table) -> None:
    table.given({WORKERS: {"w": "dead"}, LEASES: {"1001": "\udcff\udcfe"}})
    assert reclaim(table, "1001", "\udcff\udcfe") == 1
    assert table.state() == {QUEUE: ["\udcff\udcfe"]}


def test_a_thousand_in_one_call(table: Table) -> None:
    held = {str(1000 + number): str(number) for number in range(1, 1001)}
    table.given({WORKERS: {"w": "dead"}, LEASES: held})
    assert reclaim(table, *[word for pair in reversed(held.items()) for word in pair]) == 1000
    assert table.state() == {QUEUE: [str(number) for number in range(1000, 0, -1)]}


def test_a_full_server_takes_it(table: Table) -> None:
    table.given({WORKERS: {"w": "dead"}, LEASES: HELD})
    table.fill_memory()
    assert reclaim(table, *YOUNGEST_FIRST) == 3
    assert table.state() == {QUEUE: ["c", "b", "a"]}


def test_where_the_queue_is_no_list_the_leases_stay(table: Table) -> None:
    before = table.given({WORKERS: {"w": "dead"}, LEASES: HELD, QUEUE: "foreign"})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        reclaim(table, *YOUNGEST_FIRST)
    assert table.state() == before


def test_a_lease_without_a_body_stays(table: Table) -> None:
    before = table.given({WORKERS: {"w": "dead"}, LEASES: HELD})
    with pytest.raises(ResponseError):
        reclaim(table, "1001")
    assert table.state() == before
