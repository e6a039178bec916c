"""`chute server`: the embedded server, held in the foreground; and that every command finds it where no other is named."""

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from contract.helpers import COMMAND, HERE, Work, chute, environment
from servers import until


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    chute("server", "stop")


@contextlib.contextmanager
def holding(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A `chute server` process; what is left of it at the end is killed."""
    command = [*COMMAND, "server", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HERE, env=environment(), text=True) as held:
        try:
            yield held
        finally:
            held.kill()


def read_lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def test_it_says_where_it_is_and_ends_when_told() -> None:
    with holding() as held:
        url, cli = read_lines(held, 2)
        home = Path(os.environ["CHUTE_HOME"])
        assert url.startswith(f"unix://{home}")
        assert cli == f"redis-cli -s {url.removeprefix('unix://')}"
        with redis.Redis.from_url(url) as client:
            assert client.ping()
        assert oct(os.stat(url.removeprefix("unix://")).st_mode & 0o777) in ("0o700", "0o600")
        assert chute("push", "jobs", '{"job_id": "a", "question": "?"}').returncode == 0
        with Work("tasks:jobs", None, "--burst") as work:
            assert work.wait() == 0
            assert re.match(rf"chute \S+ · server {re.escape(url)} \(.*embedded.*\) · another: --url or CHUTE_URL\n", work.stderr)
        assert chute("result", "a").stdout == "answer: Answer to: ?\n"
        stopped = chute("server", "stop")
        assert stopped.returncode == 0
        with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
            client.ping()
        held.send_signal(signal.SIGINT)
        assert held.wait(10) == 0


def test_ctrl_c_lets_go_and_others_use_it_on() -> None:
    with holding() as held:
        (url,) = read_lines(held, 1)
        held.send_signal(signal.SIGINT)
        assert held.wait(10) == 0
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    assert chute("push", "jobs", '{"job_id": "kept"}').stdout == "kept\n"


def test_with_a_port_it_also_listens_on_loopback() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with holding("--port", str(port)) as held:
        said = read_lines(held, 3)
        assert f"redis://127.0.0.1:{port}" in said
        assert chute("push", "jobs", '{"job_id": "a"}', url=f"redis://127.0.0.1:{port}").returncode == 0
        held.send_signal(signal.SIGTERM)
        assert held.wait(10) == 0


def test_what_was_pushed_is_there_after_a_stop() -> None:
    assert chute("push", "jobs", '{"job_id": "kept"}').stdout == "kept\n"
    assert chute("server", "stop").returncode == 0
    assert chute("clear", "jobs", "--yes").stdout.split()[0] == "1"


def test_stopping_what_does_not_run_is_fine() -> None:
    assert chute("server", "stop").returncode == 0
    assert not until(lambda: Path(os.environ["CHUTE_HOME"], "sock").exists(), 0)
