"""Which queue is claimed from, and what the answers mean."""

from collections import Counter
from typing import Any

import pytest
import redis

from chute.holdings import BLOCK, CLAIM_BYTES
from chute.script import LOAD
from chute.worker import clock
from chute.worker.claim import Claims
from chute.worker.held import Held
from chute.worker.lane import REFUSAL_PAUSE
from chute.worker.slots import Slots
from worker.made import lane

NOSCRIPT = redis.exceptions.NoScriptError("No matching script")


class Hand:
    """A worker's claims without a server: the answers are given by hand."""

    def __init__(self, *weights: int | None, concurrency: int = 10) -> None:
        self.lanes = [lane(f"q{i}", i if weight is None else len(weights), weight or 1) for i, weight in enumerate(weights)]
        for each in self.lanes:
            each.live = each.more = True
        self.slots = Slots(concurrency)
        self.returned: list[Held] = []
        self.claims = Claims(self.lanes, self.slots, 5.0, self.returned.extend)

    def picks(self, times: int) -> list[str]:
        """The queues that are claimed from in turn."""
        picked: list[str] = []
        for _ in range(times):
            lane = self.claims.pick(0, clock.now())
            if lane:
                picked.append(lane.name)
                command, landed = self.claims.claim(lane, clock.now())
                landed(reply(*[b"x"] * int(command[-3])))
                self.slots.ready.clear()
        return picked

    def answer(self, reply: Any, lane: int = 0) -> None:
        """A claim on a lane, answered."""
        self.claims.claim(self.lanes[lane], clock.now())[1](reply)


def reply(*bodies: bytes, tag: int = 1) -> list[Any]:
    return [int(clock.now() * 1000) + 7_000, tag, list(bodies)]


def test_equal_queues_take_turns() -> None:
    assert Counter(Hand(1, 1, 1).picks(30)) == {"q0": 10, "q1": 10, "q2": 10}


def test_weights_share_the_claims() -> None:
    assert Counter(Hand(1, 3).picks(40)) == {"q0": 10, "q1": 30}


def test_queues_without_a_weight_come_first_in_their_order() -> None:
    hand = Hand(None, None, 1)
    assert set(hand.picks(5)) == {"q0"}
    hand.lanes[0].more = False
    assert set(hand.picks(5)) == {"q1"}
    hand.lanes[1].more = False
    assert set(hand.picks(5)) == {"q2"}


def test_a_queue_that_rested_does_not_catch_up_on_what_it_missed() -> None:
    hand = Hand(1, 1)
    hand.lanes[1].more = False
    hand.picks(100)
    hand.lanes[1].more = True
    assert abs(Counter(hand.picks(20))["q0"] - 10) <= 1


def test_a_queue_that_was_given_less_than_it_asked_for_catches_up() -> None:
    """Its claim ended at a large job, while the other had turns."""
    hand = Hand(1, 1)
    _, landed = hand.claims.claim(hand.lanes[0], clock.now())
    hand.slots.asked = 0
    hand.lanes[0].more = False
    assert hand.picks(3) == ["q1"] * 3
    hand.slots.asked = 10
    landed(reply(b"x" * CLAIM_BYTES))
    hand.slots.ready.clear()
    assert hand.picks(4) == ["q0", "q0", "q0", "q1"]


@pytest.mark.parametrize(
    ("name", "value"), [("live", False), ("waiting", True), ("refused", True), ("pause_until", float("inf")), ("more", False)]
)
def test_from_these_nothing_is_claimed(name: str, value: Any) -> None:
    hand = Hand(1)
    setattr(hand.lanes[0], name, value)
    assert hand.picks(1) == []


def test_an_owed_claim_goes_out_without_room() -> None:
    hand = Hand(1, concurrency=1)
    hand.slots.asked = 1
    assert hand.picks(1) == []
    hand.lanes[0].owed = True
    assert hand.picks(1) == ["q0"]
    command, _ = hand.claims.claim(hand.lanes[0], clock.now())
    assert command[-3] == 0  # it only passes a wake on
    assert not hand.lanes[0].owed


def test_beside_another_flight_half_of_the_allowance_must_be_free() -> None:
    hand = Hand(1, concurrency=10)
    hand.slots.asked = 6
    assert hand.claims.pick(1, clock.now()) is None
    assert hand.claims.pick(0, clock.now()) is not None
    hand.slots.asked = 5
    assert hand.claims.pick(1, clock.now()) is not None


def test_each_claim_has_a_number_of_its_own_and_a_deadline_once_the_servers_clock_is_known() -> None:
    hand = Hand(1)
    first, landed = hand.claims.claim(hand.lanes[0], clock.now())
    assert first[-1] == ""
    landed(reply())
    second, _ = hand.claims.claim(hand.lanes[0], clock.now())
    assert first[-4] != second[-4]
    assert abs(int(second[-1]) / 1000 - clock.now() - 12) < 1  # 7 s ahead, valid for 5


