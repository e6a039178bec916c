"""The way between a worker and one server: the line, how many round trips are under way on it, and how far the server's clock is ahead.

Where all queues are on one server they share one route; in a Cluster each queue has its own.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from chute import store
from chute.line import Line
from chute.script import LOAD, Command
from chute.worker import clock

log = logging.getLogger("chute.worker")
FLIGHTS = 2


class Route:
    """`poke` is called when something has become known."""

    def __init__(self, line: Line, poke: Callable[[], None]) -> None:
        self.line = line
        self.flights = 0
        self.ahead = 0.0
        """The server's clock less ours, in seconds; 0 = not yet known."""
        self._poke = poke
        self._reached: bool | None = None
        """Whether the server is there; None before it ever was."""
        self._said = set[str]()
        """What was said of why it cannot be reached since it was lost: the reason for the loss may be over, and reasons may take turns."""

    @property
    def open(self) -> bool:
        """Whether one more round trip may begin."""
        return self.flights < FLIGHTS and self.line.up

    def load(self) -> None:
        """Makes the scripts known to the server."""
        self.line.send((*LOAD, store.TIME), self._told_the_time)

    def changed(self, *, stopping: bool) -> None:
        """The line went up or down."""
        if not self.line.connected and self._reached and not stopping:
            log.warning("the connection to the server is lost (%s); trying again", self.line.error)
        elif not self.line.connected and self._reached is False and not stopping and str(self.line.error) not in self._said:
            self._said.add(str(self.line.error))
            log.warning("the server cannot be reached (%s); trying again", self.line.error)
        elif self.line.connected and self._reached is False:
            log.warning("the server is back")
            self._said.clear()
        if self._reached is not None or self.line.connected:
            self._reached = self.line.connected
        if self.line.connected:
            self.load()

    async def ask(self, key: str, commands: Iterable[Command]) -> list[Any] | None:
        """The replies to commands about a key of a queue on this route; None when they were lost, or nothing could be sent."""
        return await self.line.ask(commands)

    def up(self, key: str) -> bool:
        """Whether something may be sent."""
        return self.line.up

    def _told_the_time(self, replies: list[Any] | None) -> None:
        """Before the first claim, so that this has a deadline too."""
        if replies and isinstance(replies[-1], list):
            self.ahead = store.seconds_of(replies[-1]) - clock.now()
        self._poke()
