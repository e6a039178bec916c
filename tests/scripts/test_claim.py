"""State tables of claim: what is taken in which order, what is held, what is refused, and the wake that is passed on."""

from typing import Any

import pytest
from redis import ResponseError

from chute.script import CLAIM
from scripts.table import FIRST, LEASES, QUEUE, TAGS, WORKERS, Expiring, State, Table

pytestmark = pytest.mark.leaves("workers", "leases")

W1 = {WORKERS: {"w": "1"}}
W2 = {WORKERS: {"w": "2"}}
DEAD_WORKER = {WORKERS: {"w": "dead"}}
PAUSED = {WORKERS: {"w": "1", "@paused": "1"}}


def claim(table: Table, want: int, **args: str | int) -> Any:
    call = CLAIM.on(first=FIRST, queue=QUEUE, leases=LEASES, workers=WORKERS, tags=TAGS)
    defaults: dict[str, str | int] = {"worker": "w", "call": 1, "bytes": 8 << 20, "deadline": ""}
    return table.call(call(**defaults | args, want=want))


def taken(table: Table, want: int, **args: str | int) -> list[Any]:
    """The first tag and the bodies; checks the server's time."""
    now, tag, bodies = claim(table, want, **args)
    assert now == pytest.approx(table.now(), abs=5_000)
    return [tag, bodies]


def test_takes_the_oldest_under_numbered_leases(table: Table) -> None:
    table.given(W1 | {QUEUE: ["c", "b", "a"]})
    assert taken(table, 2, call=7) == [1, ["a", "b"]]
    assert table.state() == W2 | {QUEUE: ["c"], LEASES: {"7001": "a", "7002": "b"}, TAGS: "2"}


def test_a_next_call_holds_more_and_tags_grow(table: Table) -> None:
    table.given(W1 | {QUEUE: ["c", "b", "a"], TAGS: "41"})
    assert taken(table, 1, call=1) == [42, ["a"]]
    assert taken(table, 5, call=2) == [43, ["b", "c"]]
    assert table.state() == {WORKERS: {"w": "3"}, LEASES: {"1001": "a", "2001": "b", "2002": "c"}, TAGS: "44"}


def test_what_is_first_goes_before_the_queue(table: Table) -> None:
    table.given(W1 | {FIRST: ["h2", "h1"], QUEUE: ["c", "b", "a"]})
    assert taken(table, 4) == [1, ["h1", "h2", "a", "b"]]
    assert table.state() == W2 | {QUEUE: ["c"], LEASES: {"1001": "h1", "1002": "h2", "1003": "a", "1004": "b"}, TAGS: "4"}


def test_the_queue_is_spared_while_something_is_first(table: Table) -> None:
    table.given(W1 | {FIRST: ["h2", "h1"], QUEUE: ["a"]})
    assert taken(table, 1) == [1, ["h1"]]
    assert table.state() == W2 | {FIRST: ["h2"], QUEUE: ["a"], LEASES: {"1001": "h1"}, TAGS: "1"}


def test_of_nothing_takes_nothing_and_counts_as_a_beat(table: Table) -> None:
    table.given(W1)
    assert taken(table, 10) == [0, []]
    assert table.state() == W2


def test_others_and_their_leases_stay(table: Table) -> None:
    others: State = {"leases:{queue:jobs}:v": {"1001": "z"}, "result:a": Expiring({"status": "completed"}), "queue:other": ["o"]}
    table.given({WORKERS: {"w": "1", "v": "5"}, QUEUE: ["a"]} | others)
    assert taken(table, 10) == [1, ["a"]]
    assert table.state() == {WORKERS: {"w": "2", "v": "5"}, LEASES: {"1001": "a"}, TAGS: "1"} | others


@pytest.mark.parametrize("count", [1, 15, 16, 17, 31, 32, 33, 48])
@pytest.mark.parametrize("want", [16, 17, 40, 1000])
def test_steps_lose_nothing_and_keep_the_order(table: Table, count: int, want: int) -> None:
    oldest_first = [str(number) for number in range(count)]
    table.given(W1 | {QUEUE: oldest_first[::-1]})
    assert taken(table, want) == [1, oldest_first[:want]]
    after = table.state()
    assert after.get(QUEUE, []) == oldest_first[want:][::-1]
    assert after[LEASES] == {str(1001 + number): str(number) for number in range(min(want, count))}


