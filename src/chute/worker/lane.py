"""One queue at one worker: its identity there, whether the server knows it, and what is known of the queue. Sends only what concerns that.

An id is registered once and never again. Whoever is FENCED (closed by others, who saw no progress) boots a new id; what still runs is
finished under the old one.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from chute.holdings import NOTED_AT, Holdings, note, place_of
from chute.line import Line
from chute.lines import Lines
from chute.queue import Queue
from chute.worker import clock
from chute.worker.meter import Meter
from chute.worker.route import Route
from chute.worker.trouble import Trouble

log = logging.getLogger("chute.worker")
REFUSAL_PAUSE = 1.0
"""Seconds until what the server refused is asked again."""
DEAF_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Turn:
    """When a list is claimed from while others hold more too: those of a lower `rank` first, those of one rank by their `share`."""

    rank: int = 0
    share: float = 1.0


class Lane:
    """A list that is worked: a queue, or one partition of it."""

    def __init__(
        self,
        queue: Queue,
        name: str,
        turn: Turn,
        route: Route,
        changed: Callable[[], None],
        introduce: Callable[[str, str], int],
    ) -> None:
        self.queue = queue
        self.route = route
        self.turn = turn
        self.served = 0.0
        """Jobs that it was given, over its share."""
        self.rested = True
        """It held no more: what it is given is counted anew from where the others are."""
        self.name = name
        """The name of its list: the queue's, or that of one of its partitions."""
        self.meter = Meter()
        self.counted: Counter[str] = Counter()
        """What of it the server's counters have."""
        self._changed, self._introduce = changed, introduce
        self.line = Line(queue.endpoint.at(place_of(self.name)), self._line_changed, rest=route.line.rest)
        """The wait's own connection."""
        self.client: int | None = None
        self.trouble = Trouble(f"queue {self.name}: the server hands out jobs again")
        self.why_deaf: Any = None
        """What the server said instead of that connection's id."""
        self.waiting = False
        self.former: list[Holdings] = []
        """Identities that others closed: what they still hold is looked after when the worker leaves."""
        self.unserved_since: float | None = None
        """When a claim or a wait was sent first since one was answered as it should be; None: the last one was."""
        self.refused = False
        """Its outcomes are refused: nothing more is claimed until they are taken, or what is done and not stored would grow without end."""
        self.pause_until = 0.0
        """Until then nothing is asked for: the server refused."""
        self._deaf_since: float | None = None
        self._deafness = Trouble(f"queue {self.name}: there is a connection to wait on again")
        self.boot()

    def boot(self) -> None:
        """A new identity, not yet registered."""
        self.holdings = Holdings(self.name, secrets.token_hex(16))
        self.live = self.noted = False
        self.registering = self._refused = False
        self.proof = 0.0
        """When the last claim or beat was sent that the server answered with "you live"."""
        self.more = False
        """The queue is known to hold more."""
        self.owed = False
        """A wait or claim ended without its answer: a job may stand in front of the queue that nobody was woken for."""
        self.drained = False
        """The last claim found nothing, and no job has ended since."""
        self.claiming = 0
        self.uncertain: dict[int, Uncertain] = {}

    def may_be_asked(self, now: float) -> bool:
        """Whether jobs may be asked for."""
        return self.live and not self.refused and now >= self.pause_until

    def register(self) -> None:
        """Makes this identity known to the server."""
        if self.registering or self.live:
            return
        if not self._refused:  # a refused call has done nothing, so its id is as good as new
            self.boot()
            self.holdings.number = self._introduce(self.name, self.holdings.worker)
        self.registering = True
        holdings, sent = self.holdings, clock.now()

        def answered(replies: list[Any] | None) -> None:
            if self.holdings is not holdings:
                return
            self.registering = False
            self._refused = replies is not None and isinstance(replies[0], Exception)
            if replies and replies[0] == 1:
                self.live, self.owed, self.proof = True, True, sent
            elif replies and isinstance(replies[0], redis.exceptions.NoScriptError):
                self.route.load()
            elif replies:
                self.pause_until = clock.now() + REFUSAL_PAUSE
                self.trouble.says(f"queue {self.name}: the server refuses to register this worker ({replies[0]}); trying again")
            self._changed()

        self.route.line.send([holdings.register], answered)

    def note(self, lines: Lines) -> None:
        """Writes its name down once for each identity, so also when the server has lost its data: then it is known where nobody names it."""
        if not lines.up(NOTED_AT):
            return
        self.noted = True

        def answered(replies: list[Any] | None) -> None:
            self.noted = replies is not None and isinstance(replies[0], int)

        lines.send(NOTED_AT, [note(self.name)], answered)

    def deaf(self, now: float) -> bool:
        """Without a connection to wait on, a claim is owed once a second; whether one has just become owed."""
        if self._deaf_since is None:
            self._deaf_since = now
        if now - self._deaf_since < DEAF_AGAIN:
            return False
        self._deaf_since, self.owed = now, True
        self.line.send([self.holdings.who], self._named)
        self._deafness.says(f"queue {self.name}: no connection to wait on ({self.why_deaf or self.line.error}); looking once a second")
        return True

    def alive_at(self, sent: float) -> None:
        """The server answered what was sent then as one answers the living."""
        self.proof = max(self.proof, sent)

    def fenced(self) -> None:
        """Others closed this identity."""
        why = "others saw no progress of it, or the server lost its data"
        log.warning("queue %s: this worker is not known there any more (%s); it goes on under a new id", self.name, why)
        self.live = False
        self.former.append(self.holdings)

    def doubt(self, call: int, void: float) -> None:
        """The claim of that number was not answered: until `void` it may still take jobs, and what it took must be looked for."""
        self.uncertain[call] = Uncertain(void)

    def _line_changed(self, line: Line) -> None:
        self.client = None
        if line.connected:
            line.send([self.holdings.who], self._named)

    def _named(self, replies: list[Any] | None) -> None:
        if replies and isinstance(replies[0], int):
            self.client, self.why_deaf, self._deaf_since = replies[0], None, None
            self._deafness.ends()
            self._changed()
        elif replies:
            self.why_deaf = replies[0]


class Uncertain:
    """A claim without an answer: from when on it can take nothing more, and the leases of it that were taken up (each once)."""

    __slots__ = ("adopted", "void")

    def __init__(self, void: float) -> None:
        self.void = void
        self.adopted: set[int] = set()
