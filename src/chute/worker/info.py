"""What a worker says of itself on one queue, with each beat: who it is and what it runs, for `chute ps`, `explain` and `top`. Sends nothing.

People read it, nothing is decided by it: what a worker holds is told by its leases alone. Each job is named with its lease, so that whoever reads it
later can see what has ended since.
"""

import os
import socket
from typing import Any

import msgspec

from chute.worker import clock
from chute.worker.engine import Engine
from chute.worker.lane import Lane

MOST = 100
"""Jobs that are named; the oldest, for they are the ones that people look for."""


class Info:
    """The words of one worker. Times are seconds since 1970 by the server's clock, so that they can be compared over machines."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._began = clock.now()
        self._who = {"host": socket.gethostname(), "pid": os.getpid(), "slots": engine.slots.concurrency}

    def of(self, lane: Lane) -> bytes | None:
        """Its words on a queue as JSON; None while it does not know the server's clock."""
        ahead = lane.route.ahead
        if not ahead:
            return None
        running = sorted(
            (held for held in self._engine.slots.started if held.holdings is lane.holdings), key=lambda held: (held.since, held.lease)
        )
        jobs: list[Any] = [(held.job_id, held.task, round(held.since + ahead, 3), held.lease) for held in running[:MOST]]
        times = {"at": round(clock.now() + ahead, 3), "started": round(self._began + ahead, 3)}
        return msgspec.json.encode({**self._who, **times, "count": len(running), "running": jobs})
