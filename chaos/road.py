"""A road to a server, as long, as narrow and as safe as it is made: bytes take their time, few pass in a second, none at all, or TLS is around them.

Knows no commands; `proxy` does. As a program it is one end of a road that begins in another network: `python -m chaos.road HOST PORT SOCKET`.
"""

import asyncio
import contextlib
import math
import ssl
import sys
import time
from collections.abc import Callable
from typing import Self

from listener import Address, Listener

PIECE = 4096
APART = 1e-6


class Road:
    """From where it listens to the server. `late`: seconds that each piece takes; `rate`: bytes a second of each connection, each way; `closed`:
    what comes is lost, and nobody is told. `dials` has when it was connected to."""

    def __init__(self, target: str | Address, where: str | Address, tls: ssl.SSLContext | None = None) -> None:
        self._target, self.where = target, where
        self.late: Callable[[], float] = lambda: 0.0
        self.rate = math.inf
        self.closed = False
        self.dials: list[float] = []
        self._listener = Listener(where, self._serve, tls)

    @property
    def url(self) -> str:
        """Where it begins, for a worker."""
        return f"unix://{self.where}" if isinstance(self.where, str) else f"redis://{self.where[0]}:{self.where[1]}"

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dials.append(time.monotonic())
        try:
            up_reader, up_writer = await dial(self._target)
        except OSError:
            writer.transport.abort()
            return
        ways = [asyncio.create_task(self._carry(*way)) for way in ((reader, up_writer), (up_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for each in (up_writer, writer):
                each.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, due = asyncio.get_running_loop(), 0.0
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                if self.closed:
                    continue
                due = max(due + APART, loop.time() + self.late())  # what comes later may not overtake
                loop.call_at(due, writer.write, data)
                await asyncio.sleep(len(data) / self.rate)
                await writer.drain()


async def dial(target: str | Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the server."""
    if isinstance(target, str):
        return await asyncio.open_unix_connection(target)
    return await asyncio.open_connection(*target)


def main() -> None:
    """Stands until it is ended."""
    host, port, target = sys.argv[1:]
    with Road(target, (host, int(port))):
        while True:
            time.sleep(60)


if __name__ == "__main__":
    main()
