"""A proxy between clients and a server that acts on single commands, and on the whole line.

`fault(name, command)` is asked for each command and says what happens to it: cut `before` it is forwarded; cut `after` it was done,
when the reply comes; `late`: hold its reply for a while, send it in a `drip`, `flip` a bit in it; None: nothing. Two black holes keep all
sockets open, each for the directions that it names: `holding` keeps bytes back while it lasts and delivers them then, as TCP does once the
cable is back; what meets `swallowing` stays dark for ever, as behind a firewall that forgot the connection. Runs in a thread of its own, on a
unix socket beside the server's.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import hiredis

from chaos import oracle
from listener import Listener

Act = Literal["before", "after", "late", "drip", "flip"]
Ways = frozenset[Literal["requests", "replies"]]
NONE: Ways = frozenset()
BOTH: Ways = frozenset({"requests", "replies"})
Command = list[bytes]
LATE = 2.0
LOOK = 0.005
SERVED = 0.03
"""Seconds in which a server has done what was forwarded to it."""


def script_names(src: Path) -> dict[bytes, str]:
    """The scripts of a package by their addresses: what an EVALSHA is about."""
    files = (src / "chute" / "scripts").glob("*.lua")
    return {hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest().encode(): path.stem for path in files}


class Proxy:
    """Calls `struck` with the name of each command that it did something to. `dialled` is when it was last connected to."""

    def __init__(self, target: str, name: str, scripts: dict[bytes, str], struck: Callable[[str], None]) -> None:
        self._target, self._scripts, self._tell = target, scripts, struck
        self.socket = str(Path(target).with_name(name))
        self.url = f"unix://{self.socket}"
        self.fault: Callable[[str, Command], Act | None] = lambda _, __: None
        self.holding = self.swallowing = NONE
        self.dialled = 0
        self._listener = Listener(self.socket, self._serve)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled = oracle.now()
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        wire = _Wire()
        back = asyncio.create_task(self._back(up_reader, writer, wire))
        try:
            await self._forth(reader, writer, up_writer, wire)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            for each in (up_writer, writer):
                each.close()

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: asyncio.StreamWriter, wire: "_Wire") -> None:
        parser: Any = hiredis.Reader()
        while data := await reader.read(1 << 16):
            parser.feed(data)
            while (command := parser.gets()) is not False:
                if await self._dark("requests", wire):
                    continue
                act = self._struck(command)
                if act == "before":
                    writer.transport.abort()
                    return
                wire.act = act or wire.act
                up.write(hiredis.pack_command(tuple(command)))

    async def _back(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: "_Wire") -> None:
        while data := await up.read(1 << 16):
            if await self._dark("replies", wire):
                continue
            act, wire.act = wire.act, None
            if act == "after":
                await asyncio.sleep(SERVED)
                writer.transport.abort()
                return
            if act == "late":
                await asyncio.sleep(LATE)
            if act == "flip":
                data = bytes([data[0] ^ 0x80]) + data[1:]
            if act == "drip":
                for i in range(0, len(data), 7):
                    writer.write(data[i : i + 7])
                    await asyncio.sleep(0.001)
            else:
                writer.write(data)
        writer.close()

    async def _dark(self, way: Literal["requests", "replies"], wire: "_Wire") -> bool:
        """Whether bytes that go this way are lost, and with them all that would follow."""
        if way in self.swallowing:
            wire.dark |= {way}
        while way in self.holding:
            await asyncio.sleep(LOOK)
        return way in wire.dark

    def _struck(self, command: Command) -> Act | None:
        name = command[0].decode().upper()
        name = self._scripts.get(command[1], name) if name == "EVALSHA" else name
        act = self.fault(name, command)
        if act:
            self._tell(name)
        return act


class _Wire:
    """One connection: what is to happen to its next reply, and in which directions it carries nothing any more."""

    act: Act | None = None
    dark = NONE
