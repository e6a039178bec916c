"""The worker's clock and its timers.

Time that a machine was suspended must count (a worker that slept may have been reclaimed), so it is the boot clock where there is one.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial

log = logging.getLogger("chute.worker")
LOOK_AGAIN = 0.01
"""Seconds between two looks at a condition."""

now = partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
"""Seconds of a clock that never jumps and counts suspension."""


async def every(interval: float, step: Callable[[], Awaitable[None] | None], jitter: float = 0.1) -> None:
    """Runs a step again and again, `interval` seconds apart less a random part, until it is cancelled. An error is logged, not the end."""
    while True:
        await asyncio.sleep(interval * random.uniform(1 - jitter, 1))  # noqa: S311 - spreads load, keeps no secret
        try:
            if (waiting := step()) is not None:
                await waiting
        except Exception:
            log.exception("a periodic step failed; it is tried again")


async def until(met: Callable[[], object], seconds: float = math.inf) -> bool:
    """Waits until the condition is met, or the time is up; whether it is met."""
    deadline = now() + seconds
    while not (done := bool(met())) and now() < deadline:  # noqa: ASYNC110 - what is waited for are facts of other processes
        await asyncio.sleep(LOOK_AGAIN)
    return done


class Timing:
    """The worker's intervals in seconds, all from the two that can be set."""

    def __init__(self, beat: float, dead_after: float) -> None:
        self.beat = beat
        self.dead_after = dead_after
        self.trust = dead_after / 2
        """Without a sign from the server for longer, nothing new is started: others may be about to take over."""
        self.validity = min(dead_after, 10.0)
        """A claim is void at the server this long after it was sent."""
