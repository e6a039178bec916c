"""A proxy in front of a real server that acts on single commands: forwards one and loses its reply, cuts the line before it, delays it.

It runs in a thread of its own, on a unix socket beside the server's, so that the code under test may block or run any loop.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import hiredis

from listener import Listener

Fault = Literal["before", "after", "delay"]
Command = list[bytes]


class Proxy:
    """`fault(command)` says what happens to a command; None: nothing. May be changed at any time; `count` counts what was done."""

    def __init__(self, socket: str) -> None:
        self._target = socket
        self.socket = str(Path(socket).with_name("p"))
        self.url = f"unix://{self.socket}"
        self.fault: Callable[[Command], Fault | None] = lambda _: None
        self.longest = 0.1
        """Seconds that a command is delayed at the most."""
        self.count: Counter[str] = Counter()
        self._listener = Listener(self.socket, self._serve)

    def at_random(self, rate: float, *faults: Fault, seed: int = 0) -> None:
        """Each command meets one of the faults with that probability."""
        chance = random.Random(seed)
        self.fault = lambda _: chance.choice(faults) if chance.random() < rate else None

    def once(self, name: str, fault: Fault, holding: bytes = b"") -> None:
        """The next command of that name, with that text among its arguments, meets the fault; the ones after it do not."""
        left = [1]

        def fault_of(command: Command) -> Fault | None:
            if left[0] and command[0].decode().upper() == name and any(holding in part for part in command):
                left[0] = 0
                return fault
            return None

        self.fault = fault_of

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._target)
        muted = [False]
        back = asyncio.create_task(self._back(up_reader, writer, muted))
        try:
            await self._forth(reader, writer, up_writer, muted)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in (up_writer, writer):
                each.close()
            back.cancel()

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: asyncio.StreamWriter, muted: list[bool]) -> None:
        parser: Any = hiredis.Reader()
        while data := await reader.read(1 << 16):
            parser.feed(data)
            while (command := parser.gets()) is not False:
                fault = self.fault(command)
                self.count[str(fault)] += 1
                if fault == "before":
                    writer.transport.abort()
                    return
                if fault == "delay":
                    await asyncio.sleep(random.uniform(0.1, 1) * self.longest)
                if fault == "after":
                    muted[0] = True
                up.write(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]
                if fault == "after":
                    await up.drain()
                    await asyncio.sleep(0.02)  # the server has done it
                    writer.transport.abort()
                    return

    async def _back(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter, muted: list[bool]) -> None:
        while data := await up.read(1 << 16):
            if not muted[0]:
                writer.write(data)
        writer.close()
