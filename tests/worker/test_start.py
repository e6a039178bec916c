"""worker/start.py: which job is next, what is refused on the way, and who must be alone."""

from typing import Any

import pytest

import chute
from chute.outcome import Outcome, Released
from chute.worker.board import Board
from chute.worker.desk import Desk
from chute.worker.held import Ended, Held
from chute.worker.slots import Slots
from chute.worker.start import Starter
from worker.made import lane


async def answer(question: str) -> str:
    return question


def count(number: int) -> int:
    return number


class Start:
    """A Starter with jobs in hand, on a queue with an async task and a plain one."""

    def __init__(self, *bodies: bytes, concurrency: int = 3) -> None:
        queue = chute.Queue("jobs")
        queue.task(default=True, timeout=60)(answer)
        queue.task(timeout=None)(count)
        self.lane, self.board, self.slots = lane(), Board(concurrency), Slots(concurrency, 2)
        self.lane.proof = 100.0
        self.jobs = [Held(self.lane, self.lane.holdings, lease, lease, body, 95.0) for lease, body in enumerate(bodies, 1)]
        self.slots.ready.extend(self.jobs)
        self.ended: list[tuple[int, str]] = []
        self.given: list[Held] = []
        self.starter = Starter(self.slots, {self.lane: Desk(queue)}, self.board, 10.0, self.done)
        self.starter.give = self.give

    def done(self, ended: list[Ended]) -> None:
        self.ended += [(held.lease, getattr(result, "reason", result.kind)) for held, result in ended]

    def give(self, held: Held, opened: Any) -> None:
        self.slots.parked[held] = opened
        self.given.append(held)

    def next(self, now: float = 101.0) -> Held | None:
        begun = self.starter.next(now)
        return begun[0] if begun else None


ASYNC, PLAIN = b'{"question":"?"}', b'{"@task":"count","number":1}'
DEAD = b'{"question":"?","@deaths":1}'


def test_the_oldest_is_next_and_is_marked_with_its_deadline() -> None:
    start = Start(ASYNC, ASYNC)
    assert start.next() is start.jobs[0]
    assert (start.jobs[0].since, start.jobs[0].deadline, start.lane.meter.due) == (101.0, 161.0, [95.0])
    assert list(start.board.started()) == [(0, 1, 161.0)]
    assert start.next() is start.jobs[1]
    assert list(start.board.started()) == [(0, 2, 161.0)], "in the slot of the one before, which never waited"
    assert start.next() is None
    start.starter.pause()
    assert not list(start.board.started())
    assert start.board.ran() == {(0, 2)}


def test_a_job_that_says_when_it_was_due_says_it_by_the_servers_clock() -> None:
    start = Start(ASYNC)
    start.jobs[0].due, start.lane.route.ahead = 90.0, 7.0
    start.next()
    assert start.lane.meter.due == [83.0]


def test_a_job_begins_only_while_the_server_has_called_this_worker_alive_lately() -> None:
    start = Start(ASYNC, DEAD)
    start.lane.proof = 91.0
    assert start.next(101.0) is None, "ten seconds ago is too long"
    start.lane.proof = 91.5
    assert start.next(101.0) is start.jobs[0]
    start.starter.waits(start.jobs[0])
    start.starter.pause()
    assert len(list(start.board.started())) == 1, "its slot stays"


def test_all_that_wait_have_slots_of_their_own() -> None:
    start = Start(ASYNC, ASYNC, ASYNC)
    start.starter.pause()
    for job in start.jobs:
        assert start.next() is job
        start.starter.waits(job)
        start.starter.pause()
    assert sorted(lease for _, lease, _ in start.board.started()) == [1, 2, 3]


def test_after_a_pause_the_slot_is_one_that_is_free() -> None:
    start = Start(ASYNC, ASYNC, ASYNC, ASYNC, concurrency=3)
    for _ in range(2):
        start.starter.waits(start.next() or start.jobs[0])
    third = start.next()
    start.starter.pause()
    fourth = start.next()
    assert third is not None
    assert fourth is not None
    assert third.slot == fourth.slot
    assert sorted(lease for _, lease, _ in start.board.started()) == [1, 2, 4]


