"""The keeper: the server is there as long as somebody needs it, whoever started it and whatever is killed, and its data after that."""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chute import keeper, server, settings
from chute.errors import ServerUnavailable
from embedded import client, gone, keeper_pid, server_pid, starts, stat, user
from servers import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc; and only Linux ends a child with its parent")


@pytest.fixture(autouse=True)
def home() -> Iterator[Path]:
    """A home of its own, not there yet; what was started in it ends with the test."""
    yield settings.home()
    with contextlib.suppress(ServerUnavailable):  # a home that cannot be used has nothing to stop
        server.stop()


def test_the_keeper_is_nobodys_child_and_has_no_terminal() -> None:
    code = "server.ensure()\ntry: print(os.waitpid(-1, os.WNOHANG))\nexcept ChildProcessError: print('no child')"
    first = user(code)
    assert first.communicate(timeout=30)[0] == "no child\n"
    _, parent, _, session = stat(keeper_pid())
    assert int(parent) != first.pid
    assert int(session) not in (first.pid, os.getsid(0))
    fds = [os.readlink(f"/proc/{keeper_pid()}/fd/{fd}") for fd in range(3)]
    assert fds == ["/dev/null", str(server.log_path()), str(server.log_path())]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_outlives_its_first_user(how: signal.Signals) -> None:
    first = user("server.ensure(); print('up', flush=True); sys.stdin.read()", new_session=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "up\n"
    before = server_pid()
    os.killpg(first.pid, how)
    first.communicate(timeout=10)
    server.ensure()
    assert server_pid() == before


def test_it_ends_when_nobody_has_come_for_a_while() -> None:
    url = server.ensure(idle=0.6)
    before = server_pid()
    with client(url) as connected:
        connected.ping()
        time.sleep(1.5)  # a client that only sits there counts
        connected.set("kept", "yes")
    for _ in range(15):  # and so do short visits
        time.sleep(0.1)
        assert server_pid() == before
    left = time.monotonic()
    assert until(lambda: not server.socket_path().exists())
    assert time.monotonic() - left >= 0.5
    assert until(lambda: "no client for 0.6 s" in server.log_path().read_text() and not server._locked())
    with client(server.ensure()) as connected:
        assert connected.get("kept") == "yes"


def test_whoever_comes_at_the_last_moment_is_not_sent_away(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.ensure()
    monkeypatch.chdir(home)
    with keeper.dial("server.sock", 5) as ours, keeper.dial("server.sock", 5) as keepers:
        keeper.ask(ours, "PING")
        _, visits = keeper._census(keepers)
        # Both are connected here; the keeper of this server makes the third.
        assert not keeper._close_door(keepers, visits)
        assert server.running()


def test_a_signal_to_the_keeper_ends_both_whatever_its_starter_had_blocked() -> None:
    user("signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD}); server.ensure()").communicate(timeout=30)
    pids = server_pid(), keeper_pid()
    os.kill(pids[1], signal.SIGTERM)
    assert until(lambda: all(gone(pid) for pid in pids))
    assert "ready to exit" in server.log_path().read_text()


@pytest.mark.parametrize("victim", [server_pid, keeper_pid])
def test_a_killed_half_takes_the_other_along_and_the_next_pair_has_the_data(victim: Callable[[], int]) -> None:
    with client(server.ensure()) as connected:
        connected.lpush("queue:a", "one")
    pids = server_pid(), keeper_pid()
    os.kill(victim(), signal.SIGKILL)
    assert until(lambda: gone(pids[0]))
    with client(server.ensure()) as connected:
        assert connected.lrange("queue:a", 0, -1) == ["one"]
    assert gone(pids[1])
    assert server_pid() not in pids


def test_a_suspended_server_is_waited_for_and_not_replaced() -> None:
    server.ensure(idle=0.6)
    pid = server_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ServerUnavailable, match=r"not ready after 0\.5 s: its log, .*server\.log"):
            server.ensure(timeout=0.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    server.ensure()
    assert (server_pid(), starts()) == (pid, 1)


def test_stale_files_are_no_hindrance(home: Path) -> None:
    home.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(home / "server.sock"))
    for name in ("server.lock", "start.lock", "server.sock.closing"):
        (home / name).write_text("4711\n")
    assert not server.running()
    server.ensure()
    assert server.version()
    assert not (home / "server.sock.closing").exists()


def test_a_lost_socket_makes_room_for_the_next_server() -> None:
    with client(server.ensure(idle=3)) as connected:
        connected.set("kept", "yes")
        before = server_pid()
        server.socket_path().unlink()
        server.ensure()
    with client(server.url()) as connected:
        assert connected.get("kept") == "yes"
    assert gone(before)


def test_no_server_is_started_beside_one_that_is_still_there() -> None:
    with client(server.ensure()) as connected:
        connected.lpush("queue:a", "one")
    old, its_keeper = server_pid(), keeper_pid()
    os.kill(old, signal.SIGSTOP)  # cannot end now, though it loses keeper and socket
    os.kill(its_keeper, signal.SIGKILL)
    server.socket_path().unlink()
    with pytest.raises(ServerUnavailable, match="not ready"):
        server.ensure(timeout=0.5)
    assert starts() == 1
    os.kill(old, signal.SIGCONT)
    with client(server.ensure()) as connected:
        assert connected.lrange("queue:a", 0, -1) == ["one"]
    assert gone(old)
    assert starts() == 2
