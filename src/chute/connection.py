"""URL -> clients: runs the operations that the store builds, in blocking and in asyncio code alike, and says plainly what became of them.

Every connection is redis-py's own, taken out of one of its pools: login, TLS and the protocol stay its business. Its retries are off, since
a repeated LPUSH whose reply was lost enqueues twice; every wait has an end.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from chute import address, server
from chute.address import Address
from chute.errors import ChuteError, Rejected, ServerUnavailable
from chute.release import VERSION
from chute.script import LOAD, Command

T = TypeVar("T")
TIMEOUT = 5.0
"""Seconds that a connection attempt or an answer may take."""
_DRIVER = DriverInfo(lib_version=redis.__version__).add_upstream_driver("chute", VERSION)
"""What CLIENT LIST shows. Made once: redis-py would look its own version up for each connection, with imports in it, and a thread that is
there during a fork leaves the lock of an import locked in the child for ever."""
LOST = (redis.ConnectionError, redis.TimeoutError, redis.InvalidResponse, OSError)
"""What an exchange may end with: also a reply that cannot be read, since what it was is unknown."""
_UNREACHED = (redis.RedisError, OSError)
"""What a dial may end with: also a server that refuses it, or something that is none."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One exchange with the server as a value: the commands, sent in one write, and how their replies are read.

    `read` gets one reply for each command, an error as a value. `lost` makes the error to raise when the replies were lost; None says that
    the operation only reads and is sent once more.
    """

    commands: tuple[Command, ...]
    read: Callable[[list[Any]], T]
    lost: Callable[[str], ChuteError] | None = None
    confirming: int = 0
    """So many commands at the end answer for those before them: sent again with any of those."""

    @property
    def unsent(self) -> str:
        """What to add where there is no server: an operation that only reads has nothing to send."""
        return "" if self.lost in (None, _gone) else ". Nothing was sent"


def accepted(reply: Any) -> Any:
    """The reply, or `Rejected` when it is the server's refusal."""
    if isinstance(reply, Exception):
        raise Rejected(f"the server refused: {reply}. Nothing was kept there")
    return reply


def refused(error: BaseException | None) -> bool:
    """Whether somebody was there and did not let us in: to try again is in vain."""
    wrong = (redis.AuthenticationError, redis.ResponseError, redis.InvalidResponse)
    return any(isinstance(each, wrong) for each in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those behind it: redis-py wraps its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException | None) -> str:
    """Why a dial failed: the system's own words, where it has any."""
    for each in _causes(error):
        if isinstance(each, redis.InvalidResponse):
            return "what answers there is no Redis and no Valkey"
        if isinstance(each, OSError) and (number := re.match(r"(?:Multiple exceptions: )?\[Errno (\d+)\]", str(each))):
            return os.strerror(int(number[1]))
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
    return str(error).rstrip(".") or type(error).__name__


