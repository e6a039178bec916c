"""Callers of one event loop that enqueue at the same time share exchanges: what comes while one is under way goes together with the next.

So a thousand of them cost a few round trips, and a lone one waits for nobody. Each hears of its own job alone, as if it had gone by itself.
"""

import asyncio
import copy
from collections import deque
from typing import TypeAlias

from chute.connection import Endpoint
from chute.endpoint import forget_closed
from chute.errors import Unconfirmed
from chute.store import CHUNK, Store

Sendable: TypeAlias = tuple[str, bytes, str, str]
"""job id, body, due, key."""
MOST_BYTES = 1 << 20
"""Of the jobs that share an exchange: a longer write would hold up those that come behind it."""


class Convoy:
    """The exchanges of one event loop with one list. The jobs of one are in a single command, which a server takes or refuses as a whole."""

    def __init__(self, store: Store, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._store = store
        self._waiting: deque[tuple[Sendable, asyncio.Future[None]]] = deque()
        self._under_way = False
        self._driver: asyncio.Task[None] | None = None

    async def enqueue(self, job: Sendable) -> None:
        """Enqueues a job that is due now. Raises as an exchange of its own would."""
        if self._under_way:
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((job, answer))
            await answer
            return
        self._under_way = True
        try:
            await self._send([job])
        finally:
            if self._waiting:
                self._driver = asyncio.get_running_loop().create_task(self._drive(), name="chute enqueue")
            else:
                self._under_way = False

    async def _send(self, jobs: list[Sendable]) -> None:
        await self.endpoint.arun(self._store.enqueue(jobs))

    async def _drive(self) -> None:
        """Sends what waits, one exchange after the other, until nothing does."""
        try:
            while part := self._part():
                error: Exception | None = None
                try:
                    await self._send([job for job, _ in part])
                except Exception as raised:
                    error = raised
                _tell(part, error)
        finally:  # with somebody waiting only where this task was cancelled, as at the end of the loop
            self._under_way = False
            for _, answer in self._waiting:
                answer.cancel()

    def _part(self) -> list[tuple[Sendable, asyncio.Future[None]]]:
        """As much of what waits as goes in one exchange; without those whose callers have gone."""
        part, size = list[tuple[Sendable, asyncio.Future[None]]](), 0
        while self._waiting and len(part) < CHUNK and size < MOST_BYTES:
            job, answer = self._waiting.popleft()
            if not answer.done():
                part.append((job, answer))
                size += len(job[1])
        return part


def _tell(part: list[tuple[Sendable, "asyncio.Future[None]"]], error: Exception | None) -> None:
    """What became of an exchange, to each of its callers as of its own job."""
    for job, answer in part:
        if answer.done():
            continue
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(Unconfirmed(job[0], error.why) if isinstance(error, Unconfirmed) else copy.copy(error))


class Convoys:
    """Those of one list, one for each event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loops: dict[asyncio.AbstractEventLoop, Convoy] = {}

    def of(self, endpoint: Endpoint) -> Convoy:
        """That of the running event loop with this server."""
        loop = asyncio.get_running_loop()
        convoy = self._loops.get(loop)
        if convoy is None or convoy.endpoint is not endpoint:
            forget_closed(self._loops)
            convoy = self._loops[loop] = Convoy(self._store, endpoint)
        return convoy
