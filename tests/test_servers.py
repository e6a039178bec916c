"""The test servers themselves: they are clean, they find leaks, and they end with whoever started them."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leaks import leaks
from servers import Server, StartServer, binary, free_port, left_behind, send, short_directory, until

_STARTER = """
import sys, time
from servers import Server
server = Server("valkey")
server.start()
print(server.process.pid, server.directory, flush=True)
time.sleep(60)
"""


def test_a_server_is_new_for_each_test(server: Server) -> None:
    client = server.client()
    client.set("left", 1)
    client.config_set("maxmemory", "1gb")
    client.config_set("proto-max-bulk-len", "2mb")
    sha = client.script_load("return 1")
    server.reset()
    assert client.dbsize() == 0
    assert client.config_get("maxmemory") == {"maxmemory": "0"}
    assert client.config_get("proto-max-bulk-len") == {"proto-max-bulk-len": str(512 << 20)}
    assert client.script_exists(sha) == [False]


def test_a_port_is_given_once_and_to_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, set[int]] = {}
    for name in ("gw0", "gw7"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", name)
        ports = [free_port() for _ in range(200)]
        given[name] = set(ports)
        assert len(given[name]) == len(ports), "one that nobody listens on yet was given again"
    assert not given["gw0"] & given["gw7"]


def test_each_server_says_what_it_is(each_server: Server) -> None:
    info = each_server.client().info("server")
    assert ("valkey_version" in info) == (each_server.kind == "valkey")
    assert info["tcp_port"] == 0


@pytest.mark.parametrize(
    "leaving",
    [
        ("SET", "surprise", "1"),
        ("HSET", "leases:{queue:jobs}:w", "1001", "a"),
        ("HSET", "workers:{queue:jobs}", "w", "1", "@paused", "1"),
        ("HSET", "result:a", "status", "completed"),
        ("SET", "tags:{queue:jobs}:more", "1"),
    ],
)
def test_a_leak_is_found(start_server: StartServer, leaving: tuple[str, ...]) -> None:
    client = start_server("valkey").client()
    send(client, *leaving)
    assert leaks(client, set()) == [leaving[1]]
    assert leaks(client, {leaving[1].split(":")[0]}) == []
    client.expire(leaving[1], 60)
    assert leaks(client, set()) == []


def test_what_may_stay_is_no_leak(start_server: StartServer) -> None:
    client = start_server("valkey").client()
    client.sadd("queues", "jobs")
    client.lpush("queue:jobs", "a")
    for kind in ("tags", "cancelled", "first", "scheduled", "dead", "refused", "cron"):
        client.set(f"{kind}:{{queue:jobs}}", 1)
    client.hset("workers:{queue:jobs}", "@paused", "1")
    assert leaks(client, set()) == []


def test_a_server_of_ones_own_listens_where_it_says(start_server: StartServer) -> None:
    server = start_server("valkey", "--maxmemory", "50mb", tcp=True)
    client = server.client(unix_socket_path=None, host="127.0.0.1", port=server.port)
    assert client.config_get("maxmemory") == {"maxmemory": str(50 << 20)}
    assert len(server.socket) < 108


def test_a_killed_server_can_be_started_again(start_server: StartServer) -> None:
    server = start_server("valkey")
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    server.kill()
    assert not server.running()
    server.start()
    assert server.client().ping()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
def test_a_server_ends_when_its_starter_is_killed() -> None:
    command = [sys.executable, "-c", _STARTER]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)})
    assert starter.stdout is not None
    with starter, starter.stdout:
        pid, directory = starter.stdout.readline().decode().split()
        starter.kill()
        starter.wait()
    Path(directory, "log").unlink()
    assert until(lambda: not Path("/proc", pid).exists() or Path("/proc", pid, "stat").read_text().split()[2] == "Z", 5)
    Path(directory, "s").unlink(missing_ok=True)
    Path(directory).rmdir()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_process_left_behind_is_seen() -> None:
    home = short_directory() / "home"
    home.mkdir()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd=home) as process:
        shutil.rmtree(home.parent)
        seen = [line for line in left_behind() if line.startswith(f"{process.pid}:")]
        process.kill()
    assert len(seen) == 1, "also where its directory is gone"
    assert not [line for line in left_behind() if line.startswith(f"{process.pid}:")]


def test_the_environment_names_no_server() -> None:
    assert "CHUTE_URL" not in os.environ
    assert "REDIS_URL" not in os.environ
    assert not Path(os.environ["CHUTE_HOME"]).exists()
    assert len(os.environ["CHUTE_HOME"]) < 60


def test_both_programs_are_found() -> None:
    assert binary("valkey") is not None
