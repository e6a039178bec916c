"""A proxy that loses replies: it forwards a request to the real server and cuts the caller off before the answer reaches it.

The server has done what it was asked; the caller cannot know. One thread a connection, on a unix socket of its own.
"""

import contextlib
import shutil
import socket
import threading
from types import TracebackType
from typing import Self

from servers import Server, short_directory


class Proxy:
    """Between a client and `server`. While `lose` is set, the reply to any request that contains it is lost, `times` times; `instead` comes in
    its place."""

    def __init__(self, server: Server, lose: bytes = b"", times: int = 1, instead: bytes = b"") -> None:
        self.lose, self.times, self.lost, self.instead = lose, times, 0, instead
        self._server = server
        self._home = short_directory()
        self.url = f"unix://{self._home}/p"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._home}/p")
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self._home)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server.socket)
                self._open += (caller, server)
                cut = threading.Event()
                for copy in (self._requests, self._replies):
                    thread = threading.Thread(target=copy, args=(caller, server, cut))
                    self._threads.append(thread)
                    thread.start()

    def _requests(self, caller: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := caller.recv(1 << 20):
                if self.lose and self.lose in data and self.lost < self.times:
                    self.lost += 1
                    cut.set()
                server.sendall(data)
        _end(server)

    def _replies(self, caller: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (data := server.recv(1 << 20)) and not cut.is_set():
                caller.sendall(data)
            if cut.is_set():
                caller.sendall(self.instead)
        _end(caller)


def _end(side: socket.socket) -> None:
    with contextlib.suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
