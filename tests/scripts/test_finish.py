"""State tables of finish: each kind of record, what is not ours, repeats, and records that are not accepted."""

from typing import Any

import pytest

from scripts.finishing import LETTER, finish, pack
from scripts.table import DEAD, LEASES, QUEUE, REFUSED, SCHEDULED, TAGS, WORKERS, Expiring, Scored, State, Table

pytestmark = pytest.mark.leaves("workers", "leases")

BODY = '{"job_id":"a"}'
FIELDS = ("status", "completed", "answer", "42")
FAILED = ("status", "failed", "error", "ValueError: no")
RESULT: State = {"result:a": Expiring({"status": "completed", "answer": "42"})}
ERROR: State = {"result:a": Expiring({"status": "failed", "error": "ValueError: no"})}
SOME_LETTER = {"reason": "failed", "worker": "w"}

AROUND: State = {
    WORKERS: {"w": "7", "v": "3"},
    "leases:{queue:jobs}:v": {"1001": "other"},
    QUEUE: ["z", "y"],
    "result:other": Expiring({"status": "completed"}),
    TAGS: "9",
}
"""What stands beside the lease and stays as it is."""

# The key beside the record, the record of lease 1001, and the state after in place of what was there.
KINDS: dict[str, tuple[str, tuple[Any, ...], State]] = {
    "result": ("result:a", ("result", 1001, 60, *FIELDS), RESULT),
    "drop": (LEASES, ("drop", 1001), {}),
    "retry now": (LEASES, ("retry", 1001, 0, '{"job_id":"a","@attempt":1}'), {TAGS: "10"}),
    "retry later": (LEASES, ("retry", 1001, 60_000, '{"job_id":"a","@attempt":1}'), {TAGS: "10"}),
    "release": (LEASES, ("release", 1001), {QUEUE: ["z", "y", BODY]}),
    "fail": ("result:a", ("fail", 1001, 60, LETTER, *FAILED), {DEAD: [{"body": BODY} | SOME_LETTER]} | ERROR),
    "fail without a result": (LEASES, ("fail", 1001, 60, LETTER), {DEAD: [{"body": BODY} | SOME_LETTER]}),
    "refuse": ("result:a", ("refuse", 1001, 60, LETTER, *FAILED), {REFUSED: [{"body": BODY} | SOME_LETTER]} | ERROR),
    "refuse without a result": (LEASES, ("refuse", 1001, 60, LETTER), {REFUSED: [{"body": BODY} | SOME_LETTER]}),
}
KIND = pytest.mark.parametrize("kind", list(KINDS))


def after(table: Table, kind: str) -> State:
    """The state after a finish of that kind, with a retry at its time."""
    _, record, change = KINDS[kind]
    retry: State = {}
    if record[0] == "retry":
        due = pytest.approx(table.now() + record[2], abs=5_000)
        retry = {SCHEDULED: {f"000000000000000a{record[3]}": due}}
    return AROUND | change | retry


@KIND
def test_stores_the_outcome_and_drops_the_lease(table: Table, kind: str) -> None:
    table.given(AROUND | {LEASES: {"1001": BODY, "1002": "still running"}})
    key, record, _ = KINDS[kind]
    assert finish(table, (key, record)) == "1"
    assert table.state() == after(table, kind) | {LEASES: {"1002": "still running"}}


@KIND
def test_of_the_last_lease_leaves_no_hash(table: Table, kind: str) -> None:
    table.given(AROUND | {LEASES: {"1001": BODY}})
    key, record, _ = KINDS[kind]
    assert finish(table, (key, record)) == "1"
    assert table.state() == after(table, kind)


@KIND
def test_a_repeat_changes_nothing(table: Table, kind: str) -> None:
    table.given(AROUND | {LEASES: {"1001": BODY}})
    key, record, _ = KINDS[kind]
    finish(table, (key, record))
    before = table.state()
    assert finish(table, (key, record)) == "0"
    assert table.state() == before


@KIND
@pytest.mark.parametrize("leases", [{}, {LEASES: {"1002": "another", "2001": "c"}}])
def test_what_is_not_ours_changes_nothing(table: Table, kind: str, leases: State) -> None:
    before = table.given(AROUND | leases | RESULT)
    key, record, _ = KINDS[kind]
    assert finish(table, (key, record)) == "0"
    assert table.state() == before


@KIND
def test_a_full_server_takes_it(table: Table, kind: str) -> None:
    table.given(AROUND | {LEASES: {"1001": BODY}})
    table.fill_memory()
    key, record, _ = KINDS[kind]
    assert finish(table, (key, record)) == "1"
    assert table.state() == after(table, kind)


@pytest.mark.parametrize("workers", [{}, {WORKERS: {"w": "dead"}}, {WORKERS: {"w": "7", "@paused": "1"}}])
def test_closed_or_paused_the_lease_alone_decides(table: Table, workers: State) -> None:
    table.given(workers | {LEASES: {"1001": BODY}})
    assert finish(table, ("result:a", ("result", 1001, 60, *FIELDS))) == "1"
    assert table.state() == workers | RESULT


