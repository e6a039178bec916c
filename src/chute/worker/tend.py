"""What goes on beside the work, by the clock: beats and the search for lost claims, due jobs, deadlines, counters, the bounds of dead letters.

Everything here is a short step that is repeated; nothing waits for an answer before it goes on.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import redis

from chute.store import CHUNK
from chute.worker import clock
from chute.worker.engine import Engine
from chute.worker.held import Held
from chute.worker.lane import Lane, Uncertain
from chute.worker.reclaim import Judge

log = logging.getLogger("chute.worker")
SWEEP = 0.05
RELEASE_AFTER = 0.2
"""Seconds that a job may lie in hand unstarted while others could run it."""
LONGEST_PROMOTE_PAUSE = 0.25
COUNT_EVERY = 1.0
OBSERVE_EVERY = 0.5
TRIM_EVERY = 60.0


class Tender:
    """The timers of one worker."""

    def __init__(self, engine: Engine, observer: Callable[[Engine], None] | None = None) -> None:
        self._engine = engine
        self._observer = observer
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts every timer."""
        timing = self._engine.timing
        steps = [
            clock.every(SWEEP, self.sweep),
            clock.every(timing.beat, self.beat),
            clock.every(COUNT_EVERY, self.count),
            clock.every(TRIM_EVERY, self.trim),
            clock.every(timing.beat, Judge(self._engine).look),
            clock.every(OBSERVE_EVERY, self.observe),
            *[self._promote(lane) for lane in self._engine.lanes],
        ]
        self._tasks = [asyncio.create_task(step, name="chute timer") for step in steps]

        self.observe()

    def observe(self) -> None:
        """Lets the observer look."""
        if self._observer:
            self._observer(self._engine)

    def stop(self) -> None:
        """Ends every timer."""
        for task in self._tasks:
            task.cancel()

    def sweep(self) -> None:
        """One scan for everything that is late: answers, deadlines, jobs in hand, the waits of a full or stopping worker."""
        engine, now = self._engine, clock.now()
        engine.line.check()
        for lane in engine.lanes:
            lane.line.check()
        for held in [held for held in engine.slots.running if held.deadline is not None and held.deadline < now and not held.overdue]:
            self._overdue(held)
        if engine.stopping or engine.full_since is not None:
            engine.unblock()
        unstarted = [*engine.slots.ready, *engine.slots.parked]
        late = {held.lane for held in unstarted if now - held.since > RELEASE_AFTER}
        if late:  # all of that queue: a younger one that stayed would overtake
            engine.slots.prefetch = 0
            engine.give_back([held for held in unstarted if held.lane in late])
        engine.poke()

    def beat(self) -> None:
        """Shows progress to the others, and looks for what claims without an answer have taken."""
        for lane in self._engine.lanes:
            if lane.live:
                self._beat(lane)

    def count(self) -> None:
        """Adds what was finished to the counters of this minute, by the server's clock."""
        engine = self._engine
        for lane in engine.lanes:
            new = lane.totals - lane.counted
            if new and engine.line.up and engine.claims.ahead:
                minute = int((clock.now() + engine.claims.ahead) // 60)
                engine.line.send(lane.holdings.count(minute, new), lambda _: None)
                lane.counted += new

    def trim(self) -> None:
        """Keeps the dead letters within their bounds, and says what that cost."""
        engine = self._engine
        for lane in engine.lanes:
            if engine.line.up and engine.claims.ahead:
                now_ms = int((clock.now() + engine.claims.ahead) * 1000)
                engine.line.send(lane.holdings.trim(now_ms), partial(_trimmed, lane))

    async def _promote(self, lane: Lane) -> None:
        """Moves due jobs into the queue, at the sooner of the next one's time and a quarter of a second."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            replies = await self._engine.line.ask([lane.holdings.promote])
            pause = LONGEST_PROMOTE_PAUSE
            if replies and isinstance(replies[0], list):
                moved, left_ms = replies[0]
                if left_ms >= 0:
                    pause = min(LONGEST_PROMOTE_PAUSE, left_ms / 1000)
                if moved:
                    self._engine.poke()
            elif replies and isinstance(replies[0], redis.exceptions.NoScriptError):
                self._engine.load()

    def _overdue(self, held: Held) -> None:
        held.overdue = True
        if held.runner and not held.threaded:
            held.runner.cancel()
        else:
            log.warning("job %s of task %s is past its timeout; a plain function cannot be stopped, it goes on", held.job_id, held.task)

    def _beat(self, lane: Lane) -> None:
        engine, holdings, sent = self._engine, lane.holdings, clock.now()
        look = bool(lane.uncertain)

        def answered(replies: list[Any] | None) -> None:
            if not replies or lane.holdings is not holdings:
                return
            if isinstance(replies[0], redis.exceptions.NoScriptError):
                engine.load()
            elif replies[0] == []:
                lane.alive_at(sent)
            elif isinstance(replies[0], list) and lane.live:
                lane.fenced()
            if look and isinstance(replies[1], list):
                self._looked(lane, [int(lease) for lease in replies[1] if lease.isdigit()], sent)
            engine.poke()

        engine.line.send([holdings.beat, *([holdings.held] if look else [])], answered)

    def _looked(self, lane: Lane, leases: list[int], sent: float) -> None:
        """Takes up what is held here and not known here. A claim is forgotten once a look that was sent after its deadline was answered."""
        hidden = [lease for lease in leases if (doubt := _doubt(lane, lease)) and lease not in doubt.adopted][:CHUNK]
        settled = [call for call, doubt in lane.uncertain.items() if sent > doubt.void]
        if not hidden:
            for call in settled:
                lane.uncertain.pop(call, None)
            return
        holdings = lane.holdings

        def adopted(replies: list[Any] | None) -> None:
            if lane.holdings is holdings and replies and isinstance(replies[0], list):
                self._adopt(lane, hidden, *replies[0])

        self._engine.line.send([holdings.adopt(hidden)], adopted)

    def _adopt(self, lane: Lane, leases: list[int], tag: int, bodies: list[bytes | None]) -> None:
        now = clock.now()
        for place, (lease, body) in enumerate(zip(leases, bodies, strict=True)):
            doubt = _doubt(lane, lease)
            if body is not None and doubt and lease not in doubt.adopted:
                doubt.adopted.add(lease)
                self._engine.slots.ready.append(Held(lane, lane.holdings, lease, tag + place, body, now))
        log.info("queue %s: took up %d jobs of a claim whose answer was lost", lane.name, len(leases))
        self._engine.poke()


def _doubt(lane: Lane, lease: int) -> Uncertain | None:
    return lane.uncertain.get((lease - 1) // 1000)


def _trimmed(lane: Lane, replies: list[Any] | None) -> None:
    dropped = sum(reply for reply in replies or () if isinstance(reply, int))
    if dropped:
        log.warning("queue %s: %d dead letters were dropped (at most 10,000, and 90 days)", lane.name, dropped)
