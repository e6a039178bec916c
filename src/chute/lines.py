"""The lines of one event loop to whoever answers under an address: one for all keys, or one to each node where keys are spread.

For who sends about many keys: a worker's beats, the care for queues, the results that are waited for.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from chute.connection import Endpoint
from chute.endpoint import TIMEOUT
from chute.line import Done, Line, Where
from chute.nodes import Nodes
from chute.rest import Rest
from chute.script import Command
from chute.target import LONGEST_PAUSE


class Asked(Protocol):
    """Who carries commands about a key and brings the answers: the lines of a process, or the one line of a worker's route."""

    async def ask(self, key: str, commands: Iterable[Command]) -> list[Any] | None:
        """The replies; None when they were lost, or nothing could be sent."""

    def up(self, key: str) -> bool:
        """Whether something may be sent."""


class Lines:
    """Each line is opened when it is first needed. `changed` and `pushed` as of a Line; with `resting`, a server that refuses all is spared."""

    def __init__(
        self,
        endpoint: Endpoint,
        changed: Callable[[Line], None],
        pushed: Callable[[Any], None] | None = None,
        *,
        resting: bool = False,
    ) -> None:
        self._endpoint, self._changed, self._pushed, self._resting = endpoint, changed, pushed, resting
        self._lines: dict[Where, Line] = {}
        self._rests: dict[Where, Rest] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def errors(self) -> Counter[str]:
        """What the servers refused so far, by the word that their refusals begin with."""
        return sum((rest.errors for rest in self.rests), Counter())

    @property
    def rests(self) -> list[Rest]:
        """Those of the servers that there were lines to."""
        return list(self._rests.values())

    def to(self, key: str) -> Line | None:
        """The line to who has that key now; None where nobody is known to, which is then asked for."""
        if (node := self._endpoint.node_of(key)) is None:
            self._look()
            return None
        if (line := self._lines.get(node)) is None:
            rest = self._rests.setdefault(node, Rest()) if self._resting else None
            line = self._lines[node] = Line(node, self._changed, self._pushed, rest)
            line.open()
        return line

    def up(self, key: str) -> bool:
        """Whether something about that key may be sent."""
        line = self.to(key)
        return line is not None and line.up

    def send(self, key: str, commands: Iterable[Command], done: Done, timeout: float = TIMEOUT) -> None:
        """As `Line.send`, to who has that key."""
        if line := self.to(key):
            line.send(commands, done, timeout)
        else:
            done(None)

    async def ask(self, key: str, commands: Iterable[Command]) -> list[Any] | None:
        """As `send`, for who waits for the replies."""
        line = self.to(key)
        return await line.ask(commands) if line else None

    def check(self) -> None:
        """Gives up connections where an answer is overdue, and those to nodes that have no keys any more. Called by whoever owns a timer."""
        for node in self._endpoint.emptied:
            if line := self._lines.pop(node, None):
                self._end(line)
                self._look()  # what is known may be of one slot alone
        for line in self._lines.values():
            line.check()

    async def close(self) -> None:
        """Ends every line; what is unanswered counts as lost."""
        if self._looking:
            self._looking.cancel()
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.close()
        if self._ending:
            await asyncio.wait(self._ending)

    def _end(self, line: Line) -> None:
        task = asyncio.get_running_loop().create_task(line.close(), name="chute line ends")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _look(self) -> None:
        """Asks who has what, beside what goes on, at most twice a second."""
        if isinstance(self._endpoint, Nodes) and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._looked(self._endpoint), name="chute look")

    @staticmethod
    async def _looked(nodes: Nodes) -> None:
        await nodes.atlas.alook()
        await asyncio.sleep(LONGEST_PAUSE)
