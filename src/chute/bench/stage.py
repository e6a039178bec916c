"""The worker process of a bench: `chute work`, started as a user would, on a file that names the queue and what is run.

It ends with the bench, whatever ends that; what it said goes into a file and is told where it fails. The server's URL, which may have a password,
comes through a pipe: neither a file nor a command line has it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chute.bench.app import Plan
from chute.bench.report import Runs

GRACE = 3.0
"""Seconds that running jobs get at the end."""
START = 60.0
"""Seconds that a worker may take to start: an app may load a model first."""
LOOK, LOOK_FOR_ROOM = 0.05, 0.25
LAST_WORDS = 10
"""Lines of what the worker said that are told where it fails."""
_CODE = """from chute.bench.app import Plan, queue_of

jobs = queue_of({plan!r})
"""


class FailedError(Exception):
    """The worker did not do its part; the message has its last words."""


class Stage:
    """A folder for a worker process, and that process. `options`: words for `chute work`."""

    def __init__(self, folder: Path, options: tuple[str, ...]) -> None:
        self._folder = folder
        self._options = options
        self.url = folder / "url"
        """Tells the server's URL to whoever reads it."""
        self._log = folder / "log"
        self.out = folder / "runs"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, plan: Plan, *, burst: bool) -> None:
        """Starts the worker. Beside its own it needs the current directory, in which the user's module is."""
        module = plan.queue.replace("-", "_")
        (self._folder / f"{module}.py").write_text(_CODE.format(plan=plan))
        words = ["work", f"{module}:jobs", "--grace", f"{GRACE:g}", "--log-level", "warning", *self._options, *["--burst"] * burst]
        path = os.pathsep.join(filter(None, (str(self._folder), os.environ.get("PYTHONPATH"))))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chute", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # a Ctrl-C in the terminal is the bench's to answer
            )

    def await_ready(self, ready: Callable[[], bool]) -> None:
        """Returns once it works the queue, or has done so. Raises FailedError."""
        give_up = time.monotonic() + START
        while self.running() and not ready():
            if time.monotonic() > give_up:
                raise self.failed(f"the worker had not begun to work after {START:g} s")
            time.sleep(LOOK)

    def await_end(self, deadline: float, full: Callable[[], bool]) -> None:
        """Returns once it has ended by itself, the time is over, or there is no more room."""
        while self.process and self.running() and time.monotonic() < deadline and not full():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(LOOK_FOR_ROOM)

    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def runs(self) -> Runs:
        """Ends the worker; what it has noted. Raises FailedError where it has not."""
        code = self.end()
        if code or not self.out.exists():
            raise self.failed(f"the worker ended with exit code {code}")
        return msgspec.json.decode(self.out.read_bytes(), type=Runs)

    def end(self, *, at_once: bool = False) -> int:
        """Ends the worker, by force where it must; its exit code. `at_once`: without a grace for what runs."""
        if self.process is None:
            return 0
        for _ in range(2 if at_once else 1):
            if self.running():
                self.process.send_signal(signal.SIGTERM)
                time.sleep(LOOK * at_once)
        try:
            code = self.process.wait(GRACE + 5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            code = self.process.wait()
        self.process = None
        return code

    def failed(self, what: str) -> FailedError:
        """The error that says so, with the last words of the worker."""
        said = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return FailedError("\n".join([f"{what}; the last that it said:", *(said[-LAST_WORDS:] or ["(nothing)"])]))


@contextmanager
def stage(options: tuple[str, ...], url: str) -> Iterator[Stage]:
    """The folder, gone afterwards with the worker."""
    folder = Path(tempfile.mkdtemp(prefix="chute-bench-"))
    there, over = Stage(folder, options), threading.Event()
    os.mkfifo(there.url, 0o600)
    teller = threading.Thread(target=_tell, args=(there.url, url, over), name="chute bench", daemon=True)
    teller.start()
    try:
        yield there
    finally:
        there.end(at_once=True)
        over.set()
        os.close(os.open(there.url, os.O_RDONLY | os.O_NONBLOCK))  # it waits for who reads
        teller.join(1)
        shutil.rmtree(folder, ignore_errors=True)


def _tell(pipe: Path, url: str, over: threading.Event) -> None:
    """Writes the URL as a line for each who reads; who is still there may be told it twice."""
    while not over.is_set():
        with contextlib.suppress(BrokenPipeError), pipe.open("w") as out:
            out.write(f"{url}\n")
