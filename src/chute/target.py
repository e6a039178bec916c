"""Whom a line is dialled to, where there are several servers: who has one key, or one node for what it has now."""

import asyncio
from typing import Any

from chute.atlas import Atlas
from chute.endpoint import Server

LONGEST_PAUSE = 0.5
"""Seconds between two dials, at the most: another may be chosen soon."""
LOOK_AFTER = (0.1, 1.0)
"""Seconds from the word that one key is elsewhere until it is asked who has what, and from then until it is asked again: who is asked may not
have heard of it yet."""


class Node:
    """One of the servers, for who sends it what it has now. Who dials it in vain asks anew who has what."""

    longest_pause = LONGEST_PAUSE

    def __init__(self, atlas: Atlas, server: Server) -> None:
        self._atlas, self._server = atlas, server
        self._looking: asyncio.Task[None] | None = None

    async def adial(self) -> Any:
        """A connection to it, with redis-py's own errors."""
        try:
            return await self._server.adial()
        except BaseException:
            await self._atlas.alook()
            raise

    def elsewhere(self, reply: object) -> bool:
        """Notes who has what; what else is asked for here may still be. Somebody may have taken this one's place, so the rest is asked for soon."""
        if self._atlas.elsewhere(reply) and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._look(), name="chute look")
        return False

    async def _look(self) -> None:
        for pause in LOOK_AFTER:
            await asyncio.sleep(pause)
            await self._atlas.alook()

    def left(self) -> bool:
        """Whether what is asked for here is elsewhere: that is known of single keys only. Who has none at all is left by `Lines`."""
        return False


class Place:
    """Where one key is ("" is any), for who holds a connection there: whoever dials again has lost it, and asks first where it is now."""

    longest_pause = LONGEST_PAUSE

    def __init__(self, atlas: Atlas, key: str) -> None:
        self._atlas, self._key = atlas, key
        self._dialled: Server | None = None
        self._looking: asyncio.Task[None] | None = None

    async def adial(self) -> Any:
        """A connection to who has it, with redis-py's own errors."""
        if self._dialled or self._atlas.server_of(self._key) is None:
            await self._atlas.alook()
        self._dialled = self._server()
        return await self._dialled.adial()

    def dial(self) -> Any:
        """A connection to who has it, for blocking code. Raises ServerUnavailable."""
        if self._atlas.server_of(self._key) is None:
            self._atlas.look()
        return self._server().dial()

    def elsewhere(self, reply: object) -> bool:
        """Whether a reply says that it is not here any more."""
        return self._atlas.elsewhere(reply)

    def left(self) -> bool:
        """Whether it is known to be elsewhere than at who was dialled last; asks in time, beside what goes on."""
        if self._atlas.doubtful and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._atlas.alook(), name="chute look")
        server = self._atlas.server_of(self._key)
        return server is not None and server is not self._dialled

    def _server(self) -> Server:
        if (server := self._atlas.server_of(self._key)) is None:
            raise self._atlas.unreachable(None)
        return server
