"""The keeper of the embedded server: a small process that starts the server, sits beside it and ends it when nobody needs it.

`server.py` runs this file in a session of its own; the first fork ends at once, so the keeper is nobody's child. The server is the keeper's
child and dies with it. One lock covers both: it is free only when neither is left, so two servers never meet on one socket or on one data
directory, however the first pair ended.

Run by its path, without site-packages, so it must import nothing but the standard library: it stays small whatever the package grows to.
It must never hold anything of the process that started it: no terminal, no working directory, no open file, no variables of its environment.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import time

if sys.platform != "win32":
    import fcntl

SOCKET, LOCK = "server.sock", "server.lock"
"""Names in the home directory. The keeper and the server use them relative to it, so they never touch a directory put in its place."""

IDLE_SECONDS = 60.0
"""How long the server outlives its last client."""

READY = b"ready"
"""What the keeper writes to its standard output once the server answers; an end of file without it means that it gave up."""

_ASIDE = SOCKET + ".closing"
_LOG_BYTES = 1 << 20
_END_SECONDS = 10.0
_REPLY_SECONDS = 5.0


def ask(connection: socket.socket, command: str) -> str:
    """One command in the protocol's inline form and its reply, a line or a bulk string."""
    connection.sendall(command.encode() + b"\r\n")
    with connection.makefile("rb") as replies:
        reply = replies.readline()
        if reply.startswith(b"$"):
            reply = replies.read(int(reply[1:]) + 2)
    if not reply.endswith(b"\r\n"):
        raise ConnectionResetError("the server closed the connection")
    return reply.decode(errors="replace").strip()


def dial(path: str, seconds: float) -> socket.socket:
    """A connection to the server on `path`, on which nothing takes longer than `seconds`."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(seconds)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def main(binary: str, home: str, idle: float) -> None:
    """Keep the server of `home` until it ends, is told to end, or has had no client for `idle` seconds."""
    if os.fork():
        os._exit(0)
    os.chdir(home)
    os.umask(0o077)
    lock = _take_lock()
    if lock is None:
        return
    _clear()
    bell = _hang_bell()
    server = _Server(_spawn(binary, lock), bell)
    try:
        if connection := _wait_ready(server):
            _say_ready()
            _log(_watch(server, connection, idle))
    finally:
        server.end()


def _take_lock() -> int | None:
    """The lock, as a file descriptor; None when a server answers meanwhile. A pair that is ending is waited for."""
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    give_up = time.monotonic() + _END_SECONDS
    while time.monotonic() < give_up:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        with contextlib.suppress(OSError), dial(SOCKET, _REPLY_SECONDS) as connection:
            ask(connection, "PING")
            _say_ready()
            return None
        time.sleep(0.02)
    _log("another keeper holds the lock, and its server does not answer")
    return None


def _clear() -> None:
    """Remove what a killed pair left behind; an overgrown log starts anew."""
    for name in (SOCKET, _ASIDE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    if os.fstat(2).st_size > _LOG_BYTES:
        os.ftruncate(2, 0)


def _hang_bell() -> int:
    """A file descriptor that turns readable when a signal comes."""
    bell, rope = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(rope, False)
    signal.set_wakeup_fd(rope)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(name, lambda _signal, _frame: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Whoever started us may have blocked signals, and a mask is inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return bell


def _spawn(binary: str, lock: int) -> int:
    """Start the server as a child that shares the lock and dies with the keeper; its process id."""
    keeper = os.getpid()
    server = os.fork()
    if server:
        return server
    try:
        # Default first: a SIGTERM that comes before the exec must end us, not ring a bell.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _die_with(keeper)
        os.set_inheritable(lock, True)
        os.dup2(2, 1)
        os.execv(binary, [binary, *_options()])  # noqa: S606 - no shell is wanted
    except BaseException as error:
        _log(f"cannot run {binary}: {error}")
    os._exit(127)


def _options() -> list[str]:
    return [
        *("--port", "0", "--bind", "127.0.0.1", "-::1"),  # no TCP until `server.listen` sets a port, and then on loopback only
        *("--unixsocket", SOCKET, "--unixsocketperm", "700"),
        *("--dir", ".", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--maxmemory-policy", "noeviction"),
        *("--proto-max-bulk-len", "2mb"),  # twice the largest job: what is larger is turned away before it costs memory
        *("--daemonize", "no", "--logfile", ""),
    ]


def _die_with(keeper: int) -> None:
    """Have the kernel send us SIGTERM when the keeper's main thread, which is its only one, ends. Linux only."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - of no use to those who import this module for its names

    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != keeper:
        os._exit(1)


