"""Outcomes become records, wait, go out in batches, and are sent again until they are answered."""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import redis

from chute.holdings import CLAIM_BYTES
from chute.outcome import Again, Completed, Failed, Outcome, Refused, Released
from chute.worker.finish import Finisher, command, record
from chute.worker.held import Held
from worker.made import held

OOM = redis.exceptions.ResponseError("MISCONF no")
AT = "2024-01-15T10:30:00Z"
NOSCRIPT = redis.exceptions.NoScriptError("No matching script")


class Later:
    """What was to be done later, by hand."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []
        self.unknown = 0

    def __call__(self, seconds: float, fn: Callable[[], None]) -> None:
        assert seconds > 0
        self.calls.append(fn)

    def forgot(self) -> None:
        self.unknown += 1


def job(job_id: str = "a", ttl: int = 60, body: bytes = b"{}", lease: int = 1001) -> Held:
    made = held(body, lease=lease)
    made.job_id, made.task, made.result_ttl, made.attempt = job_id, "answer", ttl, 2
    return made


def unpacked(outcome: Outcome, of: Held) -> tuple[str, Any]:
    made = record(of, outcome, AT)
    return made.job_id, msgspec.msgpack.decode(made.packed)


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def finisher(later: Later) -> Finisher:
    return Finisher(later, later.forgot)


def test_a_result_is_written_under_the_jobs_id() -> None:
    job_id, packed = unpacked(Completed(["answer", "x"]), job())
    assert job_id == "a"
    assert packed[:5] == ["result", 1001, 60, "status", "completed"]
    assert packed[5:7] == ["completed_at", AT]
    assert packed[7:] == ["answer", "x", "@queue", "jobs", "@tag", "7"]


def test_a_result_that_could_not_be_stored_says_so() -> None:
    _, packed = unpacked(Completed([], "too large"), job())
    assert packed[7:9] == ["@result_error", "too large"]


@pytest.mark.parametrize("of", [job(job_id=""), job(ttl=0)])
def test_where_nobody_can_ask_nothing_is_stored(of: Held) -> None:
    assert unpacked(Completed(["answer", "x"]), of) == ("", ["drop", 1001])
    job_id, packed = unpacked(Failed("failed", "E"), of)
    assert (job_id, packed[0]) == ("", "fail")


def test_retries_and_releases_are_short() -> None:
    assert unpacked(Again(250, "{}"), job()) == ("", ["retry", 1001, 250, "{}"])
    assert unpacked(Released(), job()) == ("", ["release", 1001])


def test_a_failure_leaves_a_letter_and_a_result() -> None:
    job_id, packed = unpacked(Failed("gave_up", "E: x", "trace"), job())
    kind, lease, ttl, letter, *fields = packed
    assert (job_id, kind, lease, ttl) == ("a", "fail", 1001, 60)
    pairs = dict(zip(letter[::2], letter[1::2], strict=True))
    assert pairs == {
        "reason": "gave_up", "error": "E: x", "job_id": "a", "task": "answer", "attempt": "2", "deaths": "0", "worker": "w", "traceback": "trace",
    }  # fmt: skip
    result = dict(zip(fields[::2], fields[1::2], strict=True))
    assert (result["status"], result["error"], result["@reason"], result["@traceback"]) == ("failed", "E: x", "gave_up", "trace")


@pytest.mark.parametrize(
    ("size", "digested"), [(1, False), (64 << 10, False), (70_000, True), (CLAIM_BYTES, True), (CLAIM_BYTES + 1, False)]
)
def test_a_refused_entry_of_which_some_is_kept_has_a_digest_where_all_of_it_came(size: int, digested: bool) -> None:
    body = b"x" * size
    _, packed = unpacked(Refused("too_large", "no"), job(job_id="", body=body))
    pairs = dict(zip(packed[3][::2], packed[3][1::2], strict=True))
    assert pairs.get("sha256") == (hashlib.sha256(body).hexdigest() if digested else None)


def test_an_outcome_that_cannot_be_written_becomes_a_failure(finisher: Finisher) -> None:
    finisher.add([(job(), Again(1, "\ud800"))])
    ((_, (made,)),) = finisher.batches()
    assert msgspec.msgpack.decode(made.packed)[0] == "fail"


def test_batches_are_by_identity_and_some_in_each_command(finisher: Finisher) -> None:
    jobs = [job(lease=i) for i in range(1500)]
    for each in jobs[1:]:
        each.holdings = jobs[0].holdings
    other = job()
    for each in (*jobs, other):
        finisher.add([(each, Released())])
    batches = finisher.batches()
    assert [len(records) for _, records in batches] == [125] * 12 + [1]
    assert (finisher.waiting, finisher.unanswered) == ([], 1501)
    assert command(batches[-1])[0] == "EVALSHA"


def test_what_is_answered_is_done(finisher: Finisher) -> None:
    finisher.add([(job(), Released())])
    ((_, records),) = finisher.batches()
    finisher.answered(records, b"1")
    assert (finisher.waiting, finisher.unanswered) == ([], 0)


def test_what_was_lost_waits_again_before_what_came_since(finisher: Finisher) -> None:
    first, second = job(lease=1), job(lease=2)
    finisher.add([(first, Released())])
    ((_, records),) = finisher.batches()
    finisher.add([(second, Released())])
    finisher.answered(records, None)
    assert [each.held for each in finisher.waiting] == [first, second]
    assert (finisher.unanswered, first.repeated, second.repeated) == (0, True, False)


def test_an_unknown_script_is_loaded_and_the_batch_sent_at_once(finisher: Finisher, later: Later) -> None:
    finisher.add([(job(), Released())])
    ((_, records),) = finisher.batches()
    finisher.answered(records, NOSCRIPT)
    assert (later.unknown, len(finisher.waiting), finisher.unanswered) == (1, 1, 0)


def test_a_refusing_server_is_asked_again_later_and_the_batch_stays_unanswered(finisher: Finisher, later: Later) -> None:
    finisher.add([(job(), Released())])
    ((_, records),) = finisher.batches()
    finisher.answered(records, OOM)
    assert (finisher.waiting, finisher.unanswered) == ([], 1)
    later.calls.pop()()
    assert (len(finisher.waiting), finisher.unanswered) == (1, 0)


def test_while_a_server_refuses_nothing_new_is_sent_and_then_all_at_once(finisher: Finisher, later: Later) -> None:
    first, second, third = (job(lease=i) for i in range(3))  # of three identities of a queue: a command each
    second.lane = third.lane = first.lane
    for each in (first, second):
        finisher.add([(each, Released())])
    batches = finisher.batches()
    for _, records in batches:
        finisher.answered(records, OOM)
    finisher.add([(third, Released())])
    assert (len(batches), finisher.ready, finisher.batches(), finisher.unanswered) == (2, 0, [], 2)
    (repeat,) = later.calls
    repeat()
    assert (finisher.ready, finisher.unanswered) == (3, 0)
    assert [each.held for each in finisher.waiting] == [first, second, third]


def test_what_is_refused_for_ever_is_in_no_other_queues_way(finisher: Finisher, later: Later) -> None:
    refused, also, other = (job(lease=i) for i in range(3))
    also.lane, also.holdings = refused.lane, refused.holdings
    finisher.add([(refused, Released())])
    ((_, records),) = finisher.batches()
    finisher.answered(records, OOM)
    for each in (also, other):
        finisher.add([(each, Released())])
    later.calls.pop()()
    assert [each.held for each in finisher.waiting] == [other, refused, also], "in their order"


def test_a_queue_is_known_to_be_refused_until_the_server_takes_something_of_it(finisher: Finisher, later: Later) -> None:
    of = job()
    finisher.add([(of, Released())])
    for reply, refused in ((OOM, True), (None, True), (NOSCRIPT, True), (b"1", False)):
        ((_, records),) = finisher.batches()
        finisher.answered(records, reply)
        assert of.lane.refused is refused
        while later.calls:
            later.calls.pop()()


def test_of_a_batch_only_what_was_not_accepted_is_sent_again(finisher: Finisher, later: Later) -> None:
    jobs = [job(lease=i) for i in range(3)]
    for each in jobs:
        each.holdings = jobs[0].holdings
        finisher.add([(each, Released())])
    ((_, records),) = finisher.batches()
    finisher.answered(records, b"1E0")
    assert finisher.unanswered == 1
    later.calls.pop()()
    assert [each.held for each in finisher.waiting] == [jobs[1]]


def test_a_job_that_another_worker_took_over_is_told_of_once(finisher: Finisher, caplog: pytest.LogCaptureFixture) -> None:
    stale, repeated, stored = job("", lease=1), job(lease=2), job(lease=3)
    repeated.holdings, repeated.repeated = stale.holdings, True
    stored.holdings = stale.holdings
    for each in (stale, repeated, stored):
        finisher.add([(each, Released())])
    ((_, records),) = finisher.batches()
    finisher.answered(records, b"001")
    (line,) = [message for message in caplog.messages if "was taken over" in message]
    assert line.startswith("job 1 was")


def test_a_round_trip_carries_no_more_than_it_can_deliver(finisher: Finisher) -> None:
    jobs = [job(lease=i) for i in range(10)]
    for each in jobs:
        each.holdings = jobs[0].holdings
        finisher.add([(each, Completed(["answer", "x" * 200_000]))])
    sent: list[int] = []
    while batches := finisher.batches():
        sent += [len(records) for _, records in batches]
    assert sent == [5, 5]
    assert finisher.unanswered == 10


@pytest.mark.parametrize(("reason", "status"), [("expired", "expired"), ("aborted", "failed"), ("failed", "failed"), ("gave_up", "failed")])
def test_a_failure_has_a_status(reason: str, status: str) -> None:
    _, packed = unpacked(Failed(reason, "E"), job())
    assert packed[4:6] == ["status", status]


@pytest.mark.parametrize(("ttl", "kept"), [(0, 1), (1, 1), (60, 60)])
def test_what_the_server_gets_always_has_an_end(ttl: int, kept: int) -> None:
    assert unpacked(Failed("failed", "E"), job(ttl=ttl))[1][2] == kept


def test_a_small_one_does_not_overtake_what_there_was_no_room_for(finisher: Finisher) -> None:
    sizes = [700_000, 700_000, 1]
    jobs = [job(lease=i) for i in range(3)]
    for each, size in zip(jobs, sizes, strict=True):
        each.holdings = jobs[0].holdings
        finisher.add([(each, Completed(["answer", "x" * size]))])
    first, second = finisher.batches(), finisher.batches()
    assert [[each.held.lease for each in records] for _, records in (*first, *second)] == [[0], [1, 2]]


def test_what_is_here_or_under_way_is_known_by_its_identity(finisher: Finisher) -> None:
    ours, under_way, others = job(lease=1), job(lease=2), job(lease=3)
    under_way.holdings = ours.holdings
    finisher.add([(under_way, Released())])
    finisher.batches()
    finisher.add([(ours, Released()), (others, Released())])
    assert finisher.leases(ours.holdings) == {1, 2}
    assert finisher.leases(others.holdings) == {3}
    assert finisher.leases(job().holdings) == set()


def test_what_has_its_result_elsewhere_leaves_its_lease_only_then(later: Later) -> None:
    stored: list[tuple[Any, Callable[[Any], None]]] = []
    finisher = Finisher(later, later.forgot, lambda made, then: stored.append((made, then)))
    done, failed, unread = job(lease=1), job(lease=2), job(lease=3, ttl=0)
    failed.holdings = unread.holdings = done.holdings
    finisher.add([(done, Completed(["answer", "x"])), (failed, Failed("failed", "E")), (unread, Completed([]))])
    assert [made.held.lease for made, _ in stored] == [1, 2]
    assert (finisher.ready, finisher.unanswered, finisher.leases(done.holdings)) == (1, 2, {1, 2, 3})
    for made, then in stored:
        then(made)
    assert (finisher.ready, finisher.unanswered) == (3, 0)
    kept = [(each.job_id, msgspec.msgpack.decode(each.packed)[:2]) for each in finisher.waiting]
    assert kept == [("", ["drop", 3]), ("", ["drop", 1]), ("", ["fail", 2])]
