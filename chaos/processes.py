"""Processes that the suite starts: they end with it, and what the system knows of them (children, files, memory) is read from /proc."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos import ROOT

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
Process = subprocess.Popen[bytes]


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Starts a process whose output goes to the log. It is killed when the thread that started it ends."""
    with log.open("ab") as out:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=ROOT,
            env={**os.environ, **environment},
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, before any thread exists there
        )


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether it runs: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def files_open(pid: int, but: Path) -> list[str]:
    """What its file descriptors are, but for those in one folder."""
    found = list[str]()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found += [] if (what := os.readlink(each)).startswith(str(but)) else [what]
    return found


def memory(pid: int) -> int:
    """Its resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def send_signal(pids: Sequence[int], number: int) -> None:
    """Signals each; one that has ended meanwhile is no error."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