class _Server:
    """The server as the keeper's child, and the bell that rings when a signal comes."""

    def __init__(self, pid: int, bell: int) -> None:
        self._pid = pid
        self._bell = bell
        self._reaped = False

    def over(self, seconds: float) -> bool:
        """Wait for `seconds`; True as soon as the server has ended, or is to end because we were told to."""
        ready, _, _ = select.select([self._bell], [], [], seconds)
        if not ready:
            return False
        rings = os.read(self._bell, 64)
        return signal.SIGTERM in rings or signal.SIGINT in rings or self._ended()

    def end(self) -> None:
        """End the server and reap it. It writes its data out first; one that does not come to an end is killed."""
        give_up = time.monotonic() + _END_SECONDS
        if not self._ended():
            os.kill(self._pid, signal.SIGTERM)
        while not self._ended():
            if time.monotonic() > give_up:
                _log("the server did not end when told to: killing it")
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.01)

    def _ended(self) -> bool:
        # SIGCHLD alone does not tell: it also comes when the server is suspended.
        self._reaped = self._reaped or os.waitpid(self._pid, os.WNOHANG)[0] == self._pid
        return self._reaped


def _wait_ready(server: _Server) -> socket.socket | None:
    """The keeper's own connection, once the server has loaded its data and answers; None when it is over before."""
    connection = None
    while not server.over(0.005):
        try:
            connection = connection or dial(SOCKET, _REPLY_SECONDS)
            if not ask(connection, "PING").startswith("-LOADING"):
                return connection
        except OSError:
            # Not listening yet, or too busy with loading to answer in time: the next try begins with a new connection.
            connection = None
    return None


def _watch(server: _Server, connection: socket.socket, idle: float) -> str:
    """Return when the server is to end, and why. Every visit counts, also one that came and went between two looks."""
    seen, quiet_since = -1, time.monotonic()
    while not server.over(idle / 12):
        if not os.path.exists(SOCKET):
            return "the socket is gone: ending the server, so that the next can start"
        try:
            guests, visits = _census(connection)
        except TimeoutError:
            # Busy is not idle. The late reply must not be read as the next one's, so this connection is given up.
            connection, seen = _redial(connection), -1
            continue
        except OSError:
            return "the server hung up"
        if guests or visits != seen:
            seen, quiet_since = visits, time.monotonic()
        elif time.monotonic() - quiet_since >= idle and _close_door(connection, seen):
            return f"no client for {idle:g} s: ending the server"
    return "told to end, or the server has ended"


def _redial(connection: socket.socket) -> socket.socket:
    try:
        fresh = dial(SOCKET, _REPLY_SECONDS)
    except OSError:
        return connection
    connection.close()
    return fresh


def _census(connection: socket.socket) -> tuple[int, int]:
    """How many clients are connected besides us, and how many connections there have ever been."""
    lines = ask(connection, "INFO clients stats").splitlines()
    info = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(info["connected_clients"]) - 1, int(info["total_connections_received"])


def _close_door(connection: socket.socket, seen: int) -> bool:
    """Take the socket away, then look once more: False, and the socket is back, if somebody came in at the last moment.

    Who finds no socket waits for the next server, so nobody is told of a server that is about to end.
    """
    try:
        os.rename(SOCKET, _ASIDE)
    except FileNotFoundError:
        return True
    with contextlib.suppress(OSError):
        # The second look comes after a full turn of the server's loop, in which it has taken in all who knocked before the rename.
        if _census(connection) == (0, seen) and _census(connection) == (0, seen):
            return True
    os.rename(_ASIDE, SOCKET)
    return False


def _say_ready() -> None:
    # Whoever started us may have gone.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, READY)
    os.dup2(2, 1)


def _log(line: str) -> None:
    os.write(2, f"keeper {os.getpid()}: {line}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
