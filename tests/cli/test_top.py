"""`chute top` in a real terminal: what it shows, what its keys do to the server, and that the terminal is afterwards as it was."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from types import TracebackType
from typing import Any, Self

import pytest

from contract.helpers import COMMAND, HERE, chute, environment, push, working
from servers import Server, StartServer, until

pytestmark = pytest.mark.leaves("workers", "leases")
SCREEN_LEFT = b"\x1b[?1049l"


class Top:
    """A running `chute top` on a terminal of its own."""

    def __init__(self, url: str, *words: str, width: int = 80, height: int = 24, **env: str) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._before: list[Any] = termios.tcgetattr(self._slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [*COMMAND, "top", *words, "--url", url],
            stdin=self._slave, stdout=self._slave, stderr=self._slave, cwd=HERE, env=environment(**{"TERM": "xterm-256color", **env}),
            preexec_fn=self._own_terminal,  # noqa: PLW1509 - one system call, before any thread exists there
            start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        for fd in (self._master, self._slave):
            os.close(fd)

    def _own_terminal(self) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)

    def type(self, keys: str) -> None:
        """Presses keys; what was shown before counts for nothing."""
        self.seen = b""
        os.write(self._master, keys.encode())

    def shows(self, text: str, seconds: float = 15) -> bool:
        """Whether the screen comes to show a text."""
        end = time.monotonic() + seconds
        while text.encode() not in self.seen and time.monotonic() < end:
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            self.seen += os.read(self._master, 65536)
        return text.encode() in self.seen

    def ended(self) -> int:
        """How it ended; the screen was left, the cursor is there, and the terminal behaves as before."""
        assert self.shows(SCREEN_LEFT.decode())
        code = self.process.wait(10)
        while select.select([self._master], [], [], 0)[0]:
            self.seen += os.read(self._master, 65536)
        assert self.seen.rindex(b"\x1b[?25h") > self.seen.rfind(b"\x1b[?25l"), "the cursor is shown"
        assert termios.tcgetattr(self._slave) == self._before
        return code


def test_keys_change_the_state_of_the_server(server: Server) -> None:
    client = server.client()
    client.sadd("queues", "alpha", "beta")
    for n in range(3):
        client.xadd(
            "dead:{queue:beta}", {"body": f'{{"job_id": "d{n}"}}', "job_id": f"d{n}", "reason": "failed", "error": "ValueError: it is so"}
        )
    client.xadd("refused:{queue:beta}", {"body": "x", "length": "2000000", "reason": "too_large"})
    with Top(server.url) as top:
        assert top.shows("ValueError: it is so")
        top.type("p")
        assert top.shows("queue alpha is paused")
        assert client.hkeys("workers:{queue:alpha}") == [b"@paused"]
        top.type("\x1b[Bp")
        assert top.shows("queue beta is paused")
        top.type("r")
        assert top.shows("queue beta goes on")
        assert not client.exists("workers:{queue:beta}")
        assert client.exists("workers:{queue:alpha}")
        top.type("R")
        assert top.shows("requeue all 4 dead letters of queue beta? y/n")
        top.type("n")
        assert top.shows("nothing was requeued")
        assert client.xlen("dead:{queue:beta}") == 3
        top.type("Ry")
        assert top.shows("3 requeued; 1 cannot be")
        assert [client.xlen("dead:{queue:beta}"), client.llen("queue:beta"), client.xlen("refused:{queue:beta}")] == [0, 3, 1]
        top.type("kr")
        assert top.shows("queue alpha goes on")
        assert not client.exists("workers:{queue:alpha}")
        top.type("q")
        assert top.ended() == 0


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 20)])
def test_a_loaded_server(server: Server, width: int, height: int) -> None:
    client = server.client()
    with working(server, "tasks:jobs", "jobs", options=("--concurrency", "2", "--grace", "0")):
        push(client, "jobs", {"job_id": "boom", "@task": "boom", "word": "a failure"}, *[{"question": "?"} for _ in range(100)])
        push(client, "jobs", *[{"job_id": f"s{n}", "@task": "slow", "seconds": 60} for n in range(5)])
        assert until(lambda: not client.exists("queue:jobs") or client.llen("queue:jobs") == 3)
        with Top(server.url, "jobs", width=width, height=height) as top:
            assert top.shows("slow s0")
            assert top.shows("a failure")
            assert top.shows("/2")
            top.type("p")
            assert top.shows("is paused")
            top.type("q")
            assert top.ended() == 0
        client.hdel("workers:{queue:jobs}", "@paused")
    client.delete("queue:jobs")


@pytest.mark.parametrize(("how", "code"), [("\x03", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_however_it_ends_the_terminal_is_as_it_was(server: Server, how: str | int, code: int) -> None:
    server.client().sadd("queues", "jobs")
    with Top(server.url) as top:
        assert top.shows("q quit")
        if isinstance(how, str):
            top.type(how)
        else:
            top.process.send_signal(how)
        assert top.ended() == code


def test_a_server_that_goes_away_is_waited_for(start_server: StartServer) -> None:
    server = start_server("valkey")
    server.client().sadd("queues", "jobs")
    with Top(server.url) as top:
        assert top.shows("jobs")
        server.kill()
        assert top.shows("trying again")
        server.start()
        server.client().sadd("queues", "jobs", "another")
        top.seen = b""
        assert top.shows("another")
        top.type("q")
        assert top.ended() == 0


def test_without_a_terminal_it_says_what_to_use(server: Server) -> None:
    done = chute("top", url=server.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "chute stats --json" in done.stderr


def test_what_is_wrong_is_said_before_the_screen_is_taken(server: Server) -> None:
    for words, url, code, said in (((), "redis://127.0.0.1:1", 4, "cannot reach"), (("a:b",), server.url, 2, "not a queue name")):
        with Top(url, *words) as top:
            assert top.shows(said)
            assert top.process.wait(10) == code
            assert b"\x1b[?1049h" not in top.seen
    with Top(server.url, TERM="dumb") as top:
        assert top.shows("needs a terminal")
        assert top.process.wait(10) == 2
