"""What a queue needs beside claims: due jobs made ready, dead workers' jobs taken over, dead letters kept within bounds.

Every process that works queues does it for them, so none depends on another; the supervisor does it for its workers. Knows no worker's insides.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Set
from functools import partial
from typing import Any

import redis

from chute.holdings import place_of, promote, trim
from chute.lines import Lines
from chute.script import LOAD
from chute.store import TIME, memory_info, seconds_of
from chute.worker import clock
from chute.worker.clock import Timing
from chute.worker.reclaim import Judge

log = logging.getLogger("chute.worker")
LONGEST_PROMOTE_PAUSE = 0.25
REFUSED_PROMOTE_PAUSE = 2.0
"""Seconds until a server that refused or did not answer is asked again: it has enough to do."""
TRIM_EVERY = 60.0
KEEPS = "noeviction"


class Caretaker:
    """Looks after queues over the lines to their servers. `ours` are the ids of workers that need no judge."""

    def __init__(self, lines: Lines, queues: list[str], timing: Timing, ours: Callable[[], Set[str]]) -> None:
        self._lines, self._queues, self._timing = lines, queues, timing
        self._judge = Judge(lines, queues, timing, ours)
        self.dropped: Counter[str] = Counter()
        """Dead letters that were dropped, by queue."""

    @property
    def reclaimed(self) -> Counter[str]:
        """Jobs that were taken over from dead workers, by queue."""
        return self._judge.reclaimed

    def steps(self) -> list[Coroutine[Any, Any, None]]:
        """What is to run until it is cancelled."""
        timers = [clock.every(self._timing.beat, self._judge.look), clock.every(TRIM_EVERY, self.trim)]
        return [*timers, *[self._promote(queue) for queue in self._queues], self._check_policy()]

    async def trim(self) -> None:
        """Keeps the dead letters within their bounds, and says what that cost."""
        for queue in self._queues:
            replies = await self._lines.ask(place_of(queue), [TIME])
            if replies and isinstance(replies[0], list):
                now_ms = int(seconds_of(replies[0]) * 1000)
                self._lines.send(place_of(queue), trim(queue, now_ms), partial(self._trimmed, queue))

    async def _check_policy(self) -> None:
        """Says, as soon as the server can be asked, that it is set up to delete keys when it is full."""
        asked = memory_info()
        for queue in self._queues:
            replies = await self._lines.ask(place_of(queue), asked.commands)
            while replies is None:
                await asyncio.sleep(LONGEST_PROMOTE_PAUSE)
                replies = await self._lines.ask(place_of(queue), asked.commands)
            if isinstance(replies[0], Exception):
                continue  # who may not ask is told nothing
            policy = asked.read(replies).get("maxmemory_policy", KEEPS)
            if policy != KEEPS:
                what = "results" if policy.startswith("volatile") else "jobs, leases and dead letters"
                log.warning("the server may delete %s when it is full: its maxmemory-policy is %s. Set it to %s", what, policy, KEEPS)
                return

    async def _promote(self, queue: str) -> None:
        """Moves due jobs into the queue, at the sooner of the next one's time and a quarter of a second. A push wakes whoever waits there."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            replies = await self._lines.ask(place_of(queue), [promote(queue)])
            pause = REFUSED_PROMOTE_PAUSE
            if replies is None:
                pause = LONGEST_PROMOTE_PAUSE  # the line is down: nothing was sent
            elif isinstance(replies[0], list):
                left_ms = replies[0][1]
                pause = LONGEST_PROMOTE_PAUSE if left_ms < 0 else min(LONGEST_PROMOTE_PAUSE, left_ms / 1000)
            elif isinstance(replies[0], redis.exceptions.NoScriptError):
                pause = LONGEST_PROMOTE_PAUSE
                self._lines.send(place_of(queue), LOAD, lambda _: None)

    def _trimmed(self, queue: str, replies: list[Any] | None) -> None:
        dropped = sum(reply for reply in replies or () if isinstance(reply, int))
        if dropped:
            self.dropped[queue] += dropped
            log.warning("queue %s: %d dead letters were dropped (at most 10,000, and 90 days)", queue, dropped)
