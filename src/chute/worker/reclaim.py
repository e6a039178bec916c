"""The leases of a dead worker -> queued. Death is lack of progress: a beat that did not change for `dead_after` of our own time.

Time counts only while our own looks succeed without a gap: whoever was suspended or cut off judges nobody by what it missed. A worker is closed
by a compare on its beat, so one that lives after all is never closed by a late judge. What it held goes back to the front in its old order.
"""

import logging
from typing import Any

from chute import store
from chute.store import Holdings
from chute.worker import clock
from chute.worker.engine import Engine
from chute.worker.lane import Lane

log = logging.getLogger("chute.worker")
DEAD = b"dead"
GAP = 3
"""Looks that may be missing before what was seen counts for nothing."""


class Judge:
    """Watches the other workers of each queue."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[tuple[str, str], tuple[bytes, float]] = {}
        """(queue, worker) -> its beat, and since when it is that."""
        self._looked = 0.0

    async def look(self) -> None:
        """Looks at every worker once, and takes over from those that are dead."""
        engine, now = self._engine, clock.now()
        if now - self._looked > GAP * engine.timing.beat:
            self._seen.clear()
        there: set[tuple[str, str]] = set()
        for lane in engine.lanes:
            replies = await engine.line.ask([lane.holdings.workers])
            if not replies or not isinstance(replies[0], dict):
                return
            ours = {lane.holdings.worker, *[held.holdings.worker for held in engine.slots.running]}
            for worker in store.worker_ids(replies[0]):
                if worker not in ours:  # what still runs here under a former id is not given back
                    there.add((lane.name, worker))
                    await self._judge(lane, worker, replies[0][worker.encode()])
        for gone in self._seen.keys() - there:
            del self._seen[gone]
        self._looked = clock.now()

    async def _judge(self, lane: Lane, worker: str, beat: bytes) -> None:
        now = clock.now()
        last, since = self._seen.get((lane.name, worker), (b"", now))
        if beat not in (DEAD, last):
            self._seen[lane.name, worker] = (beat, now)
        elif beat == DEAD or now - since > self._engine.timing.dead_after:
            await self._take_over(lane, Holdings(lane.name, worker), beat)

    async def _take_over(self, lane: Lane, theirs: Holdings, beat: bytes) -> None:
        closed = await self._answer(theirs.closing(beat))
        if closed != 1:
            return
        count = 0
        while leases := await self._answer(theirs.bodies):
            given_back = await self._answer(theirs.reclaim(leases))
            if not isinstance(given_back, int):
                return
            count += given_back
        await self._answer(theirs.reclaim({}))
        log.warning(
            "queue %s: worker %s made no progress and was closed; %d jobs that it held went back", lane.name, theirs.worker[:8], count
        )

    async def _answer(self, command: Any) -> Any:
        replies = await self._engine.line.ask([command])
        return None if not replies or isinstance(replies[0], Exception) else replies[0]
