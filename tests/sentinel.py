"""One Sentinel for tests, on a loopback port of its own. It ends with whoever started it, as each server of `servers` does."""

import os
import shutil
import subprocess
from typing import Any

import redis

from servers import Kind, binary, end_with_parent, free_port, send, short_directory

WATCH = """\
sentinel monitor main 127.0.0.1 {primary} 2
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 5000
"""
"""Two of three must find the primary dead."""


class OneSentinel:
    """Watches a primary under the name `main`."""

    def __init__(self, kind: Kind, primary: int) -> None:
        self.kind: Kind = kind
        self.directory = short_directory()
        self.port = free_port()
        self._file = self.directory / "sentinel.conf"
        own = f"port {self.port}\nbind 127.0.0.1\nlogfile log\ndir {self.directory}\n"
        self._file.write_text(own + WATCH.format(primary=primary))
        self.start()

    def start(self) -> None:
        """Starts it, again after `kill` too."""
        program, parent = binary(self.kind), os.getpid()
        assert program is not None
        self.process = subprocess.Popen(
            [program, str(self._file), "--sentinel"],
            stdin=subprocess.DEVNULL,
            cwd=self.directory,
            preexec_fn=lambda: end_with_parent(parent),  # noqa: PLW1509 - one system call, before any thread exists there
        )

    def ask(self, *command: str) -> Any:
        """The reply to one command; None where it does not answer."""
        with redis.Redis(port=self.port, socket_timeout=2) as client:
            try:
                return send(client, *command)
            except redis.ConnectionError:
                return None

    def kill(self) -> None:
        """Ends it at once."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ends it and removes its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
