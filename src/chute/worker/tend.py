"""What goes on beside the work, by the clock: beats with a look at the leases and a word for people, deadlines, counters.

Everything here is a short step that is repeated; nothing waits for an answer before it goes on.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Coroutine
from functools import partial
from typing import Any

import redis

from chute.worker import clock
from chute.worker.board import KINDS
from chute.worker.engine import Engine
from chute.worker.held import Held
from chute.worker.info import Info
from chute.worker.lane import Lane
from chute.worker.measure import measure
from chute.worker.search import Search

log = logging.getLogger("chute.worker")
SWEEP = 0.05
RELEASE_AFTER = 0.2
"""Seconds that a job may lie in hand unstarted while others could run it."""
STUCK = 0.5
"""Seconds past its timeout after which a job is taken for one that only the end of this process can stop: then nothing new is begun here."""
INFORM_EVERY = 1.0
"""Seconds between two words for people at the least: nobody reads faster."""
COUNT_EVERY = 1.0
NOTE_EVERY = 0.2
TELL_EVERY = 1.0


class Tender:
    """The timers of one worker. `more`: steps that run as long."""

    def __init__(self, engine: Engine, more: list[Coroutine[Any, Any, None]]) -> None:
        self._engine, self._more = engine, more
        self._search = Search(engine)
        self._info = Info(engine)
        self._lag = 0.0
        """By how much the loop came late at the most since that was last told."""
        self._swept = clock.now()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts every timer."""
        timing = self._engine.timing
        steps = [
            clock.every(SWEEP, self.sweep),
            clock.every(timing.beat, self.beat),
            self._inform(max(timing.beat, INFORM_EVERY)),
            clock.every(COUNT_EVERY, self.count),
            clock.every(NOTE_EVERY, self.note),
            clock.every(TELL_EVERY, self.tell),
            *self._more,
        ]
        self._tasks = [asyncio.create_task(step, name="chute timer") for step in steps]

    def note(self) -> None:
        """Writes the totals on the board."""
        totals = self._engine.totals
        self._engine.guard.board.count(totals[kind] for kind in KINDS)

    def tell(self) -> None:
        """Tells whoever watches this worker how it is."""
        if self._engine.guard.watched:
            self._engine.guard.mention(measure(self._engine, self._lag))
        self._lag = 0.0

    def stop(self) -> None:
        """Ends every timer, with a last look at the counters."""
        for task in self._tasks:
            task.cancel()
        self.count()
        self.note()
        self.tell()

    def sweep(self) -> None:
        """One scan for everything that is late: answers, deadlines, jobs in hand, the waits of a full or stopping worker."""
        engine, now = self._engine, clock.now()
        board = engine.guard.board
        self._lag = max(self._lag, now - self._swept - SWEEP)
        self._swept = now
        engine.lines.check()
        for route in engine.routes:
            route.line.check()
        for number, lane in enumerate(engine.lanes):
            lane.line.check()
            if lane.live:
                lane.alive_at(min(now, board.proof(number)))
        for held in [held for held in engine.slots.started if held.deadline is not None and held.deadline < now and not held.overdue]:
            self._overdue(held)
        if engine.stopping or engine.full_since is not None:
            engine.unblock()
        unstarted = [*engine.slots.ready, *engine.slots.parked]
        engine.slots.held_up = engine.guard.watched and any(held.deadline and now > held.deadline + STUCK for held in engine.slots.started)
        seen = engine.executor.looked  # what came since is only late because this loop was
        late = {held.lane for held in unstarted if now - held.since > RELEASE_AFTER and held.since < seen}
        if late:  # all of that queue: a younger one that stayed would overtake
            engine.slots.prefetch = 0
            engine.give_back([held for held in unstarted if held.lane in late])
        engine.poke()

    def beat(self) -> None:
        """Shows progress to the others, and looks for what claims without an answer have taken."""
        for lane in self._engine.lanes:
            if lane.live:
                self._beat(lane)

    async def _inform(self, interval: float) -> None:
        """The first word as soon as there is one: who has just started a worker wants to see it."""
        await clock.until(lambda: all(lane.live and lane.route.ahead for lane in self._engine.lanes), interval)
        self.inform()
        await clock.every(interval, self.inform)

    def inform(self) -> None:
        """Says on each queue what runs here, for people."""
        ttl = math.ceil(2 * self._engine.timing.dead_after)
        for lane in self._engine.lanes:
            if lane.live and (said := self._info.of(lane)):
                lane.route.line.send([lane.holdings.inform(said, ttl)], lambda _: None)

    def count(self) -> None:
        """Adds what was finished to the counters of this minute, by the server's clock."""
        engine = self._engine
        for lane in engine.lanes:
            new = lane.meter.totals + Counter({f"d{n}": count for n, count in enumerate(lane.meter.histogram)}) - lane.counted
            if new and lane.route.line.up and lane.route.ahead:
                minute = int((clock.now() + lane.route.ahead) // 60)
                lane.route.line.send([lane.holdings.count(minute, new)], partial(self._counted, lane, new))
                lane.counted += new

    def _counted(self, lane: Lane, new: Counter[str], replies: list[Any] | None) -> None:
        """A server that did not know the script has counted nothing, for certain: it goes with the next."""
        if replies and isinstance(replies[0], redis.exceptions.NoScriptError):
            lane.route.load()
            lane.counted -= new

    def _overdue(self, held: Held) -> None:
        held.overdue = True
        if held.runner:
            held.runner.cancel()
        else:
            end = "if it does not end, its process is killed" if self._engine.guard.watched else "it goes on"
            told = "job %s of task %s is past its timeout; a plain function cannot be stopped: %s"
            log.warning(told, held.job_id, held.task, end, extra=held.named)

    def _beat(self, lane: Lane) -> None:
        engine, holdings, sent = self._engine, lane.holdings, clock.now()
        command, look = self._search.begin(lane)

        def answered(replies: list[Any] | None) -> None:
            if not replies or lane.holdings is not holdings:
                return
            if isinstance(replies[0], redis.exceptions.NoScriptError):
                lane.route.load()
            elif replies[0] == []:
                lane.alive_at(sent)
            elif isinstance(replies[0], list) and lane.live:
                lane.fenced()
            self._search.read(look, replies[1])
            engine.poke()

        lane.route.line.send([holdings.beat, command], answered)
