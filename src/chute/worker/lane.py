"""One queue at one worker: its identity there, whether the server knows it, and what is known of the queue. Sends only what concerns that.

An id is registered once and never again. Whoever is FENCED (closed by others, who saw no progress) boots a new id; what still runs is
finished under the old one.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

from chute.line import Line
from chute.queue import Queue
from chute.store import Holdings
from chute.worker import clock

log = logging.getLogger("chute.worker")


class Lane:
    """A queue that is worked."""

    def __init__(self, queue: Queue, weight: int | None, send: Callable[..., None], changed: Callable[[], None]) -> None:
        self.queue = queue
        self.weight = weight
        """Its share of the jobs that are claimed while all queues hold more; None: before all that have one."""
        self.served = 0.0
        """Jobs that it was given, over its weight."""
        self.rested = True
        """It held no more: what it is given is counted anew from where the others are."""
        self.name = queue.name
        self.totals: Counter[str] = Counter()
        """Outcomes by kind since the start, and of these what the server's counters have."""
        self.counted: Counter[str] = Counter()
        self._send, self._changed = send, changed
        self.line = Line(queue.endpoint, self._line_changed)
        """The wait's own connection."""
        self.client: int | None = None
        self.waiting = False
        self.former: list[Holdings] = []
        """Identities that others closed: what they still hold is looked after when the worker leaves."""
        self.boot()

    def boot(self) -> None:
        """A new identity, not yet registered."""
        self.holdings = Holdings(self.name, secrets.token_hex(16))
        self.live = False
        self.registering = False
        self.proof = 0.0
        """When the last claim or beat was sent that the server answered with "you live"."""
        self.more = False
        """The queue is known to hold more."""
        self.owed = False
        """A wait or claim ended without its answer: a job may stand in front of the queue that nobody was woken for."""
        self.drained = False
        """The last claim found nothing, and no job has ended since."""
        self.claiming = 0
        self.pause_until = 0.0
        self.uncertain: dict[int, Uncertain] = {}

    def register(self) -> None:
        """Makes this identity known to the server."""
        if self.registering or self.live:
            return
        self.boot()
        self.registering = True
        holdings, sent = self.holdings, clock.now()

        def answered(replies: list[Any] | None) -> None:
            if self.holdings is not holdings:
                return
            self.registering = False
            if replies and replies[0] == 1:
                self.live, self.owed, self.proof = True, True, sent
            self._changed()

        self._send([holdings.register, holdings.note], answered)

    def alive_at(self, sent: float) -> None:
        """The server answered what was sent then as one answers the living."""
        self.proof = max(self.proof, sent)

    def fenced(self) -> None:
        """Others closed this identity."""
        log.warning("queue %s: this worker was judged dead (no progress was seen); it goes on under a new id", self.name)
        self.live = False
        self.former.append(self.holdings)

    def doubt(self, call: int, void: float) -> None:
        """The claim of that number was not answered: until `void` it may still take jobs, and what it took must be looked for."""
        self.uncertain[call] = Uncertain(void)

    def _line_changed(self, line: Line) -> None:
        self.client = None
        if line.up:
            line.send([self.holdings.who], self._named)

    def _named(self, replies: list[Any] | None) -> None:
        if replies and isinstance(replies[0], int):
            self.client = replies[0]
            self._changed()


class Uncertain:
    """A claim without an answer: from when on it can take nothing more, and the leases of it that were taken up (each once)."""

    __slots__ = ("adopted", "void")

    def __init__(self, void: float) -> None:
        self.void = void
        self.adopted: set[int] = set()
