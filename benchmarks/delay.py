"""A network in between: a TCP proxy that delivers every byte later by a fixed time, in each direction.

python -m benchmarks.delay LISTEN_PORT SERVER_PORT MILLISECONDS
"""

import asyncio
import sys
from typing import Any

import uvloop


class Side(asyncio.Protocol):
    """One end of a connection through it."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.transport: Any = None
        self.other: Side | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(self.delay, self._deliver, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other and self.other.transport:
            self.other.transport.close()

    def meet(self, other: "Side") -> None:
        """The other end is there: what came before goes out."""
        self.other = other
        early, self._early = self._early, []
        for data in early:
            self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self._early.append(data)
        elif not self.other.transport.is_closing():
            self.other.transport.write(data)


class Front(Side):
    """The end that clients dial; it dials the server."""

    def __init__(self, delay: float, server: int) -> None:
        super().__init__(delay)
        self._server = server
        self._dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        _, back = await asyncio.get_running_loop().create_connection(lambda: Side(self.delay), "127.0.0.1", self._server)
        back.other = self
        self.meet(back)


async def main(listen: int, server: int, milliseconds: float) -> None:
    """Until it is ended."""
    listening = await asyncio.get_running_loop().create_server(lambda: Front(milliseconds / 1000, server), "127.0.0.1", listen)
    await listening.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
