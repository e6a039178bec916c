"""A worker's side of being watched: its board, and the socket on which it tells its identities to the process that beats for it.

A handler that holds the interpreter or blocks the event loop silences every thread of its process, so beats must come from another one.
"""

import asyncio
import contextlib
import socket

from chute.worker import clock, wire
from chute.worker.board import Board
from chute.worker.wire import Introduced, Said

MAX_IDENTITIES = 1 << 15
TICK = 0.05


class Guard:
    """The board of a worker and, where there is one, the wire to the process that watches it. `watched`: that one wants to know how it is, and
    ends this process when a job of it cannot be stopped otherwise."""

    def __init__(self, board: Board, to: socket.socket | None = None, *, watched: bool = False) -> None:
        self.board = board
        self.watched = watched
        self._to = to
        self._unsent = bytearray()
        """What nobody listens to yet, or has not found the time to read: whoever runs jobs must not wait for that."""
        self._identities = 0

    def introduce(self, lane: int, queue: str, worker: str) -> int:
        """Tells of an identity before the server knows it; its number on the board."""
        self._identities = (self._identities + 1) % MAX_IDENTITIES
        self.say(Introduced(self._identities, lane, queue, worker))
        return self._identities

    async def tick(self) -> None:
        """Notes on the board that the event loop comes by, until it is cancelled: from before resources are opened until they are closed, so that
        whoever takes long over that is not taken for stuck."""
        while True:
            self.board.tick = clock.now()
            await asyncio.sleep(TICK)

    def say(self, message: Said) -> None:
        """Sends a message, as soon as it can be read."""
        self._unsent += wire.encode(message)
        if self._to is not None:
            try:
                del self._unsent[: self._to.send(self._unsent, socket.MSG_DONTWAIT)]
            except BlockingIOError:
                pass
            except OSError:  # whoever listened has gone
                self._unsent.clear()

    def mention(self, message: Said) -> None:
        """As `say`; but while something else waits to be read it is left out."""
        if not self._unsent:
            self.say(message)

    def connect(self, to: socket.socket) -> None:
        """From now on somebody listens: tells what was said before."""
        self._to = to
        with contextlib.suppress(OSError):
            to.sendall(self._unsent)
        self._unsent.clear()
