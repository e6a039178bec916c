"""The `chute` command as a process, for tests that look at it from outside: one that ends (`chute`) and a worker that stays (`Work`).

Beside them: reading a result hash, and waiting for one. Knows nothing of the package but its command line and its public keys.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import redis

from servers import Server, children, short_directory, until

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-m", "chute"]
Result = dict[str, str]


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: nothing of the user's servers, quick beats."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CHUTE_URL", "REDIS_URL")}
    return {**kept, "CHUTE_BEAT": "0.2", "CHUTE_DEAD_AFTER": "1.5", **more}


class _Forks:
    """The process that runs commands, started with the first of them and ended with the last test. See `forks.py`."""

    wire: socket.socket | None = None

    @classmethod
    def start(cls) -> socket.socket:
        cls.wire, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [sys.executable, "-m", "contract.forks"], stdin=far, cwd=HERE.parent, env=environment(), start_new_session=True
        )
        far.close()
        atexit.register(process.wait)
        atexit.register(cls.wire.close)  # runs first, and is what ends it
        return cls.wire


def chute(
    *words: str, url: str | None = None, stdin: bytes = b"", cwd: Path = HERE, timeout: float = 20, **env: str
) -> subprocess.CompletedProcess[str]:
    """Runs `chute WORDS --url URL` to its end, without a terminal."""
    every = [*words, *([] if url is None else ["--url", url])]
    wire = _Forks.wire or _Forks.start()
    with contextlib.ExitStack() as files:
        given, out, err = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(stdin)
        given.seek(0)
        request = json.dumps({"words": every, "cwd": str(cwd), "env": environment(**env)})
        socket.send_fds(wire, [request.encode()], [each.fileno() for each in (given, out, err)])
        wire.settimeout(timeout)
        code = int(wire.recv(100))
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(every, code, out.read().decode(), err.read().decode())


def lines(text: str) -> list[Any]:
    """One JSON value a line."""
    return [json.loads(line) for line in text.splitlines()]


class Work:
    """A `chute work` process. Ends with its `with` block: by SIGTERM, and the block asserts exit 0 unless the test ended it before."""

    def __init__(self, target: str, url: str | None, *options: str, cwd: Path = HERE, **env: str) -> None:
        self._home = short_directory()
        self._out, self._err = self._home / "out", self._home / "err"
        where = [] if url is None else ["--url", url]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "work", target, *where, *options],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd,
                env=environment(**env),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                code = self.wait()
                assert kind is not None or code == 0, f"exit {code}: {self.stderr}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            for path in (self._out, self._err):
                path.unlink()
            self._home.rmdir()

    @property
    def stdout(self) -> str:
        """What it has written to stdout so far."""
        return self._out.read_text(errors="backslashreplace")

    @property
    def stderr(self) -> str:
        """What it has written to stderr so far."""
        return self._err.read_text(errors="backslashreplace")

    def children(self) -> list[int]:
        """The processes that it has started."""
        return children(self.process.pid)

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = 12) -> int:
        """Waits for its end and gives its exit code."""
        return self.process.wait(timeout)

    def ready(self, client: redis.Redis, *queues: str) -> Self:
        """Returns once it is a registered worker of all the queues."""
        assert until(lambda: self.process.poll() is not None or all(client.hlen(f"workers:{{queue:{name}}}") for name in queues), 15), (
            self.stderr
        )
        assert self.process.poll() is None, self.stderr
        return self


@contextlib.contextmanager
def working(server: Server, target: str, *queues: str, options: tuple[str, ...] = ()) -> Iterator[Work]:
    """A worker that is ready."""
    with Work(target, server.url, *options) as work, server.new_client() as client:
        yield work.ready(client, *queues)


def result(client: redis.Redis, job_id: str, seconds: float = 10) -> Result:
    """The result hash of a job, as soon as it tells an end; fails the test when none comes."""
    key = f"result:{job_id}"
    assert until(lambda: client.hget(key, "status") not in (None, b"running"), seconds), f"no result of {job_id}: {client.hgetall(key)}"
    return text(client.hgetall(key))


def text(fields: Mapping[bytes, bytes]) -> Result:
    """A hash of bytes as text."""
    return {name.decode(): value.decode() for name, value in fields.items()}


def push(client: redis.Redis, queue: str, *jobs: Mapping[str, Any] | bytes | str) -> None:
    """What any client of any language does: one LPUSH."""
    client.lpush(f"queue:{queue}", *[json.dumps(job) if isinstance(job, Mapping) else job for job in jobs])


def letters(client: redis.Redis, stream: str, queue: str) -> list[dict[str, bytes]]:
    """The entries of a stream of dead letters, oldest first."""
    return [
        {"entry": entry, **{name.decode(): value for name, value in fields.items()}}
        for entry, fields in client.xrange(f"{stream}:{{queue:{queue}}}")
    ]
