"""What the demo runs on: a home directory of its own, the embedded server in it, and one `chute work` process. `run` plays on it.

Whatever ends the demo, be it Ctrl-C at any moment, all three are gone afterwards. It must never touch the user's own embedded server.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from chute import server

WORK = ("work", "chute.demo.app:jobs")
GRACE = 10.0
"""Seconds that the worker gets to end by itself."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LONGEST_BASE = 60
"""Bytes of the directory for temporary files; below a longer one the socket's path might be too long."""


class Interrupted(BaseException):
    """A signal asks the demo to end. Not an Exception, so that nothing on the way takes it for a failure of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class FailedError(Exception):
    """The demo cannot go on; the message tells why, and what the worker said."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is running."""

    url: str
    server_version: str
    worker: subprocess.Popen[bytes]
    worker_log: Path

    def check(self) -> None:
        """Raises FailedError if the worker is not there any more."""
        if (code := self.worker.poll()) is not None:
            said = self.worker_log.read_text(errors="replace").strip().splitlines()[-15:]
            raise FailedError("\n".join([f"the worker ended with exit code {code}; the last that it said:", *(said or ["(nothing)"])]))


class Signals:
    """While it is entered, the first SIGINT, SIGTERM or SIGHUP raises Interrupted, unless held; later ones are ignored."""

    def __init__(self) -> None:
        self._holding = False
        self._came: int | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Signals":
        self._previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def hold(self) -> None:
        """From here on a signal is only noted: what is begun now must be done to its end."""
        self._holding = True

    def let_go(self) -> None:
        """Raises Interrupted if a signal came meanwhile, and lets later ones raise it."""
        self._holding = False
        if self._came is not None:
            raise Interrupted(self._came)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._came is None:
            self._came = number
            if not self._holding:
                raise Interrupted(number)


@contextmanager
def stage(signals: Signals) -> Generator[Stage]:
    """Sets everything up, and takes it down again in the opposite order."""
    with ExitStack() as stack:
        # Between making a thing and noting how to unmake it there must be no interruption.
        signals.hold()
        home = _make_home(stack)
        url = server.ensure()
        stack.callback(server.stop)
        log = home / "worker.log"
        worker = _start_worker(log)
        stack.callback(_end, worker)
        stack.callback(signals.hold)
        signals.let_go()
        yield Stage(url, server.version(), worker, log)


def _make_home(stack: ExitStack) -> Path:
    """A fresh home directory, in which this process and its children see an embedded server and no other."""
    base = tempfile.gettempdir()
    home = Path(tempfile.mkdtemp(prefix="chute-demo-", dir=base if len(os.fsencode(base)) <= _LONGEST_BASE else "/tmp"))  # noqa: S108
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    before = dict(os.environ)
    os.environ["CHUTE_HOME"] = str(home)
    for name in ("CHUTE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    stack.callback(_restore_environment, before)
    return home


def _restore_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _start_worker(log: Path) -> subprocess.Popen[bytes]:
    # In a session of its own: a Ctrl-C in the terminal is the demo's to answer, and a grandchild that hangs can be killed with the rest.
    with log.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "chute", *WORK],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    try:
        worker.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