def _pool_options(url: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "max_connections": 64}
    fixed = {
        "timeout": 60.0,  # for a free connection of the pool
        "protocol": 3,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": _DRIVER,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    return {**defaults, **parse(address.client_url(url)), **fixed}


def forget_closed(kept: dict[asyncio.AbstractEventLoop, Any]) -> None:
    """Drops what is kept for event loops that have ended. Whoever did not call `aclose` there loses the sockets now, not at the end of the
    process; a weak dictionary would keep them, since a connection holds its loop."""
    for loop in list(kept):
        if loop.is_closed():
            kept.pop(loop, None)


def _gone(why: str) -> ServerUnavailable:
    return ServerUnavailable(f"the server did not answer: {why.rstrip('.')}. Nothing was changed")


def _unscripted(replies: list[Any], operation: "Operation[Any]") -> list[int]:
    """The commands whose script the server does not know: they have done nothing, so these alone are sent again behind the scripts, and what
    confirms them after them."""
    unknown = [i for i, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]
    return unknown + list(range(len(replies) - operation.confirming, len(replies))) if unknown else []


def _merge(replies: list[Any], places: list[int], again: list[Any]) -> None:
    for place, reply in zip(places, again[len(LOAD) :], strict=True):
        replies[place] = reply


class Endpoint:
    """One server: its clients for blocking code (made anew after a fork) and for each event loop."""

    def __init__(self, where: Address) -> None:
        self.address = where
        self._pools: dict[int, redis.BlockingConnectionPool] = {}
        self._loops: dict[asyncio.AbstractEventLoop, redis.asyncio.BlockingConnectionPool] = {}

    def url(self) -> str:
        """The URL to dial; starts the embedded server where that is the address. May block."""
        return server.ensure() if self.address.embedded else self.address.url

    def pool(self) -> redis.BlockingConnectionPool:
        """The pool of this process. Without a lock: one that another thread holds during a fork stays locked in the child for ever."""
        if (pool := self._pools.get(os.getpid())) is None:
            options = _pool_options(self.url(), redis.connection.parse_url)
            pool = self._pools.setdefault(os.getpid(), redis.BlockingConnectionPool(**options))
        return pool

    async def loop_pool(self) -> redis.asyncio.BlockingConnectionPool:
        """The pool of the running event loop."""
        loop = asyncio.get_running_loop()
        if (pool := self._loops.get(loop)) is None:
            url = await asyncio.to_thread(self.url) if self.address.embedded else self.address.url
            options = _pool_options(url, redis.asyncio.connection.parse_url)
            forget_closed(self._loops)
            pool = self._loops.setdefault(loop, redis.asyncio.BlockingConnectionPool(**options))
        return pool

    def take(self, unsent: str = "") -> Any:
        """A connected connection out of the pool; give it back to the `pool`. Raises ServerUnavailable; `unsent` as of an operation."""
        try:
            return self.pool().get_connection()
        except _UNREACHED as error:
            if not self.address.embedded:
                raise self.unreachable(error, unsent) from error
        try:
            server.ensure()  # it ends when nobody uses it; it is made anew for who comes back
            return self.pool().get_connection()
        except _UNREACHED as error:
            raise self.unreachable(error, unsent) from error

    def dial(self) -> Any:
        """A connection beside the pool, for who holds it long: 64 who wait must not keep everybody else from the server. Disconnect it."""
        pool = self.pool()
        connection: Any = pool.connection_class(**pool.connection_kwargs)
        try:
            connection.connect()
        except _UNREACHED as error:
            raise self.unreachable(error) from error
        return connection

    async def atake(self, unsent: str = "") -> Any:
        """As `take`, for asyncio code; give it back to the `loop_pool`."""
        pool = await self.loop_pool()
        try:
            return await pool.get_connection()
        except _UNREACHED as error:
            if not self.address.embedded:
                raise self.unreachable(error, unsent) from error
        try:
            await asyncio.to_thread(server.ensure)
            return await pool.get_connection()
        except _UNREACHED as error:
            raise self.unreachable(error, unsent) from error

    def exchange(self, connection: Any, operation: Operation[T]) -> T:
        """Runs an operation on a connection that the caller holds; the errors of redis-py pass through."""
        return operation.read(_exchange(connection, operation.commands))

    def run(self, operation: Operation[T]) -> T:
        """Runs the operation. Raises ServerUnavailable, Rejected, or what the operation says of a lost reply."""
        connection = self.take(operation.unsent)
        try:
            replies = _exchange(connection, operation.commands)
            if unknown := _unscripted(replies, operation):
                _merge(replies, unknown, _exchange(connection, LOAD + tuple(operation.commands[i] for i in unknown)))
        except BaseException as error:
            connection.disconnect()  # half an exchange must not be read as another's
            if not isinstance(error, LOST):
                raise
            if operation.lost:
                raise operation.lost(str(error)) from error
            return self.run(Operation(operation.commands, operation.read, _gone))
        finally:
            self.pool().release(connection)
        return operation.read(replies)

    async def arun(self, operation: Operation[T]) -> T:
        """As `run`, for asyncio code."""
        pool, connection = await self.loop_pool(), await self.atake(operation.unsent)
        try:
            replies = await _aexchange(connection, operation.commands)
            if unknown := _unscripted(replies, operation):
                _merge(replies, unknown, await _aexchange(connection, LOAD + tuple(operation.commands[i] for i in unknown)))
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if not isinstance(error, LOST):
                raise
            if operation.lost:
                raise operation.lost(str(error)) from error
            return await self.arun(Operation(operation.commands, operation.read, _gone))
        finally:
            await pool.release(connection)
        return operation.read(replies)

    def close(self) -> None:
        """Closes the connections of blocking code in this process. Who holds a job of this server opens new ones."""
        if pool := self._pools.pop(os.getpid(), None):
            pool.disconnect()

    async def aclose(self) -> None:
        """Closes the connections of the running event loop."""
        if pool := self._loops.pop(asyncio.get_running_loop(), None):
            await pool.disconnect()

    def unreachable(self, error: BaseException | None, unsent: str = "") -> ServerUnavailable:
        """The error that says so, for people."""
        if isinstance(error, ServerUnavailable):
            return error
        where = "the embedded server" if self.address.embedded else f"the server at {address.redact(self.address.url)}"
        if any(isinstance(each, redis.AuthenticationError) for each in _causes(error)):
            return ServerUnavailable(f"{where} ({self.address.how}) {address.login_advice(self.address.url)}{unsent}")
        return ServerUnavailable(f"cannot reach {where} ({self.address.how}): {_reason(error)}{unsent}")


def _exchange(connection: Any, commands: tuple[Command, ...]) -> list[Any]:
    """Sends the commands in one write and reads a reply for each. A broken exchange leaves no connection behind that could be misread."""
    connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(connection.read_response(disconnect_on_error=False))
        except (redis.ResponseError, redis.BusyLoadingError) as error:
            replies.append(error)
    return replies


async def _aexchange(connection: Any, commands: tuple[Command, ...]) -> list[Any]:
    await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(await connection.read_response(disconnect_on_error=False))
        except (redis.ResponseError, redis.BusyLoadingError) as error:
            replies.append(error)
    return replies


_endpoints: dict[Address, Endpoint] = {}


def endpoint(url: str | None = None) -> Endpoint:
    """The server to use where a queue names `url`; the same object for the same address, so that queues share connections."""
    where = address.resolve(url)
    return _endpoints.get(where) or _endpoints.setdefault(where, Endpoint(where))


def forget(where: Address) -> None:
    """Closes the connections to a server that will not come back; for `chute.testing`."""
    if (gone := _endpoints.pop(where, None)) is not None:
        gone.close()


async def aclose() -> None:
    """Closes the pools of the running event loop."""
    for each in list(_endpoints.values()):
        await each.aclose()
