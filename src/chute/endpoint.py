"""One server: runs operations there, in blocking and in asyncio code alike, and says plainly what became of them.

Every connection is redis-py's own, taken out of one of its pools: login, TLS and the protocol stay its business. Its retries are off, since
a repeated LPUSH whose reply was lost enqueues twice; every wait has an end.
"""

import asyncio
import logging
import os
import re
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from chute import address, server, tls
from chute.address import Address
from chute.errors import ServerUnavailable
from chute.operation import LOST, Operation, causes, discreet, merge
from chute.pool import SIZE, Pool
from chute.release import VERSION
from chute.script import Command, packed

T = TypeVar("T")
log = logging.getLogger("chute.server")
TIMEOUT = 5.0
"""Seconds that a connection attempt or an answer may take."""
_DRIVER = DriverInfo(lib_version=redis.__version__).add_upstream_driver("chute", VERSION)
"""What CLIENT LIST shows. Made once: redis-py would look its own version up for each connection, with imports in it, and a thread that is
there during a fork leaves the lock of an import locked in the child for ever."""
_TLS = ("rediss", "valkeys")
_STRANGE = (AttributeError, LookupError, TypeError, ValueError)
"""What redis-py raises where an answer is not what it should be."""
_UNREACHED = (redis.RedisError, OSError, *_STRANGE)
"""What a dial may end with: also a server that refuses it, or something that is none."""


def _reason(error: BaseException | None) -> str:
    """Why a dial failed: the system's own words, where it has any."""
    for each in causes(error):
        if isinstance(each, ssl.SSLError):
            return tls.reason(each)
        if isinstance(each, UnicodeError):
            return "no host can have that name"
        if isinstance(each, (redis.InvalidResponse, *_STRANGE)) and not isinstance(each, OSError):  # a wrong certificate is both
            return "what answers there is no Redis and no Valkey"
        if isinstance(each, OSError) and (number := re.match(r"(?:Multiple exceptions: )?\[Errno (\d+)\]", str(each))):
            return os.strerror(int(number[1]))
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
    return str(error).rstrip(".") or type(error).__name__


