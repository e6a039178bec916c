"""One peer: it is prepared, its queue is filled, one worker process of it drains the queue. Knows no peer by name; `table` does."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis

from benchmarks.peers.home import Home
from benchmarks.peers.usage import Cost, cost, memory

APPS = Path(__file__).resolve().parent / "apps"
DRAIN_SECONDS = 120.0
ENQUEUE_SECONDS = 300.0
RESULT_SECONDS = 5.0


@dataclass(frozen=True)
class Drained:
    """What draining came to."""

    rate: float
    """Jobs/s by the handler's own clock: the calls after the first, over the time from the first to the last."""
    rss: float
    """Peak resident MB, summed over the processes of the worker; what these share after a fork counts in each."""
    server: Cost
    """What a job cost the server, the start of the worker included."""


class PeerFailed(Exception):
    """A peer did not do its work: `name` of the peer, `tail` of what it wrote."""

    def __init__(self, name: str, tail: str) -> None:
        super().__init__(f"{name} did not finish; the end of what it wrote:\n{tail}")
        self.name, self.tail = name, tail


@dataclass(frozen=True)
class Peer:
    """A job queue to compare with, its settings and how to run it."""

    name: str
    choice: str
    """What was chosen for it and why, in a line."""
    home: Home
    app: str
    """The module in `apps`, or the program in `node`, with its task."""
    worker: tuple[str, ...]
    """The command line of its worker, the program's name first."""
    results: Callable[[redis.Redis], int]
    """How many finished jobs have a result on the server that will expire."""
    jobs: int
    """How many jobs make a drain of 3 to 5 s on a machine of two cores."""
    environment: Mapping[str, str] = field(default_factory=dict)
    filler: tuple[str, ...] = ("python", "run.py")
    """The command line that puts jobs in, without the app."""

    def prepare(self) -> str | None:
        """Makes the peer's environment, at once if it is there and unchanged. Returns why it cannot be made, None if it is there."""
        try:
            return self.home.prepare()
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return f"{self.name} could not be installed: {error}"

    def versions(self) -> str:
        """Its libraries and its interpreter: "celery 5.7.0, redis 8.1.0, Python 3.11.7"."""
        return self.home.versions()

    def enqueue(self, url: str, jobs: int, size: int) -> float:
        """Empties the throw-away server and puts `jobs` jobs in, each with a question of at least `size` bytes, by the peer's best way in a
        process of its own. Returns jobs/s, without the start of the process."""
        with redis.Redis.from_url(url) as server:
            server.flushall()
        with (
            tempfile.TemporaryDirectory(prefix="chute-peer-") as folder,
            self._run((*self.filler, self.app), folder, url, jobs, size) as filler,
        ):
            until(lambda: filler.poll() is not None, ENQUEUE_SECONDS)
            if filler.poll() != 0:
                raise PeerFailed(self.name, tail(folder))
            return rate(jobs, *spans(folder, "enqueued"))

    def drain(self, url: str, jobs: int, size: int, deadline: float = DRAIN_SECONDS) -> Drained:
        """Starts one worker process, waits until it ran what `enqueue` put in and stored the results, and stops it. Fills an empty server itself.

        Raises `PeerFailed` after `deadline` seconds, when the worker ends early, and when results are missing.
        """
        with redis.Redis.from_url(url) as server, tempfile.TemporaryDirectory(prefix="chute-peer-") as folder:
            if not server.dbsize():
                self.enqueue(url, jobs, size)
            before, peaks = cost(server), dict[int, float]()
            with self._run(self.worker, folder, url, jobs, size) as worker:

                def drained() -> bool:
                    memory(worker.pid, peaks)
                    return bool(spans(folder, "ran")) or worker.poll() is not None

                until(drained, deadline)
                if not spans(folder, "ran"):
                    raise PeerFailed(self.name, tail(folder))
                time.sleep(0.2)  # the last results are on their way
                spent = (cost(server) - before) / jobs
                if not until(lambda: self.results(server) >= jobs, RESULT_SECONDS, every=0.1):
                    raise PeerFailed(self.name, f"{jobs - self.results(server)} of {jobs} results are missing\n{tail(folder)}")
                memory(worker.pid, peaks)
            return Drained(rate(jobs - 1, *spans(folder, "ran")), sum(peaks.values()), spent)

    @contextlib.contextmanager
    def _run(self, words: tuple[str, ...], folder: str, url: str, jobs: int, size: int) -> Iterator[subprocess.Popen[bytes]]:
        """A process of the peer, which with its children ends with the block."""
        names = {"BENCH_URL": url, "BENCH_JOBS": str(jobs), "BENCH_BYTES": str(size), "BENCH_FOLDER": folder, "PYTHONPATH": str(APPS)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        path = f"{self.home.programs}{os.pathsep}{kept['PATH']}"
        with Path(folder, "log").open("ab") as log:
            process = subprocess.Popen(
                [self.home.programs / words[0], *words[1:]],
                cwd=self.home.work,
                env={**kept, **names, **self.environment, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks the process to stop, and ends its whole session if it takes long."""
    if process.poll() is None:
        process.terminate()
        until(lambda: process.poll() is not None, 10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(met: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Waits until the condition is met; False when the time is up."""
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def spans(folder: str, mark: str) -> list[float]:
    """When something began and ended, as the app has marked it; empty while it goes on."""
    path = Path(folder, mark)
    return [float(word) for word in path.read_text().split()] if path.exists() else []


def rate(count: int, begin: float, end: float) -> float:
    """So many in this time, per second."""
    return count / (end - begin)


def tail(folder: str) -> str:
    """The end of what a process wrote."""
    return Path(folder, "log").read_text(errors="replace")[-2000:]
