"""A worker's side of being watched: its board, and the socket on which it tells its identities to the process that beats for it.

A handler that holds the interpreter or blocks the event loop silences every thread of its process, so beats must come from another one.
"""

import contextlib
import socket

from chute.worker import wire
from chute.worker.board import Board
from chute.worker.held import Held
from chute.worker.wire import Introduced, Said

MAX_IDENTITIES = 1 << 15


class Guard:
    """The board of a worker and, where there is one, the wire to the process that watches it. `kills`: that one ends this process when a job
    of it cannot be stopped otherwise."""

    def __init__(self, board: Board, to: socket.socket | None = None, *, kills: bool = False) -> None:
        self.board = board
        self.kills = kills
        self._to = to
        self._said: list[Said] = []
        self._identities = 0

    def mark(self, held: Held) -> None:
        """What the death of this process would be charged to: a job is marked when its own code is about to run, no sooner."""
        held.slot = self.board.start(held.holdings.number, held.lease, held.deadline)

    def introduce(self, lane: int, queue: str, worker: str) -> int:
        """Tells of an identity before the server knows it; its number on the board."""
        self._identities = (self._identities + 1) % MAX_IDENTITIES
        self.say(Introduced(self._identities, lane, queue, worker))
        return self._identities

    def say(self, message: Said) -> None:
        """Sends a message. While nobody listens it is kept for who will."""
        if self._to is None:
            self._said.append(message)
            return
        with contextlib.suppress(OSError):  # whoever listened has gone
            self._to.sendall(wire.encode(message))

    def connect(self, to: socket.socket) -> None:
        """From now on somebody listens: tells what was said before."""
        self._to = to
        said, self._said = self._said, []
        for message in said:
            self.say(message)
