"""A process of `chute work` that runs jobs, as its supervisor sees it: started, heard, killed; what its board says lives on after it.

It is a program of its own, in a process group of its own: what handlers start ends with it, and a Ctrl-C reaches the supervisor alone.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence

from chute.worker import clock, wire
from chute.worker.beats import Identity
from chute.worker.board import shared
from chute.worker.wire import Introduced, Left, Measured, Ready, Said, Start, Stopping

HEARD = 0.1
"""Seconds in which what a process said before its end has been read."""
DEAF = 0.5
LAST_WAIT = 13.0
"""Seconds for a child that has heard that it must end at once: it waits for a server that does not answer, not longer."""


class Child:
    """One process. `heard(child, message)` is called for what it says; `command` gets the socket, the board, its slots and our process id.

    Raises OSError where the system has no process, memory or descriptor left for it.
    """

    def __init__(self, command: Sequence[str], start: Start, heard: Callable[["Child", Said], None]) -> None:
        self.began = clock.now()
        self.heard_of = self.began
        """When it last said something; for one whose loop has not yet begun."""
        self.asked = self.killed = False
        """By us: to end, and without being asked."""
        self.ready: Ready | None = None
        self.settled_in = asyncio.Event()
        """It is ready, or it has ended before that."""
        self.identities: dict[int, Identity] = {}
        """By their numbers on the board."""
        self.measured: Measured | None = None
        self.measured_at = 0.0
        """What it said last of how it is, and when."""
        self.stopping: Stopping | None = None
        self.left: Left | None = None
        self.late: set[tuple[int, int]] = set()
        """(identity, lease) of the jobs for which it was killed: they were long past their timeouts."""
        self.code: int | None = None
        """How it ended: an exit code, or a signal's number below 0."""
        self.gone = asyncio.Event()
        self._heard = heard
        with contextlib.ExitStack() as given:
            self.board, fd = shared(start.concurrency)
            given.callback(os.close, fd)
            self._wire, theirs = socket.socketpair()
            given.enter_context(theirs)
            words = [*command, *map(str, (theirs.fileno(), fd, start.concurrency, os.getpid()))]
            self._process = subprocess.Popen(words, pass_fds=(theirs.fileno(), fd), stdin=subprocess.DEVNULL, process_group=0)
        self.pid = self._process.pid
        with contextlib.suppress(ConnectionError):  # it has ended already
            self._wire.sendall(wire.encode(start))
        self.listening = asyncio.create_task(self._listen(), name="chute child")

    @property
    def deaf(self) -> bool:
        """Whether its loop does not come by just now, so that a signal would not be noticed."""
        return clock.now() - self.board.tick > DEAF

    @property
    def running(self) -> int:
        """How many jobs it has started and not ended."""
        return sum(1 for _ in self.board.started()) if self.code is None else 0

    def reap(self) -> bool:
        """Whether it has ended just now."""
        if self.code is None and (code := self._process.poll()) is not None:
            self.code = code
            self._kill_group()  # what its handlers started
            self.settled_in.set()
            self.gone.set()
            return True
        return False

    def terminate(self) -> None:
        """Asks it to end; a second time, to end at once."""
        if self.code is None:
            self.asked = True
            self._process.terminate()

    def kill(self) -> None:
        """Ends it, and what its handlers started."""
        if self.code is None:
            self.killed = True
            self._kill_group()
            self._process.kill()  # a handler may have left its group

    async def last_words(self) -> None:
        """Returns when what it said has been read. Whoever inherited its socket must not hold that up."""
        await asyncio.wait([self.listening], timeout=HEARD)
        self.listening.cancel()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=self._wire, limit=wire.LONGEST)
        try:
            with contextlib.suppress(ConnectionError):
                while said := await reader.readline():
                    self._take(wire.decode(said))
        finally:
            writer.close()

    def _take(self, said: Said) -> None:
        self.heard_of = clock.now()
        match said:
            case Ready():
                self.ready = said
                self.settled_in.set()
            case Introduced(number, lane, queue, worker):
                self.identities[number] = Identity(queue, worker, number, lane, self.board)
            case Measured():
                self.measured, self.measured_at = said, clock.now()
            case Stopping():
                self.stopping = said
            case Left():
                self.left = said
        self._heard(self, said)


async def see_off(child: Child, patience: float, now: asyncio.Event) -> None:
    """Ends a child gently: it gets `patience` seconds, or until `now`, for what runs; then by force, if it cannot hear. One that was asked
    before is not asked again at once: that would break off what runs."""
    if not child.asked:
        child.terminate()
    await _until(child.gone, patience + DEAF, now)
    if child.deaf or (child.ready and not child.stopping):  # it is busy, or a handler has taken its signals away
        child.kill()
    else:
        child.terminate()
        await _until(child.gone, 2 * DEAF)
        if child.deaf:
            child.kill()
    await _until(child.gone, LAST_WAIT)
    child.kill()


async def _until(gone: asyncio.Event, seconds: float, *others: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in (gone, *others)]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
