"""Which queue is claimed from, and what the answers mean."""

from collections import Counter
from typing import Any

import pytest
import redis

from chute.holdings import CLAIM_BYTES
from chute.script import LOAD
from chute.worker import clock
from chute.worker.claim import Claims
from chute.worker.held import Held
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


@pytest.mark.parametrize(("name", "value"), [("live", False), ("waiting", True), ("pause_until", float("inf")), ("more", False)])
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
