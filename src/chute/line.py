"""One raw connection of an event loop that keeps itself up: commands out in one write, replies back in order, errors as values.

The worker's claims, waits and finishes and the waiting callers use it: they need several exchanges in flight, no exceptions between two replies,
and to know at once when the server is gone. The connection underneath is redis-py's, so login, TLS and the protocol stay its business; there
is no protocol code here.
"""

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import redis

from chute.endpoint import TIMEOUT, Server
from chute.errors import ServerUnavailable
from chute.operation import refused
from chute.rest import Rest
from chute.script import Command, packed
from chute.target import Node, Place

log = logging.getLogger("chute.line")
Where: TypeAlias = Server | Place | Node
"""Whom a line is to."""
Done = Callable[[list[Any] | None], Any]
"""Gets the replies of one exchange, errors as values; None when they were lost."""
FIRST_PAUSE = 0.02


class _Exchange:
    __slots__ = ("count", "done", "due", "replies")

    def __init__(self, count: int, done: Done, due: float) -> None:
        self.count, self.done, self.due = count, done, due
        self.replies: list[Any] = []


class Line:
    """A connection that is dialled until it is closed. `changed(line)` is called when it goes up or down and when a dial fails. `rest`: spares
    a server that refuses everything, together with the other lines that have it."""

    def __init__(
        self,
        where: Where,
        changed: Callable[["Line"], None],
        pushed: Callable[[Any], None] | None = None,
        rest: Rest | None = None,
    ) -> None:
        self.connected = False
        self.error: Exception | None = None
        self.rest = rest
        self._where, self._changed, self._pushed = where, changed, pushed
        self._pending: deque[_Exchange] = deque()
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._life: asyncio.Task[None] | None = None
        self._traffic: tuple[asyncio.Task[None], ...] = ()

    def open(self) -> None:
        """Begins to dial; a second call changes nothing."""
        if self._life is None:
            self._life = asyncio.get_running_loop().create_task(self._live(), name="chute line")

    @property
    def up(self) -> bool:
        """Whether something may be sent: the server is there, and it does not refuse everything."""
        return self.connected and (self.rest is None or self.rest.over)

    def send(self, commands: Iterable[Command], done: Done, timeout: float = TIMEOUT) -> None:
        """Sends the commands in one write; `done` gets their replies. Where the line is not up it gets None at once: nothing was sent."""
        if not self.up:
            done(None)
            return
        if self.rest:
            self.rest.sends()
        parts = packed(commands)
        self._pending.append(_Exchange(len(parts), done, time.monotonic() + timeout))
        self._outbox.put_nowait(b"".join(parts))

    async def ask(self, commands: Iterable[Command], timeout: float = TIMEOUT) -> list[Any] | None:
        """As `send`, for who waits for the replies."""
        answer: asyncio.Future[list[Any] | None] = asyncio.get_running_loop().create_future()

        def done(replies: list[Any] | None) -> None:
            if not answer.done():
                answer.set_result(replies)

        self.send(commands, done, timeout)
        return await answer

    def check(self) -> None:
        """Gives up the connection when an answer is overdue, or another server has taken over. Called by whoever owns a timer."""
        if self._pending and self._pending[0].due < time.monotonic():
            self.error = redis.TimeoutError("no answer in time")
            self._hang_up()
        elif self.connected and self._where.left():
            self.error = redis.ConnectionError("another server has taken over")
            self._hang_up()

    async def close(self) -> None:
        """Ends the line; what is unanswered counts as lost."""
        life, self._life = self._life, None
        if life:
            life.cancel()
            await asyncio.wait([life])

    async def _live(self) -> None:
        pause, task = FIRST_PAUSE, asyncio.current_task()
        while task and not task.cancelling():  # before Python 3.12 asyncio.wait_for, in the dial, may swallow a cancel
            connection = None
            try:
                connection = await self._dial()
                if self._life is not task or task.cancelling():
                    return  # closed meanwhile
                pause = FIRST_PAUSE
                await self._talk(connection)
            except (redis.RedisError, OSError, TimeoutError, ServerUnavailable) as error:
                self.error = error
                if connection is None:
                    pause = self._where.longest_pause if refused(error) else pause
                    self._changed(self)
            finally:
                self._down()
                if connection is not None:
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - so that many workers do not return at once
            pause = min(self._where.longest_pause, pause * 2)

    async def _dial(self) -> Any:
        connection = await self._where.adial()
        connection.socket_timeout = None  # an answer's deadline is ours: one check for all of them
        if self._pushed:
            connection._parser.set_invalidation_push_handler(self._push)
        return connection

    async def _push(self, message: Any) -> None:
        if self._pushed:
            self._pushed(message)

    async def _talk(self, connection: Any) -> None:
        """Writes and reads until one of them ends."""
        loop = asyncio.get_running_loop()
        self._outbox = asyncio.Queue()
        self._traffic = (loop.create_task(self._read(connection)), loop.create_task(self._write(connection)))
        self.connected, self.error = True, None
        self._changed(self)
        try:
            await asyncio.wait(self._traffic, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hang_up()
            outcomes = await asyncio.gather(*self._traffic, return_exceptions=True)
            self.error = self.error or next((e for e in outcomes if isinstance(e, Exception)), None)

    async def _write(self, connection: Any) -> None:
        while True:
            await connection.send_packed_command(await self._outbox.get(), check_health=False)

    async def _read(self, connection: Any) -> None:
        while True:
            try:
                reply = await connection.read_response(timeout=math.inf)
            except (redis.ResponseError, redis.BusyLoadingError) as error:
                reply = error
                if self._where.elsewhere(reply):
                    self.error = redis.ConnectionError("another server has what was asked for")
                    return  # it has done nothing, nor has what follows it: as if it had not been sent
            if self.rest:
                self.rest.answered(reply)
            exchange = self._pending[0]
            exchange.replies.append(reply)
            if len(exchange.replies) == exchange.count:
                self._pending.popleft()
                exchange.done(exchange.replies)

    def _hang_up(self) -> None:
        for task in self._traffic:
            task.cancel()

    def _down(self) -> None:
        was_connected, self.connected = self.connected, False
        lost, self._pending = self._pending, deque()
        for exchange in lost:
            exchange.done(None)
        if was_connected:
            log.debug("connection lost: %s", self.error)
            self._changed(self)