def test_jobs_come_into_hand_oldest_first_with_their_leases_and_tags() -> None:
    hand = Hand(1)
    hand.answer(reply(b"a", b"b", tag=5))
    assert [(job.body, job.lease, job.tag) for job in hand.slots.ready] == [(b"a", 1001, 5), (b"b", 1002, 6)]
    assert (hand.slots.asked, hand.lanes[0].more, hand.lanes[0].drained) == (0, False, False)


def test_what_was_asked_for_and_given_whole_says_that_there_is_more() -> None:
    hand = Hand(1, concurrency=2)
    hand.lanes[0].more = False
    hand.answer(reply(b"a", b"b"))
    assert hand.lanes[0].more
    hand.slots.ready.clear()
    hand.answer(reply(b"x" * CLAIM_BYTES))
    assert hand.lanes[0].more


def test_an_empty_answer_says_that_nothing_is_left() -> None:
    hand = Hand(1)
    hand.answer(reply())
    assert (hand.lanes[0].more, hand.lanes[0].drained) == (False, True)


def test_a_claim_that_came_too_late_is_owed_again() -> None:
    hand = Hand(1)
    hand.answer(reply(tag=-1))
    assert hand.lanes[0].owed


def test_what_was_claimed_under_an_old_identity_goes_back() -> None:
    hand = Hand(1)
    _, landed = hand.claims.claim(hand.lanes[0], clock.now())
    hand.lanes[0].boot()
    landed(reply(b"a"))
    assert ([job.body for job in hand.returned], list(hand.slots.ready)) == ([b"a"], [])


def test_fenced_means_a_new_identity() -> None:
    hand = Hand(1)
    hand.answer(b"FENCED")
    assert not hand.lanes[0].live


def test_a_paused_queue_is_asked_again_after_a_second() -> None:
    hand = Hand(1)
    hand.answer(b"PAUSED")
    lane = hand.lanes[0]
    assert (lane.owed, lane.more) == (True, False)
    assert 0.5 < lane.pause_until - clock.now() <= 1


@pytest.mark.parametrize("answer", [None, redis.ResponseError("MISCONF no"), redis.exceptions.OutOfMemoryError("no")])
def test_a_lost_or_failed_claim_is_in_doubt(answer: Any) -> None:
    hand = Hand(1)
    hand.answer(answer)
    assert list(hand.lanes[0].uncertain) == [1]
    assert hand.lanes[0].owed
    assert (hand.lanes[0].pause_until > clock.now()) == (answer is not None)


def test_an_unknown_script_has_done_nothing() -> None:
    hand = Hand(1)
    sent: list[Any] = []
    hand.lanes[0].route.line.send = lambda commands, *_: sent.append([*commands])  # type: ignore[method-assign]
    hand.answer(NOSCRIPT)
    assert (hand.lanes[0].uncertain, hand.lanes[0].owed) == ({}, True)
    assert [commands[: len(LOAD)] for commands in sent] == [[*LOAD]]


class Waiting(Hand):
    """One wait on the first queue, at a time that stands still; it is answered by hand."""

    def __init__(self, *weights: int | None, concurrency: int = 10) -> None:
        super().__init__(*(weights or (1,)), concurrency=concurrency)
        self.lane, self.now, self.landed = self.lanes[0], clock.now(), 0
        self.sent: list[Any] = []
        self.lane.line.send = lambda *words: self.sent.append(words)  # type: ignore[method-assign]

    def wait(self) -> list[Any]:
        """The commands of a new wait."""
        self.claims.wait(self.lane, self.now, self._landed)
        return list(self.sent[-1][0])

    def tell(self, replies: list[Any] | None) -> None:
        """The answer to the last one."""
        self.sent[-1][1](replies)

    def _landed(self) -> None:
        self.landed += 1


def test_a_wait_asks_for_its_share_of_the_free_slots_and_one_at_the_least() -> None:
    for lanes, free, share in ((1, 10, 10), (2, 10, 5), (3, 10, 3), (3, 1, 1), (3, 2, 1)):
        hand = Waiting(*[1] * lanes, concurrency=free)
        wait, claim = hand.wait()
        assert wait == hand.lane.holdings.wait
        assert claim[-3] == share


def test_a_wait_ends_a_while_after_the_server_gave_up_and_its_claim_is_valid_as_long() -> None:
    hand = Waiting()
    _, claim = hand.wait()
    assert claim[-1] == ""
    assert hand.sent[-1][2] == BLOCK + 5.0
    hand.lane.route.ahead = 7.0
    _, claim = hand.wait()
    assert claim[-1] == int((hand.now + BLOCK + 7 + 5) * 1000)


def test_what_a_wait_brought_is_marked() -> None:
    hand = Waiting()
    hand.answer(reply(b"a"))
    hand.wait()
    assert (hand.lane.waiting, hand.lane.claiming, hand.claims.last) == (True, 0, 2)
    hand.tell([None, reply(b"b", b"c", tag=9)])
    assert [(job.body, job.waited, job.lease) for job in hand.slots.ready] == [(b"a", False, 1001), (b"b", True, 2001), (b"c", True, 2002)]
    assert (hand.lane.waiting, hand.lane.owed, hand.landed) == (False, False, 1)
    assert hand.lane.pause_until < hand.now
    assert hand.claims.under_way == set()