def _pool_options(url: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "max_connections": SIZE}
    fixed = {
        "timeout": 60.0,  # for a free connection of the pool
        "protocol": 3,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": _DRIVER,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    options = parse(address.client_url(url))
    if url.startswith(_TLS) and (unchecked := tls.unsafe(options)):
        _warn(f"{address.redact(url)}: {unchecked}: {tls.UNSURE}. Instead, {tls.INSTEAD}")
    return {**defaults, **options, **fixed}


@lru_cache(maxsize=64)
def _warn(text: str) -> None:
    """Once for each process, also in a program that has set up no logging."""
    log.warning("%s", text)


def forget_closed(kept: dict[asyncio.AbstractEventLoop, Any]) -> None:
    """Drops what is kept for event loops that have ended. Whoever did not call `aclose` there loses the sockets now, not at the end of the
    process; a weak dictionary would keep them, since a connection holds its loop."""
    for loop in list(kept):
        if loop.is_closed():
            kept.pop(loop, None)


class Server:
    """One server, with its clients for blocking code (made anew after a fork) and for each event loop."""

    spread = False
    emptied: tuple[()] = ()
    """As that of `Nodes`."""
    longest_pause = 2.0
    """Seconds between two dials of who keeps dialling, at the most."""

    def __init__(self, where: Address) -> None:
        self.address = where
        self._pools: dict[int, Pool] = {}
        self._loops: dict[asyncio.AbstractEventLoop, redis.asyncio.BlockingConnectionPool] = {}

    def url(self) -> str:
        """The URL to dial; starts the embedded server where that is the address. May block."""
        return server.ensure() if self.address.embedded else self.address.url

    def pool(self) -> Pool:
        """The pool of this process. Without a lock: one that another thread holds during a fork stays locked in the child for ever."""
        if (pool := self._pools.get(os.getpid())) is None:
            pool = Pool(_pool_options(self.url(), redis.connection.parse_url))
            pool = self._pools.setdefault(os.getpid(), pool)
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
            return self.pool().take()
        except _UNREACHED as error:
            if not self.address.embedded:
                raise self.unreachable(discreet(error), unsent) from error
        try:
            server.ensure()  # it ends when nobody uses it; it is made anew for who comes back
            return self.pool().take()
        except _UNREACHED as error:
            raise self.unreachable(discreet(error), unsent) from error

    def dial(self) -> Any:
        """A connection beside the pool, for who holds it long: 64 who wait must not keep everybody else from the server. Disconnect it."""
        connection: Any = self.pool().beside()
        try:
            connection.connect()
        except _UNREACHED as error:
            raise self.unreachable(discreet(error)) from error
        return connection

    async def atake(self, unsent: str = "") -> Any:
        """As `take`, for asyncio code; give it back to the `loop_pool`."""
        pool = await self.loop_pool()
        try:
            return await pool.get_connection()
        except _UNREACHED as error:
            if not self.address.embedded:
                raise self.unreachable(discreet(error), unsent) from error
        try:
            await asyncio.to_thread(server.ensure)
            return await pool.get_connection()
        except _UNREACHED as error:
            raise self.unreachable(discreet(error), unsent) from error

    async def adial(self) -> Any:
        """As `dial`, for asyncio code, with redis-py's own errors: a line keeps dialling."""
        if self.address.embedded:
            await asyncio.to_thread(self.url)
        connection: Any = (await self.loop_pool()).make_connection()
        try:
            async with asyncio.timeout(TIMEOUT):
                await connection.connect()
        except BaseException as error:
            await connection.disconnect(nowait=True)  # redis-py leaves one open that was cut in the middle of the login
            discreet(error)
            if isinstance(error, _STRANGE) and not isinstance(error, (redis.RedisError, OSError)):
                raise redis.InvalidResponse(_reason(error)) from error
            raise
        return connection

    def at(self, key: str) -> "Server":
        """Who has that key."""
        return self

    def node_of(self, key: str) -> "Server":
        """Who has that key, for who sends commands about many."""
        return self

    @property
    def parts(self) -> list["Server"]:
        """Everybody who has keys."""
        return [self]

    def elsewhere(self, reply: object) -> bool:
        """Whether a reply says that another server has what is asked for here."""
        return False

    def left(self) -> bool:
        """Whether another server has what is asked for here."""
        return False

    def run(self, operation: Operation[T]) -> T:
        """Runs the operation. Raises ServerUnavailable, Rejected, or what the operation says of a lost reply."""
        return operation.read(self.replies(operation))

    async def arun(self, operation: Operation[T]) -> T:
        """As `run`, for asyncio code."""
        return operation.read(await self.areplies(operation))

    def replies(self, operation: Operation[Any]) -> list[Any]:
        """What the server answers to an operation, unread. Raises as `run`."""
        connection, pool = self.take(operation.unsent), self.pool()
        try:
            replies = exchange(connection, operation.commands)
            if unknown := operation.unscripted(replies):
                merge(replies, unknown, exchange(connection, operation.with_scripts(unknown)))
        except BaseException as error:
            pool.drop(connection)
            if not isinstance(error, LOST):
                raise
            if operation.lost:
                raise operation.lost(str(discreet(error))) from error
            return self.replies(operation.once_more)
        pool.give(connection)
        return replies

    async def areplies(self, operation: Operation[Any]) -> list[Any]:
        """As `replies`, for asyncio code."""
        pool, connection = await self.loop_pool(), await self.atake(operation.unsent)
        try:
            replies = await aexchange(connection, operation.commands)
            if unknown := operation.unscripted(replies):
                merge(replies, unknown, await aexchange(connection, operation.with_scripts(unknown)))
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if not isinstance(error, LOST):
                raise
            if operation.lost:
                raise operation.lost(str(discreet(error))) from error
            return await self.areplies(operation.once_more)
        finally:
            await pool.release(connection)
        return replies

    def close(self) -> None:
        """Closes the connections of blocking code in this process. Who holds a job of this server opens new ones."""
        if pool := self._pools.pop(os.getpid(), None):
            pool.close()

    async def aclose(self) -> None:
        """Closes the connections of the running event loop."""
        if pool := self._loops.pop(asyncio.get_running_loop(), None):
            await pool.disconnect()

    def unreachable(self, error: BaseException | None, unsent: str = "") -> ServerUnavailable:
        """The error that says so, for people."""
        return unreachable(self.address, "the server", error, unsent)


def unreachable(where: Address, what: str, error: BaseException | None, unsent: str = "") -> ServerUnavailable:
    """The error that says that nobody can be reached there, for people; `what` should be there."""
    if isinstance(error, ServerUnavailable):
        return error
    named = "the embedded server" if where.embedded else f"{what} at {address.redact(where.url)}"
    if any(isinstance(each, redis.AuthenticationError) for each in causes(error)):
        return ServerUnavailable(f"{named} ({where.how}) {address.login_advice(where.url)}{unsent}")
    why = _reason(error) if error else "nobody there has the keys of this queue"
    if where.url.startswith(_TLS) and any(isinstance(each, redis.TimeoutError) for each in causes(error)):
        why += " (is TLS spoken there? Without it, it is redis://)"  # who does not, waits for the rest of what it takes for a command
    elif where.url.startswith(_TLS) and any(isinstance(each, FileNotFoundError) for each in causes(error)):
        why += " (a file that the URL names: ssl_ca_certs=, ssl_certfile= or ssl_keyfile=)"
    elif not where.url.startswith((*_TLS, "unix")) and any(isinstance(each, ConnectionResetError) for each in causes(error)):
        why += " (is TLS wanted there? With it, it is rediss://)"
    return ServerUnavailable(f"cannot reach {named} ({where.how}): {why}{unsent}")


def exchange(connection: Any, commands: tuple[Command, ...]) -> list[Any]:
    """Sends the commands in one write and reads a reply for each. A broken exchange leaves no connection behind that could be misread."""
    connection.send_packed_command(packed(commands), check_health=False)
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(connection.read_response(disconnect_on_error=False))
        except (redis.ResponseError, redis.BusyLoadingError) as error:
            replies.append(error)
    return replies


async def aexchange(connection: Any, commands: tuple[Command, ...]) -> list[Any]:
    """As `exchange`, for asyncio code."""
    await connection.send_packed_command(packed(commands), check_health=False)
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(await connection.read_response(disconnect_on_error=False))
        except (redis.ResponseError, redis.BusyLoadingError) as error:
            replies.append(error)
    return replies
