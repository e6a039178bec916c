"""How a caller wakes when a result appears: by a push from the server (client-side caching's invalidation), not by asking again and again.

Reading a result hash that is missing, on a connection that tracks, subscribes to its appearance. Blocking code uses a connection of its own
while it waits; in asyncio code one connection per event loop serves every waiting call. A slow re-read is the safety net.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import redis

from chute import connection, store
from chute.connection import Endpoint
from chute.endpoint import Server, exchange, forget_closed
from chute.errors import ChuteError, Rejected, ServerUnavailable
from chute.line import Line
from chute.lines import Lines
from chute.nodes import Nodes
from chute.operation import LOST, Operation

Hash = dict[bytes, bytes]
REREAD = 5.0
"""Seconds after which a result is read again although nobody announced it."""
IDLE = 10.0
"""Seconds after which the connection that waits for nothing is closed."""
_OPEN = (None, b"running")


def finished(fields: Hash) -> bool:
    """Whether the hash tells the end of its job."""
    return fields.get(b"status") not in _OPEN


def wait(endpoint: Endpoint, job_id: str, deadline: float | None) -> Hash:
    """Blocks until the result is there; what is there at `deadline` (of the monotonic clock; None: never) otherwise."""
    fields = endpoint.run(store.read_result(job_id))
    while not finished(fields) and _left(deadline) > 0:
        fields = _watch(endpoint, job_id, deadline)
    return fields


def _watch(endpoint: Endpoint, job_id: str, deadline: float | None) -> Hash:
    held = endpoint.at(store.key_of_result(job_id)).dial()
    try:
        fields = _read(held, store.watch_result(job_id))
        while not finished(fields) and (left := _left(deadline)) > 0:
            with suppress(redis.TimeoutError):
                held.read_response(push_request=True, timeout=min(left, REREAD), disconnect_on_error=False)
            fields = _read(held, store.read_result(job_id))
        return fields
    except (*LOST, Rejected):  # it may be elsewhere now
        return endpoint.run(store.read_result(job_id))
    finally:
        held.disconnect()


def _read(held: Any, operation: Operation[Hash]) -> Hash:
    return operation.read(exchange(held, operation.commands))


def _left(deadline: float | None) -> float:
    return REREAD if deadline is None else deadline - time.monotonic()


class Watch:
    """Everything that one event loop waits for under one address."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._lines = Lines(endpoint, self._changed, self._pushed)
        self._reached = False
        self._waiting: dict[str, set[asyncio.Future[Hash]]] = {}
        self._timer: asyncio.Task[None] | None = None

    async def wait(self, job_id: str, deadline: float | None) -> Hash:
        """As the blocking `wait`."""
        if _left(deadline) <= 0:
            return await self._endpoint.arun(store.read_result(job_id))
        future: asyncio.Future[Hash] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(job_id, set())
        waiting.add(future)
        if isinstance(self._endpoint, Nodes) and not self._reached:
            await self._endpoint.arun(store.read_result(job_id))  # raises where nobody is; from then on it is known who has what
        self._timer = self._timer or asyncio.create_task(self._tick(), name="chute watch")
        self._read((job_id,))
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                return await future
        except TimeoutError:
            return {}
        finally:
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(job_id, None)

    async def close(self) -> None:
        """Closes the connections. Who still waits is served by the next ones."""
        timer, self._timer = self._timer, None
        if timer:
            timer.cancel()
        await self._lines.close()

    def _changed(self, line: Line) -> None:
        if line.connected:
            self._reached = True
            line.send([store.TRACKING_ON], lambda _: None)
            self._read(list(self._waiting))
        elif not self._reached and isinstance(self._endpoint, Server):  # later on it waits for the server to come back
            for future in [future for waiting in self._waiting.values() for future in waiting if not future.done()]:
                future.set_exception(self._endpoint.unreachable(line.error))

    def _pushed(self, message: Any) -> None:
        names = message[1]
        known = list(self._waiting)
        self._read(known if names is None else [job_id for job_id in map(store.job_of, names) if job_id in self._waiting])

    def _read(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            self._lines.send(store.key_of_result(job_id), [store.fetch_result(job_id)], partial(self._answered, job_id))

    def _answered(self, job_id: str, replies: list[Any] | None) -> None:
        fields: Any = replies and replies[0]
        if isinstance(fields, dict) and finished(fields):
            for future in self._waiting.get(job_id, ()):
                if not future.done():
                    future.set_result(fields)

    async def _give_up(self, unheard: list[str]) -> None:
        """Tells those who wait for these when nobody is there who could answer. A server that comes back before is not missed."""
        if not unheard:
            return
        try:
            await self._endpoint.arun(store.read_result(unheard[0]))
        except ServerUnavailable as error:
            for future in [future for job_id in unheard for future in self._waiting.get(job_id, ()) if not future.done()]:
                future.set_exception(error)
        except (ChuteError, *LOST):
            pass  # somebody is there

    async def _tick(self) -> None:
        """Overdue answers, the safety net, and the end of idle connections."""
        idle_since = time.monotonic()
        while True:
            await asyncio.sleep(REREAD)
            self._lines.check()
            self._read(list(self._waiting))
            await self._give_up([job_id for job_id in self._waiting if not self._lines.up(store.key_of_result(job_id))])
            if self._waiting:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since >= IDLE:
                self._timer = None
                await self._lines.close()
                return


_watches: dict[asyncio.AbstractEventLoop, dict[Endpoint, Watch]] = {}


def watch(endpoint: Endpoint) -> Watch:
    """What the running event loop waits for on that server."""
    loop = asyncio.get_running_loop()
    if loop not in _watches:
        forget_closed(_watches)
    of_loop = _watches.setdefault(loop, {})
    if endpoint not in of_loop:
        of_loop[endpoint] = Watch(endpoint)
    return of_loop[endpoint]


async def aclose() -> None:
    """Closes every connection that Chute holds open in the running event loop. What is used again is opened again."""
    for each in _watches.pop(asyncio.get_running_loop(), {}).values():
        await each.close()
    await connection.aclose()
