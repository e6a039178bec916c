"""Helpers for the tests of the embedded server: its users in other processes, and a look at what runs."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import redis

from chute import keeper, server


def user(code: str, *, new_session: bool = False) -> subprocess.Popen[str]:
    """Another process that uses the embedded server; it can be told something, and what it prints can be read."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import os, signal, sys; from chute import server\n{code}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if new_session else None,
        start_new_session=new_session,
        text=True,
    )


@contextlib.contextmanager
def client(url: str) -> Generator[redis.Redis]:
    with redis.Redis.from_url(url, decode_responses=True) as connected:
        yield connected


def server_pid() -> int:
    """The process id of the running server, as it says itself."""
    with keeper.dial(str(server.socket_path()), 5) as connection:
        return int(keeper.ask(connection, "INFO server").partition("process_id:")[2].split()[0])


def keeper_pid() -> int:
    """The process id of its keeper; Linux only."""
    return int(stat(server_pid())[1])


def stat(pid: int) -> list[str]:
    """State, parent, group and session of a process; Linux only."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]


def gone(pid: int) -> bool:
    """Whether the process has ended, be it that nobody has asked after it yet; Linux only."""
    try:
        return stat(pid)[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def openers(path: Path) -> set[int]:
    """The other processes that have the file open; Linux only."""
    found = set[int]()
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to look at
            if fd.readlink() == path:
                found.add(int(fd.parts[2]))
    return found - {os.getpid()}


def starts() -> int:
    """How many servers have been started in this home."""
    return server.log_path().read_text().count("Valkey is starting")