@pytest.mark.parametrize("want", [1000, 1001, 100_000])
def test_no_more_than_a_thousand(table: Table, want: int) -> None:
    oldest_first = [str(number) for number in range(1100)]
    table.given(W1 | {FIRST: oldest_first[:40][::-1], QUEUE: oldest_first[40:][::-1]})
    assert taken(table, want) == [1, oldest_first[:1000]]
    assert table.state() == W2 | {
        QUEUE: oldest_first[1000:][::-1],
        LEASES: {str(1001 + number): str(number) for number in range(1000)},
        TAGS: "1000",
    }


@pytest.mark.parametrize(("bound", "count"), [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (10_000, 10), (19_999, 20), (10**6, 60)])
def test_bodies_are_taken_until_the_bound_is_reached(table: Table, bound: int, count: int) -> None:
    bodies = [f"{number:02}".ljust(1000, "x") for number in range(60)]
    table.given(W1 | {FIRST: bodies[:5][::-1], QUEUE: bodies[5:][::-1]})
    assert taken(table, 100, bytes=bound)[1] == [body[: bound + 1] for body in bodies[:count]]
    after = table.state()
    assert after.get(QUEUE, [])[::-1] == bodies[max(count, 5) :]
    assert after.get(FIRST, [])[::-1] == bodies[count:5]


def test_equal_empty_and_binary_bodies_are_held_each(table: Table) -> None:
    table.given(W1 | {QUEUE: ["\udcff\udcfe", "", "a", "", "a"]})
    assert taken(table, 10) == [1, ["a", "", "a", "", "\udcff\udcfe"]]
    assert table.state() == W2 | {LEASES: {"1001": "a", "1002": "", "1003": "a", "1004": "", "1005": "\udcff\udcfe"}, TAGS: "5"}


@pytest.mark.parametrize("workers", [{}, {WORKERS: {"v": "1"}}, DEAD_WORKER])
@pytest.mark.parametrize("ready", [{}, {QUEUE: ["b", "a"]}, {QUEUE: ["b"], FIRST: ["a"]}])
def test_the_fenced_get_nothing(table: Table, workers: State, ready: State) -> None:
    before = table.given(workers | ready)
    assert claim(table, 10) == "FENCED"
    assert table.state() == before


@pytest.mark.parametrize("ready", [{}, {QUEUE: ["b", "a"]}])
@pytest.mark.parametrize("workers", [PAUSED, {WORKERS: {"@paused": "1"}}, {WORKERS: {"w": "dead", "@paused": "1"}}])
def test_a_paused_queue_stays_as_it_is(table: Table, workers: State, ready: State) -> None:
    before = table.given(workers | ready)
    assert claim(table, 10) == "PAUSED"
    assert claim(table, 0) == "PAUSED"
    assert table.state() == before


@pytest.mark.parametrize("queued", [[], ["d", "c"]])
@pytest.mark.parametrize("want", [0, 10])
def test_of_a_paused_queue_the_public_list_shows_what_a_wait_had_moved(table: Table, queued: list[str], want: int) -> None:
    table.given(PAUSED | {FIRST: ["b", "a"]} | ({QUEUE: queued} if queued else {}))
    assert claim(table, want) == "PAUSED"
    assert table.state() == PAUSED | {QUEUE: [*queued, "b", "a"]}


def test_of_a_paused_queue_no_more_than_a_thousand_move_at_once(table: Table) -> None:
    table.given(PAUSED | {FIRST: [str(n) for n in range(1100)]})
    assert claim(table, 1) == "PAUSED"
    assert table.state() == PAUSED | {QUEUE: [str(n) for n in range(1000)], FIRST: [str(n) for n in range(1000, 1100)]}
    assert claim(table, 1) == "PAUSED"
    assert table.state() == PAUSED | {QUEUE: [str(n) for n in range(1100)]}


def test_a_want_of_nothing_takes_nothing(table: Table) -> None:
    table.given(W1 | {QUEUE: ["b", "a"], FIRST: ["c"]})
    assert taken(table, 0) == [0, []]
    assert table.state() == W2 | {QUEUE: ["b", "a"], FIRST: ["c"]}


@pytest.mark.parametrize("bound", ["past", "long past"])
def test_after_its_deadline_it_takes_nothing(table: Table, bound: str) -> None:
    table.given(W1 | {QUEUE: ["b", "a"]})
    deadline = table.now() - 50 if bound == "past" else 1
    assert taken(table, 10, deadline=deadline) == [-1, []]
    assert table.state() == W2 | {QUEUE: ["b", "a"]}


