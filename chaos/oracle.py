"""What really happened, kept outside of the server: files to which producers and handlers append one line an event.

A process writes to a file of its own, each line in one write, so neither a SIGKILL nor another process can tear a line. Times are monotonic
nanoseconds, the same clock for every process of this machine.

    accepted|confirmed|unknown|rejected JOB ns             a producer's view of one job; confirmed: a replica has it too
    started JOB TAG ATTEMPT ns                             a handler's first line (the process is in the file's name)
    ended JOB TAG ATTEMPT ns done|raised|cancelled         its last
"""

import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

DIRECTORY, PARTITIONS = "CHAOS_NOTES", "CHAOS_PARTITIONS"
"""The variables that tell a process where the files are, and over how many lists the queue is spread."""


class Notebook:
    """This process's file; another one after a fork."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._file = (0, 0)
        """Which process opened it, and its descriptor: one value, since threads note too."""

    def note(self, *words: object) -> None:
        """Appends one line; it is with the operating system when this returns."""
        pid, file = self._file
        if pid != os.getpid():
            pid = os.getpid()
            known_as = os.readlink("/proc/self")  # to whoever reads the files: in a namespace of its own it has another number
            path = Path(os.environ[DIRECTORY]) / f"{self._kind}-{known_as}"
            file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            self._file = (pid, file)
        os.write(file, " ".join(map(str, words)).encode() + b"\n")


@dataclass(slots=True)
class Run:
    """One execution of a job. `how` is "" and `ended` None for one that never came to its end."""

    job: str
    tag: int
    attempt: int
    pid: int
    started: int
    ended: int | None = None
    how: str = ""


@dataclass(slots=True)
class History:
    """All events, by job."""

    accepted: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    confirmed: set[str] = field(default_factory=set)
    """Those of the accepted of which a copy was confirmed."""
    accepted_at: dict[str, int] = field(default_factory=dict)

    def all_runs(self) -> list[Run]:
        """Every execution, in the order of their starts."""
        return sorted((run for runs in self.runs.values() for run in runs), key=lambda run: run.started)


def read(directory: Path) -> History:
    """The history that the files in the directory tell."""
    history = History()
    for path in sorted(directory.glob("sent-*")):
        for line in _lines(path):
            what, job, at = line.split()
            if what == "confirmed":
                history.confirmed.add(job)
            if what in {"accepted", "confirmed"}:
                history.accepted_at[job] = int(at)
            {"unknown": history.unknown, "rejected": history.rejected}.get(what, history.accepted).add(job)
    for path in sorted(directory.glob("ran-*")):
        for run in runs_of(path):
            history.runs[run.job].append(run)
    for runs in history.runs.values():
        runs.sort(key=lambda run: run.started)
    return history


def _lines(path: Path) -> list[str]:
    """Those that are whole: who reads beside a writer may see the beginning of one."""
    return path.read_text().rpartition("\n")[0].splitlines()


def runs_of(path: Path) -> list[Run]:
    """The executions that one process noted."""
    pid = int(path.name.rpartition("-")[2])
    found: list[Run] = []
    open_ones: dict[tuple[str, str], Run] = {}
    for line in _lines(path):
        what, job, tag, attempt, at, *how = line.split()
        if what == "started":
            run = open_ones[job, tag] = Run(job, int(tag), int(attempt), pid, int(at))
            found.append(run)
        elif run_ends := open_ones.pop((job, tag), None):
            run_ends.ended, run_ends.how = int(at), how[0]
    return found


def held(directory: Path, pid: int) -> int:
    """How many jobs the process has started and not ended."""
    path = directory / f"ran-{pid}"
    return sum(run.ended is None for run in runs_of(path)) if path.exists() else 0


def hold_on(directory: Path, *, on: bool) -> None:
    """Tells the handlers that hold on whether they should; it concerns those that begin from then on."""
    (directory / "hold").touch() if on else (directory / "hold").unlink()


def held_on() -> bool:
    """Whether such a handler should, as it begins."""
    return (Path(os.environ[DIRECTORY]) / "hold").exists()


def now() -> int:
    """The clock of every line."""
    return time.monotonic_ns()
