"""A server of a test's own: a real one, with nothing on disk, that ends with its block or with the process that started it.

`chute.server` starts the one that users share and that outlives them; this one must never touch that, nor any other that it did not start.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from chute import address, call, connection, keeper, waiting
from chute import server as shared
from chute.address import Address
from chute.errors import ServerUnavailable

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_PATIENCE = 10.0
_LONGEST_BASE = 80
"""Bytes of a temporary directory's path that leave room for ours in a socket's address."""


class Throwaway:
    """A running server. `stop` ends it and removes what it leaves."""

    def __init__(self) -> None:
        binary = shared.binary()
        base = tempfile.gettempdir()
        short = len(os.fsencode(base)) <= _LONGEST_BASE
        self._home = Path(tempfile.mkdtemp(prefix="chute-test-", dir=base if short else "/tmp"))  # noqa: S108
        self._socket = self._home / "s"
        self.address = Address(f"unix://{quote(str(self._socket))}", "chute.testing.server()")
        parent = os.getpid()
        command = [str(binary), *_options(self._socket.name)]
        self._process = subprocess.Popen(command, cwd=self._home, preexec_fn=lambda: _end_with(parent))  # noqa: PLW1509
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.address.url

    def stop(self) -> None:
        """Ends the server."""
        connection.forget(self.address)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _wait(self) -> None:
        give_up = time.monotonic() + _PATIENCE
        while self._process.poll() is None and time.monotonic() < give_up:
            with suppress(OSError), keeper.dial(str(self._socket), _PATIENCE) as dialled:
                if keeper.ask(dialled, "PING") == "+PONG":
                    return
            time.sleep(0.002)
        log = self._home / "log"
        said = log.read_text(errors="replace").strip().rpartition("\n")[2] if log.exists() else "it says nothing"
        raise ServerUnavailable(f"the test's own server did not start: {said}")


def _options(socket: str) -> list[str]:
    return [
        *("--port", "0", "--unixsocket", socket, "--unixsocketperm", "700"),
        *("--save", "", "--appendonly", "no", "--dir", ".", "--logfile", "log"),
        *("--maxmemory-policy", "noeviction", "--proto-max-bulk-len", "2mb", "--daemonize", "no"),
    ]


def _end_with(parent: int) -> None:
    """In the new process, before it is the server: the kernel is to end it with us. We may have ended before it was asked to."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def using(where: Address) -> ExitStack:
    """Makes every queue of this process use that server for the time of a with block, also within a block of `inline`."""
    stack = ExitStack()
    stack.enter_context(address.chosen(where))
    stack.enter_context(call.taken(None))
    return stack


class Block:
    """What `server` returns: the time in which a throw-away server is there."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> str:
        with ExitStack() as stack:
            started = Throwaway()
            stack.callback(started.stop)
            stack.enter_context(using(started.address))
            self._stack = stack.pop_all()
        return started.url

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    async def __aenter__(self) -> str:
        return self.__enter__()  # not in another thread: the server would end with it

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await waiting.aclose()
        self._stack.close()


def server() -> Block:
    """A throw-away server for the time of a with block, used by every queue of this process whatever `url` it names; gives its URL.

    In asyncio code, `async with` also closes the connections of the running loop. Blocks nest: the innermost one counts. Enter it in a
    thread that outlives the block, since on Linux the server ends with the thread that started it. Raises ServerUnavailable without the
    extra `server`.

        with chute.testing.server():
            job = answer.enqueue("What is RAG?")
    """
    return Block()