def test_one_that_must_be_alone_begins_only_on_the_word_of_the_server_too() -> None:
    start = Start(ASYNC)
    start.slots.suspect = start.slots.ready.popleft()
    for proof in (90.0, 91.0):
        start.lane.proof = proof
        assert start.next(101.0) is None
    start.lane.proof = 91.5
    assert start.next(101.0) is start.jobs[0]


def test_one_that_waits_keeps_its_slot() -> None:
    start = Start(ASYNC, ASYNC)
    first, _ = start.next(), start.starter.waits(start.jobs[0])
    assert first is not None
    start.next()
    assert {lease for _, lease, _ in start.board.started()} == {1, 2}
    start.starter.pause()
    assert {lease for _, lease, _ in start.board.started()} == {1}
    start.starter.end(first)
    assert not list(start.board.started())


def test_what_is_no_job_is_refused_and_the_next_is_taken() -> None:
    start = Start(b"{", b'{"@task":"other"}', b'{"number":1}', ASYNC)
    assert start.next() is start.jobs[3]
    assert start.ended == [(1, "bad_json"), (2, "unknown_task"), (3, "bad_arguments")]


def test_plain_functions_are_given_to_threads_as_long_as_there_are_slots() -> None:
    start = Start(PLAIN, PLAIN, PLAIN, PLAIN, ASYNC)
    assert start.next() is None
    assert start.given == start.jobs[:3]
    assert list(start.slots.ready) == start.jobs[3:]


@pytest.mark.parametrize("after", [PLAIN, b'{"@task":"count","number":1,"@deaths":1}'], ids=["plain", "suspect"])
def test_a_thread_that_is_quicker_than_the_loop_finds_a_slot(after: bytes) -> None:
    start = Start(ASYNC, after, concurrency=1)
    start.starter.give = start.starter.begin
    assert start.next() is start.jobs[0]
    assert start.next() is None
    assert [lease for _, lease, _ in start.board.started()] == [2], "the first has ended without ever waiting"


def test_nothing_starts_without_a_sign_of_the_server() -> None:
    start = Start(ASYNC)
    assert start.next(110.5) is None
    assert start.next(109.5) is start.jobs[0]


def test_one_whose_queue_gives_no_sign_does_not_hold_up_those_before_it() -> None:
    start = Start(ASYNC, ASYNC)
    start.jobs[1].lane = lane("other")
    assert start.next() is start.jobs[0]
    assert start.next() is None


@pytest.mark.parametrize("why", ["stopping", "held_up", "quota"])
def test_nothing_starts_when_nothing_may(why: str) -> None:
    start = Start(ASYNC)
    setattr(start.slots, why, 0 if why == "quota" else True)
    assert start.next() is None


def test_the_last_of_a_quota_is_the_last() -> None:
    start = Start(ASYNC, ASYNC, ASYNC)
    start.slots.quota = 2
    assert [start.next(), start.next(), start.next()] == [*start.jobs[:2], None]


def test_a_suspect_waits_until_it_is_alone_and_lets_nothing_start_beside_it() -> None:
    start = Start(ASYNC, DEAD, ASYNC)
    start.next()
    start.starter.waits(start.jobs[0])
    assert start.next() is None
    assert start.slots.suspect is start.jobs[1]
    start.slots.running.clear()
    assert start.next() is start.jobs[1]
    start.starter.waits(start.jobs[1])
    assert start.next() is None
    start.slots.running.clear()
    start.slots.suspect = None  # as the engine does when it has ended
    assert start.next() is start.jobs[2]


def test_a_plain_suspect_is_given_to_a_thread_once() -> None:
    start = Start(b'{"@task":"count","number":1,"@deaths":2}')
    assert start.next() is None
    assert start.given == start.jobs
    assert start.next() is None
    start.slots.threaded.add(start.slots.parked.popitem()[0])
    start.slots.came.append((start.jobs[0], Released()))
    assert start.next() is None
    assert start.given == start.jobs


def test_what_cannot_be_opened_at_all_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    start = Start(ASYNC)

    class Broken:
        def open(self, held: Held) -> Outcome:
            raise RuntimeError("a converter")

    start.starter._desks = {start.lane: Broken()}  # type: ignore[dict-item]
    assert start.next() is None
    assert start.ended == [(1, "bad_arguments")]
    assert "cannot be opened" in caplog.text
