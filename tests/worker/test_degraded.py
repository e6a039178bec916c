"""A server that is there and refuses: nothing is lost, it is left in peace, one line says so, and work goes on soon after it has healed."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import redis

from contract.helpers import Work, push, result
from servers import Kind, Server, StartServer, until

SECONDS = 4
SENT = ("evalsha", "script|load", "blmove", "hello", "hgetall", "hkeys", "xtrim")
"""Commands that a worker sends; `hello` stands for all that a new connection says. Others run inside of its scripts, or are these tests' own."""


@contextlib.contextmanager
def replica(client: redis.Redis, *_: object) -> Iterator[None]:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    client.execute_command("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def without_replicas(client: redis.Redis, *_: object) -> Iterator[None]:
    client.config_set("min-replicas-to-write", 1)
    yield
    client.config_set("min-replicas-to-write", 0)


@contextlib.contextmanager
def unsaved(client: redis.Redis, server: Server, _: object) -> Iterator[None]:
    """Its snapshots fail: the name of the file is that of a directory."""
    (server.directory / "taken").mkdir()
    client.config_set("dbfilename", "taken")
    client.config_set("save", "3600 1")
    client.bgsave()
    assert until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    yield
    client.config_set("save", "")


@contextlib.contextmanager
def busy(client: redis.Redis, _: object, other: redis.Redis) -> Iterator[None]:
    client.config_set("busy-reply-threshold", 100)

    def run() -> None:
        with contextlib.suppress(redis.RedisError):
            other.eval("while true do end", 0)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.2)
    yield
    client.execute_command("SCRIPT", "KILL")
    thread.join()


@contextlib.contextmanager
def full(client: redis.Redis, *_: object) -> Iterator[None]:
    client.config_set("maxmemory", 1)
    yield
    client.config_set("maxmemory", 0)


@contextlib.contextmanager
def locked(client: redis.Redis, *_: object) -> Iterator[None]:
    """The password was changed, and nobody told the worker."""
    client.config_set("requirepass", "another")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield
    client.config_set("requirepass", "")


Degraded = Callable[[redis.Redis, Server, redis.Redis], AbstractContextManager[None]]


def asked(client: redis.Redis) -> Counter[str]:
    """How many commands of the worker the server has had, refused ones too."""
    stats = {name.removeprefix("cmdstat_"): each for name, each in client.info("commandstats").items()}
    return Counter({name: each["calls"] + each["rejected_calls"] for name, each in stats.items() if name.startswith(SENT)})


@pytest.mark.parametrize("kind", ["valkey", "redis"])
@pytest.mark.parametrize("degraded", [replica, without_replicas, unsaved, busy, full, locked])
def test_a_server_that_refuses_is_left_in_peace(start_server: StartServer, tmp_path: Path, kind: Kind, degraded: Degraded) -> None:
    server = start_server(kind, "--enable-protected-configs", "yes")
    client, other, path = server.client(), server.client(), tmp_path / "ran"
    other.ping()  # its connection is not the worker's doing
    with Work("tasks:jobs", server.url, CHUTE_BEAT="5", CHUTE_DEAD_AFTER="30") as work:
        work.ready(client, "jobs")
        push(client, "jobs", *[{"job_id": f"s{n}", "@task": "slow", "seconds": 1, "path": str(path)} for n in range(20)])
        assert until(lambda: path.exists() and path.read_text().count("started") == 20)
        before = asked(client)
        since = time.monotonic()
        with degraded(client, server, other):
            time.sleep(SECONDS)  # the jobs end meanwhile
            during = None if degraded is busy else asked(client)
        during = (during or asked(client)) - before
        seconds = time.monotonic() - since  # more of them where the machine is busy
        for n in range(20):
            assert result(client, f"s{n}", 5)["status"] == "completed"
        push(client, "jobs", {"job_id": "after", "question": "?"})
        assert result(client, "after", 5)["status"] == "completed"
        assert path.read_text().count("started") == 20
        accepted = 4 * seconds + 20 if degraded is full else 0  # promotions, and a job that ends alone is a command
        assert during.total() <= 2 * seconds + accepted + 8, f"{during} in {seconds:.1f} s"
        assert work.process.poll() is None
        said = [line for line in work.stderr.splitlines() if "WARNING" in line]
        assert len(said) <= 8, work.stderr
        assert said or degraded is full