def test_before_its_deadline_it_takes(table: Table) -> None:
    table.given(W1 | {QUEUE: ["b", "a"]})
    assert taken(table, 10, deadline=table.now() + 60_000) == [1, ["a", "b"]]
    assert table.state() == W2 | {LEASES: {"1001": "a", "1002": "b"}, TAGS: "2"}


@pytest.mark.parametrize(
    ("workers", "args", "answer"),
    [
        pytest.param(W1, {"want": 0}, [0, []], id="want 0"),
        pytest.param(W1, {"want": 10, "bytes": 0}, [0, []], id="no room"),
        pytest.param(W1, {"want": 10, "deadline": 1}, [-1, []], id="late"),
        pytest.param(DEAD_WORKER, {"want": 10}, "FENCED", id="fenced"),
        pytest.param({}, {"want": 10}, "FENCED", id="unknown"),
    ],
)
def test_a_claim_that_takes_nothing_passes_the_wake_on(table: Table, workers: State, args: dict[str, int], answer: object) -> None:
    table.given(workers | {FIRST: ["c", "b", "a"]})
    reply = claim(table, **args)
    assert (reply if isinstance(reply, str) else reply[1:]) == answer
    after = W2 if workers == W1 else workers
    assert table.state() == after | {FIRST: ["b", "a"], QUEUE: ["c"]}


@pytest.mark.parametrize(
    ("ready", "want", "after"),
    [
        pytest.param({FIRST: ["c", "b", "a"]}, 1, {FIRST: ["b"], QUEUE: ["c"]}, id="what is left first shows in the public list"),
        pytest.param({FIRST: ["b", "a"]}, 1, {QUEUE: ["b"]}, id="the last one too"),
        pytest.param({FIRST: ["b", "a"]}, 2, {}, id="nothing is left"),
        pytest.param({FIRST: ["c", "b", "a"], QUEUE: ["d"]}, 1, {FIRST: ["c", "b"], QUEUE: ["d"]}, id="the public list shows something"),
        pytest.param({FIRST: ["b", "a"], QUEUE: ["d", "c"]}, 3, {QUEUE: ["d"]}, id="nothing is first"),
    ],
)
def test_the_wake(table: Table, ready: dict[str, list[str]], want: int, after: State) -> None:
    table.given(W1 | ready)
    bodies = (ready[FIRST][::-1] + ready.get(QUEUE, [])[::-1])[:want]
    assert taken(table, want) == [1, bodies]
    held = {str(1001 + place): body for place, body in enumerate(bodies)}
    assert table.state() == W2 | {LEASES: held, TAGS: str(want)} | after


def test_the_order_survives_the_wake(table: Table) -> None:
    table.given(W1 | {FIRST: ["d", "c", "b", "a"]})
    assert [taken(table, 1, call=call)[1] for call in (1, 2)] == [["a"], ["b"]]
    assert taken(table, 2, call=3)[1] == ["c", "d"]


def test_a_full_server_takes_it(table: Table) -> None:
    table.given(W1 | {FIRST: ["d", "c"], QUEUE: ["b", "a"]})
    table.fill_memory()
    assert taken(table, 3) == [1, ["c", "d", "a"]]
    assert table.state() == W2 | {QUEUE: ["b"], LEASES: {"1001": "c", "1002": "d", "1003": "a"}, TAGS: "3"}


@pytest.mark.parametrize("ready", [{QUEUE: ["b", "a"]}, {FIRST: ["d", "c"], QUEUE: ["b", "a"]}])
def test_what_cannot_be_held_stays_ready(table: Table, ready: State) -> None:
    table.given(W1 | ready | {LEASES: ["foreign"]})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        claim(table, 10)
    assert table.state() == W2 | ready | {LEASES: ["foreign"]}


def test_a_claim_that_fails_after_taking_leaves_the_jobs_under_leases(table: Table) -> None:
    table.given(W1 | {QUEUE: ["b", "a"], TAGS: ["foreign"]})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        claim(table, 10)
    assert table.state() == W2 | {LEASES: {"1001": "a", "1002": "b"}, TAGS: ["foreign"]}


def test_of_a_queue_that_is_no_list_nothing_is_taken(table: Table) -> None:
    table.given(W1 | {FIRST: ["a"], QUEUE: {"foreign": "hash"}})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        claim(table, 10)
    assert table.state() == W2 | {LEASES: {"1001": "a"}, QUEUE: {"foreign": "hash"}}