@pytest.mark.parametrize("old", [{"status": "failed", "error": "E", "@reason": "failed"}, ["list"], "string", {"set"}, Scored({"m": 1})])
@pytest.mark.parametrize("kind", ["result", "fail", "refuse"])
def test_what_was_at_the_result_key_is_replaced_whole(table: Table, kind: str, old: Any) -> None:
    for there in (old, Expiring(old)):
        table.given(AROUND | {LEASES: {"1001": BODY}, "result:a": there})
        key, record, _ = KINDS[kind]
        assert finish(table, (key, record)) == "1"
        assert table.state() == after(table, kind)
        assert 50 < table.client.ttl("result:a") <= 60


def test_fields_are_kept_byte_for_byte(table: Table) -> None:
    table.given({LEASES: {"1001": BODY}})
    assert finish(table, ("result:a", ("result", 1001, 60, "status", "completed", "empty", "", "umlaut", "ü" * 300, "null", "\0"))) == "1"
    assert table.state() == {"result:a": Expiring({"status": "completed", "empty": "", "umlaut": "ü" * 300, "null": "\0"})}


@pytest.mark.parametrize(("kind", "stream"), [("fail", DEAD), ("refuse", REFUSED)])
def test_a_letter_has_the_bytes_of_the_lease(table: Table, kind: str, stream: str) -> None:
    table.given({LEASES: {"1001": "\udcff\udcfe\0"}})
    assert finish(table, (LEASES, (kind, 1001, 60, LETTER))) == "1"
    assert table.state() == {stream: [{"body": "\udcff\udcfe\0"} | SOME_LETTER]}


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 1 << 20])
def test_a_refused_entry_is_cut_and_a_dead_one_is_not(table: Table, size: int) -> None:
    table.given({LEASES: {"1001": "y" * size, "1002": "y" * size}})
    assert finish(table, (LEASES, ("refuse", 1001, 60, LETTER)), (LEASES, ("fail", 1002, 60, LETTER))) == "11"
    assert table.state() == {
        REFUSED: [{"body": "y" * min(size, 65_536)} | SOME_LETTER | ({"length": str(size)} if size > 65_536 else {})],
        DEAD: [{"body": "y" * size} | SOME_LETTER],
    }


def test_the_refused_have_a_cap_of_their_own(table: Table) -> None:
    table.given({LEASES: {str(number): str(number) for number in range(1, 1501)}, DEAD: [{"body": "a real failure"}]})
    for start in (1, 751):
        calls = [(LEASES, ("refuse", number, 60, LETTER)) for number in range(start, start + 750)]
        assert finish(table, *calls) == "1" * 750
    state = table.state()
    assert 1000 <= len(state[REFUSED]) <= 1100
    assert state.pop(REFUSED)[-1]["body"] == "1500"
    assert state == {DEAD: [{"body": "a real failure"}]}


def test_the_dead_are_not_capped_here(table: Table) -> None:
    table.given({LEASES: {str(number): str(number) for number in range(1, 1201)}})
    for start in (1, 601):
        finish(table, *[(LEASES, ("fail", number, 60, LETTER)) for number in range(start, start + 600)])
    assert [letter["body"] for letter in table.state()[DEAD]] == [str(number) for number in range(1, 1201)]


def test_released_youngest_first_the_order_is_as_before(table: Table) -> None:
    table.given({QUEUE: ["d"], LEASES: {"7001": "a", "7002": "b", "7003": "c"}})
    assert finish(table, *[(LEASES, ("release", lease)) for lease in (7003, 7002, 7001)]) == "111"
    assert table.state() == {QUEUE: ["d", "c", "b", "a"]}


def test_equal_retries_stay_two_jobs_in_their_order(table: Table) -> None:
    table.given({LEASES: {"1001": "x", "1002": "x"}, TAGS: "15"})
    assert finish(table, *[(LEASES, ("retry", lease, 0, '{"same":1}')) for lease in (1001, 1002)]) == "11"
    state = table.state()
    assert list(state.pop(SCHEDULED)) == ['0000000000000010{"same":1}', '0000000000000011{"same":1}']
    assert state == {TAGS: "17"}


def test_a_thousand_in_one_call(table: Table) -> None:
    table.given({LEASES: {str(1000 + number): str(number) for number in range(1, 1001)}})
    records = [(f"result:{number}", ("result", 1000 + number, 60, "status", "completed", "n", str(number))) for number in range(1, 1001)]
    assert finish(table, *records) == "1" * 1000
    assert table.state() == {f"result:{number}": Expiring({"status": "completed", "n": str(number)}) for number in range(1, 1001)}


def test_of_nothing(table: Table) -> None:
    before = table.given(AROUND | {LEASES: {"1001": BODY}})
    assert finish(table) == ""
    assert table.state() == before


def test_numbers_and_text_name_a_lease_alike(table: Table) -> None:
    table.given({LEASES: {"1001": "a", "9007199254740001": "b"}})
    assert finish(table, (LEASES, ("drop", "1001")), (LEASES, ("drop", 9007199254740001))) == "11"
    assert table.state() == {}


def test_packed_records_are_what_the_server_reads(table: Table) -> None:
    for value in (0, 127, 128, 70_000, "", "x" * 31, "x" * 32, "x" * 300, "x" * 70_000):
        table.given({LEASES: {"1001": BODY}})
        assert finish(table, ("result:a", pack("result", 1001, 60, "field", value))) == "1"
        assert table.state() == {"result:a": Expiring({"field": str(value)})}
