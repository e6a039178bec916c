"""The process that beats for a worker inside a program: started when that worker is older than a beat, ended with its socket.

It knows neither the program nor its tasks. It is given two file descriptors, the socket and the board, and the slots of the board.
"""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from functools import partial

from chute import connection, settings
from chute.address import Address
from chute.lines import Lines
from chute.worker import clock, wire
from chute.worker.beats import Beats, Identity
from chute.worker.board import Board
from chute.worker.wire import Introduced, Ready

COMMAND = (sys.executable, "-P", "-c", "from chute.worker.helper import main; main()")
"""Starts one. -P: what lies in the current directory must not stand in for a module of ours."""


class Helper:
    """The worker's side: the running process and the socket to it."""

    def __init__(self, board_fd: int, slots: int) -> None:
        ours, theirs = socket.socketpair()
        words = [*COMMAND, str(theirs.fileno()), str(board_fd), str(slots)]
        self._process = subprocess.Popen(
            words, pass_fds=(theirs.fileno(), board_fd), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
        )
        theirs.close()
        self.socket = ours

    def stop(self) -> None:
        """Ends the process."""
        self.socket.close()
        self._process.kill()
        self._process.wait()


async def _run(worker: socket.socket, board: Board) -> None:
    """Reads identities and beats for them until the worker's end of the socket is gone."""
    reader, _ = await asyncio.open_unix_connection(sock=worker, limit=wire.LONGEST)
    lines = beats = None
    while said := await reader.readline():
        match wire.decode(said):
            case Ready(url, how):
                lines = Lines(connection.reach(Address(url, how)), lambda _: None, resting=True)
                beats = Beats(lines)
                beating = asyncio.create_task(clock.every(settings.beat_every(), partial(_beat, lines, beats)))
            case Introduced(number, lane, queue, name) if beats:
                beats.add(Identity(queue, name, number, lane, board))
    if lines:
        beating.cancel()
        await lines.close()


def _beat(lines: Lines, beats: Beats) -> None:
    lines.check()  # a server that is mute, or another one now, is left
    beats.beat()


def main() -> None:
    """The entry point."""
    worker, board, slots = (int(word) for word in sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ConnectionError):
        asyncio.run(_run(socket.socket(fileno=worker), Board(slots, board)))
