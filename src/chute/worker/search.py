"""Leases of this worker that it does not have in hand: what a claim took whose answer was lost, and what a server has again that went back in
time. They are looked for with every beat and taken up, each once; nobody else would, since this worker lives.

A look goes over the connection of the finishes, so what was finished before it is gone on the server when it is answered, and what is finished
behind it is not yet answered then. So a lease that the answer names, and that is neither in hand then nor of a claim still under way, is a lost one.
"""

import logging
from dataclasses import dataclass
from typing import Any

from chute.holdings import Holdings
from chute.script import Command
from chute.store import CHUNK
from chute.worker import clock
from chute.worker.engine import Engine
from chute.worker.held import Held
from chute.worker.lane import Lane, Uncertain

log = logging.getLogger("chute.worker")


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the leases of an identity, and when it was sent."""

    lane: Lane
    holdings: Holdings
    sent: float


class Search:
    """The search of one worker."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._adopting: set[tuple[str, int]] = set()
        """(worker, lease) of what is being taken up."""

    def begin(self, lane: Lane) -> tuple[Command, Look]:
        """What to send with a beat: the leases where a claim is in doubt, else their number, which says enough most of the time."""
        command = lane.holdings.held if lane.uncertain else lane.holdings.count_held
        return command, Look(lane, lane.holdings, clock.now())

    def read(self, look: Look, reply: Any) -> None:
        """What the answer means. Nothing, once others have closed the identity that it is about."""
        if look.lane.holdings is not look.holdings:
            return
        if isinstance(reply, int) and reply > len(self._hand(look.lane, look.holdings)):
            again = Look(look.lane, look.holdings, clock.now())
            look.lane.route.line.send([look.holdings.held], lambda replies: self.read(again, replies and replies[0]))
        elif isinstance(reply, list):
            self._looked(look, [int(lease) for lease in reply if lease.isdigit()])

    def _hand(self, lane: Lane, holdings: Holdings) -> set[int]:
        """What this worker knows that it holds, with the outcomes that were not answered."""
        return self._engine.slots.leases(holdings) | self._engine.shuttle[lane].finisher.leases(holdings)

    def _looked(self, look: Look, leases: list[int]) -> None:
        """Takes up what is held there and not here. A doubt is forgotten once a look that was sent after its deadline has found nothing more."""
        lane, holdings, worker = look.lane, look.holdings, look.holdings.worker
        hand = self._hand(lane, holdings)
        hidden = [lease for lease in leases if self._hidden(lane, lease, hand) and (worker, lease) not in self._adopting][:CHUNK]
        if not hidden:
            for call in [call for call, doubt in lane.uncertain.items() if look.sent > doubt.void]:
                lane.uncertain.pop(call, None)
            return
        self._adopting.update((worker, lease) for lease in hidden)

        def adopted(replies: list[Any] | None) -> None:
            self._adopting.difference_update((worker, lease) for lease in hidden)
            if lane.holdings is holdings and replies and isinstance(replies[0], list):
                self._adopt(lane, hidden, *replies[0])

        lane.route.line.send([holdings.adopt(hidden)], adopted)

    def _hidden(self, lane: Lane, lease: int, hand: set[int]) -> bool:
        if doubt := _doubt(lane, lease):
            return lease not in doubt.adopted
        claims, call = self._engine.claims, _call(lease)
        return lease not in hand and call not in claims.under_way and call <= claims.last

    def _adopt(self, lane: Lane, leases: list[int], tag: int, bodies: list[bytes | None]) -> None:
        now = clock.now()
        for place, (lease, body) in enumerate(zip(leases, bodies, strict=True)):
            doubt = _doubt(lane, lease)
            if body is not None and not (doubt and lease in doubt.adopted):
                if doubt:
                    doubt.adopted.add(lease)
                self._engine.slots.ready.append(Held(lane, lane.holdings, lease, tag + place, body, now))
        log.info("queue %s: took up %d jobs that were leased to this worker without its knowledge", lane.name, len(leases))
        self._engine.poke()


def _call(lease: int) -> int:
    return (lease - 1) // 1000


def _doubt(lane: Lane, lease: int) -> Uncertain | None:
    return lane.uncertain.get(_call(lease))
