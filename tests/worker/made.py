"""Jobs in hand that no server gave: for the parts of a worker that never touch one."""

from typing import Any, cast

from chute.holdings import Holdings
from chute.queue import Queue
from chute.rest import Rest
from chute.worker.held import Held
from chute.worker.lane import Lane


def held(body: bytes = b"{}", queue: str = "jobs", tag: int = 7, lease: int = 1001) -> Held:
    """A job in hand."""
    lane = Lane(Queue(queue, url="redis://127.0.0.1:1"), 1, cast(Any, None), lambda: None, lambda *_: 0, Rest())
    return Held(lane, Holdings(queue, "w"), lease, tag, body, 0.0)