def test_a_wait_that_the_server_refused_is_followed_by_claims_alone() -> None:
    hand = Waiting()
    hand.wait()
    hand.tell([redis.exceptions.OutOfMemoryError("full"), reply(b"a")])
    assert [job.body for job in hand.slots.ready] == [b"a"]
    assert (hand.lane.owed, hand.lane.waiting) == (True, False)
    assert abs(hand.lane.pause_until - hand.now - REFUSAL_PAUSE) < 0.5


def test_a_wait_without_an_answer_is_in_doubt_for_as_long_as_its_claim_is_valid() -> None:
    hand = Waiting()
    hand.wait()
    hand.tell(None)
    assert hand.lane.uncertain[1].void == hand.now + BLOCK + 5.0
    assert (hand.lane.waiting, hand.lane.owed) == (False, True)
    hand.claims.claim(hand.lane, hand.now)[1](None)
    assert hand.lane.uncertain[2].void == hand.now + 5.0


def test_since_when_a_queue_was_not_served() -> None:
    hand = Waiting()
    hand.claims.claim(hand.lane, 5.0)
    hand.claims.claim(hand.lane, 6.0)[1](None)
    assert hand.lane.unserved_since == 5.0
    hand.answer(reply())
    assert hand.lane.unserved_since is None
    hand.claims.wait(hand.lane, 8.0, lambda: None)
    hand.claims.wait(hand.lane, 9.0, lambda: None)
    assert hand.lane.unserved_since == 8.0


def test_a_queue_is_charged_by_its_weight_for_what_it_was_given() -> None:
    hand = Hand(4, 1, concurrency=10)
    first = hand.lanes[0]
    _, landed = hand.claims.claim(first, clock.now())
    assert (first.served, first.claiming, hand.slots.asked) == (2.5, 1, 10)
    landed(reply(b"a"))
    assert (first.served, first.claiming, hand.slots.asked) == (0.25, 0, 0)
    hand.answer(None)
    assert first.served == 0.25
    hand.answer(b"PAUSED")
    assert (first.served, first.drained) == (0.25, True)


def test_without_room_nothing_is_asked_for_and_an_empty_answer_says_nothing() -> None:
    hand = Hand(1, concurrency=1)
    hand.slots.asked = 3
    command, landed = hand.claims.claim(hand.lanes[0], clock.now())
    assert command[-3] == 0
    landed(reply())
    assert (hand.lanes[0].more, hand.lanes[0].drained) == (False, False)


def test_one_job_where_one_was_asked_for_says_that_there_is_more() -> None:
    hand = Hand(1, concurrency=1)
    hand.answer(reply(b"a"))
    assert (hand.lanes[0].more, hand.lanes[0].rested) == (True, False)
    hand.slots.ready.clear()
    hand.answer(reply())
    assert (hand.lanes[0].drained, hand.lanes[0].rested) == (True, True)


def test_an_answer_under_an_old_identity_fences_nobody() -> None:
    hand = Hand(1)
    lane = hand.lanes[0]
    _, landed = hand.claims.claim(lane, clock.now())
    lane.boot()
    lane.live = True
    landed(b"FENCED")
    assert lane.live
    landed = hand.claims.claim(lane, clock.now())[1]
    lane.live = False
    landed(b"FENCED")
    assert lane.former == []


def test_how_far_the_clock_of_the_server_is_ahead() -> None:
    hand = Hand(1)
    hand.answer(reply())
    assert abs(hand.lanes[0].route.ahead - 7.0) < 0.1


def test_a_clock_of_the_server_that_is_behind() -> None:
    hand = Hand(1)
    hand.answer([int(clock.now() * 1000) - 3000, 0, []])
    assert abs(hand.lanes[0].route.ahead + 3.0) < 0.1


@pytest.mark.parametrize(
    ("concurrency", "asked", "flying", "enough"),
    [(1, 0, 0, True), (1, 1, 0, False), (1, 0, 1, True), (1, 1, 1, False), (3, 2, 1, True), (10, 0, 1, True), (10, 11, 0, False)],
)
def test_how_much_room_is_enough(concurrency: int, asked: int, flying: int, enough: bool) -> None:
    hand = Hand(1, concurrency=concurrency)
    hand.slots.asked = asked
    assert (hand.claims.pick(flying, clock.now()) is not None) == enough


def test_a_pause_is_over_when_its_time_has_come() -> None:
    hand = Hand(1)
    now = hand.lanes[0].pause_until = clock.now()
    assert hand.claims.pick(0, now) is hand.lanes[0]


def test_more_bytes_than_a_claim_may_bring_say_that_there_is_more() -> None:
    hand = Hand(1)
    hand.answer(reply(b"x" * CLAIM_BYTES, b"x"))
    assert hand.lanes[0].more
