"""queued -> running: which queue to claim from, how much, and what the answers mean. Every job comes into the worker's hands here.

Each claim carries a number of the worker's own that is never used twice, and a deadline after which the server gives it nothing. So a claim
whose answer was lost can be settled: its leases are looked for until a look that was sent after the deadline has been answered.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from chute.endpoint import TIMEOUT
from chute.holdings import BLOCK, CLAIM_BYTES, Holdings
from chute.script import Command
from chute.store import CHUNK
from chute.worker import clock
from chute.worker.held import Held
from chute.worker.lane import REFUSAL_PAUSE, Lane
from chute.worker.slots import Slots

log = logging.getLogger("chute.worker")
PAUSED_AGAIN = 1.0
"""Seconds between two claims on a paused queue."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A claim that was sent: under which identity and number, for how many, when, and from when on it can take nothing."""

    lane: Lane
    holdings: Holdings
    call: int
    want: int
    sent: float
    void: float
    waited: bool = False

    @property
    def current(self) -> bool:
        """Whether the identity is still the lane's own."""
        return self.lane.holdings is self.holdings


class Claims:
    """The claims of one worker on all its queues."""

    def __init__(self, lanes: list[Lane], slots: Slots, validity: float, give_back: Callable[[list[Held]], None]) -> None:
        self._lanes, self._slots, self._validity, self._give_back = lanes, slots, validity, give_back
        self.last = 0
        """The number of the youngest claim."""
        self.under_way: set[int] = set()
        """The numbers of those that are not answered."""
        self._served: dict[int, float] = {}
        """By rank, what the list whose turn it was had been given by then (start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996)."""

    def pick(self, flying: int, now: float) -> Lane | None:
        """The next queue to claim from: one that is owed a claim, also without room, or one that holds more, given enough room. Queues without
        a weight come first, in their order; the others take turns by their weights, as do the partitions of one.

        Beside another round trip it claims only when half of the allowance is free: so batches form. Never beside its own open wait: so
        nothing overtakes.
        """
        slots = self._slots
        enough = slots.room > 0 if not flying else slots.room >= max(1, slots.allowance // 2)
        able = [
            lane
            for lane in self._lanes
            if lane.may_be_asked(now) and lane.route.open and not lane.waiting and (lane.owed or (lane.more and enough))
        ]
        if not able:
            return None
        for lane in able:
            if lane.rested:
                lane.served, lane.rested = (
                    max(lane.served, self._served.get(lane.turn.rank, 0.0)),
                    False,
                )  # it does not catch up on what it did not have
        lane = min(able, key=_turn)
        self._served[lane.turn.rank] = lane.served
        return lane

    def claim(self, lane: Lane, now: float) -> tuple[Command, Callable[[Any], None]]:
        """A claim in a round trip, and who reads its answer (None: it was lost)."""
        slots = self._slots
        want = max(0, min(slots.room, CHUNK))
        asked = Asked(lane, lane.holdings, self._next(), want, now, now + self._validity)
        slots.asked += want
        share = lane.turn.share
        lane.served += want / share
        lane.claiming += 1
        lane.owed = False
        lane.unserved_since = lane.unserved_since or now

        def landed(reply: Any) -> None:
            slots.asked -= want
            if asked.current:
                lane.claiming -= 1
            lane.served -= (want - self._read(asked, reply)) / share

        return lane.holdings.claim(asked.call, want, self._deadline(lane, now)), landed

    def wait(self, lane: Lane, now: float, landed: Callable[[], None]) -> None:
        """Sleeps on the public list with the claim right behind, in one write. A wait owns no job; what it moves it leaves to the claim."""
        holdings = lane.holdings
        want = max(1, self._slots.free // len(self._lanes))
        asked = Asked(lane, holdings, self._next(), want, now, now + BLOCK + self._validity, waited=True)
        lane.waiting = True
        lane.unserved_since = lane.unserved_since or now

        def answered(replies: list[Any] | None) -> None:
            lane.waiting = False
            self._read(asked, replies and replies[-1])
            if replies and isinstance(replies[0], Exception):
                # a full server refuses the wait and lets the claim pass: then by claims alone
                lane.owed, lane.pause_until = True, clock.now() + REFUSAL_PAUSE
            landed()

        lane.line.send(
            [holdings.wait, holdings.claim(asked.call, want, self._deadline(lane, now + BLOCK))],
            answered,
            BLOCK + min(TIMEOUT, self._validity),
        )

    def _next(self) -> int:
        self.last += 1
        self.under_way.add(self.last)
        return self.last

    def _deadline(self, lane: Lane, now: float) -> int | str:
        return int((now + lane.route.ahead + self._validity) * 1000) if lane.route.ahead else ""

    def _read(self, asked: Asked, reply: Any) -> int:
        """What the answer means; how many jobs it brought."""
        lane = asked.lane
        self.under_way.discard(asked.call)
        if isinstance(reply, list):
            self._took(asked, reply)
            return len(reply[2])
        if reply == b"FENCED":
            if asked.current and lane.live:
                lane.fenced()
        elif reply == b"PAUSED":
            lane.more, lane.drained = False, True
            lane.owed, lane.pause_until = True, clock.now() + PAUSED_AGAIN
            lane.alive_at(asked.sent)
            lane.unserved_since = None
        elif asked.current:
            self._failed(asked, reply)
        return 0

    def _took(self, asked: Asked, reply: list[Any]) -> None:
        server_ms, tag, bodies = reply
        lane, now = asked.lane, clock.now()
        lane.trouble.ends()
        lane.unserved_since = None
        lane.route.ahead = server_ms / 1000 - now
        first = asked.call * 1000 + 1
        jobs = [Held(lane, asked.holdings, first + i, tag + i, body, now) for i, body in enumerate(bodies)]
        if not asked.current:
            self._give_back(jobs)  # claimed under an id that has been closed since
            return
        if asked.waited:
            for job in jobs:
                job.waited = True
        self._slots.ready.extend(jobs)
        lane.meter.claimed += len(jobs)
        lane.alive_at(asked.sent)
        if tag == -1:
            lane.owed = True  # it came too late and took nothing
            return
        lane.more = asked.want > 0 and (len(bodies) == asked.want or sum(map(len, bodies)) >= CLAIM_BYTES)
        lane.drained = not bodies and asked.want > 0
        lane.rested = not lane.more

    def _failed(self, asked: Asked, reply: Any) -> None:
        lane = asked.lane
        lane.owed = True
        if isinstance(reply, redis.exceptions.NoScriptError):
            lane.route.load()
            return
        lane.doubt(asked.call, asked.void)  # lost, or an error that may have come half-way
        if isinstance(reply, Exception):
            lane.pause_until = clock.now() + REFUSAL_PAUSE
            lane.trouble.says(f"queue {lane.name}: the server refuses to hand out jobs ({reply}); trying again")


def _turn(lane: Lane) -> tuple[int, float]:
    return lane.turn.rank, lane.served
