"""Rows S, the disk: it is full, it cannot be written, a bit of the server's file has turned, and the file takes its time to load."""

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import redis

from chaos.fleet import Failure, Skipped, Worker
from chaos.rows import APPEND_ONLY, Row
from chaos.rows.server import flows_again
from chaos.stage import Stage, Way
from scraping import get
from servers import Server, send, until

FILES = "appendonlydir"
LOGGED = ("--appendonly", "yes", "--appendfsync", "everysec")
EXPOSED = ("--metrics-port", "0")
SMALL, LARGE = "size=4m", "size=64m"
LONG = 10
"""So many hundred thousand writes make a file that takes a second or more to load."""


@contextlib.contextmanager
def disk(where: Path, size: str) -> Iterator[None]:
    """A disk of that size there. Raises Skipped where none can be mounted."""
    where.mkdir(exist_ok=True)
    try:
        mount("-t", "tmpfs", "-o", size, "chaos", str(where))
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skipped(f"no disk can be mounted here: {error}") from None
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", where], check=True)  # the server that uses it ends later


def mount(*words: str) -> None:
    """mount, which needs a right that not everybody has."""
    subprocess.run(["mount", *words], check=True, capture_output=True)


def fills(stage: Stage) -> None:
    """No room for the server's file: it refuses all until there is some; one that syncs always ends itself, and is started by hand."""
    server, where = stage.server, stage.server.directory / "disk"
    there = _anew(stage, where, *LOGGED)
    ready = exposed(stage)
    stage.produce(150)
    for _ in range(stage.times):
        time.sleep(0.5)
        stage.strike_server("disk full", lambda: _full(where, lambda: _refuses_for_a_while(stage, ready)))
        flows_again(stage)
        stage.client.config_set("appendfsync", "always")
        stage.strike_server("disk full, sync always", lambda: (_full(where, lambda: _ends(server)), server.start(*there)))
        flows_again(stage)


def cannot_save(stage: Stage) -> None:
    """Snapshots fail, since the disk can only be read: the server refuses writes until one succeeds."""
    where = stage.server.directory / "disk"
    _anew(stage, where)
    ready = exposed(stage)
    stage.produce(150)

    def act() -> None:
        mount("-o", "remount,ro", str(where))
        stage.client.config_set("save", "1 1")
        _refuses_for_a_while(stage, ready)
        mount("-o", "remount,rw", str(where))
        until(lambda: bool(_saves(stage)), 10)

    for _ in range(stage.times):
        time.sleep(0.5)
        stage.strike_server("snapshots fail", act)
        flows_again(stage)
        stage.client.config_set("save", "")


def is_corrupt(stage: Stage) -> None:
    """A byte in the middle of the file has turned: the server does not start with it. The workers wait for whoever brings the file of yesterday,
    here the same one with the byte as it was."""
    stage.workers(2)
    stage.produce(150)

    def act() -> None:
        stage.server.kill()
        (file,) = (stage.server.directory / FILES).glob("*.incr.aof")
        good = file.read_bytes()
        at = good.index(b"\r\n*", len(good) // 2) + 2
        file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        refused = False
        try:
            stage.server.start()
        except RuntimeError:
            refused = True
        stage.expect(refused, "the server started with a file that is corrupt")
        stage.expect("Bad file format" in stage.server.log(), f"the server does not say why: {stage.server.log()[-200:]}")
        time.sleep(2)
        gone = [worker for worker in stage.fleet.workers if worker.wait(0) is not None]
        stage.expect(not gone, f"{len(gone)} workers ended while they waited for the server")
        file.write_bytes(good)
        stage.server.start()

    for _ in range(stage.times):
        time.sleep(1)
        stage.strike_server("a byte of the file has turned", act)
        flows_again(stage)


def loads_long(stage: Stage) -> None:
    """The server is there again, and loads its data first."""
    stage.workers(2)
    stage.produce(150)
    for _ in range(LONG):
        send(stage.client, "EVAL", "for i = 1, 100000 do redis.call('LPUSH', KEYS[1], 'an entry of some length') end", 1, "long")
    for _ in range(stage.times):
        time.sleep(0.5)
        loading = 0

        def act() -> None:
            nonlocal loading
            loading = _counts_loading(stage.server)

        stage.strike_server("kill -9, and a long file to load", act)
        stage.expect(loading > 0, "nobody saw the server load its data")
        flows_again(stage)
    stage.client.delete("long")


def _counts_loading(server: Server) -> int:
    """Kills the server, starts it again; how often it said meanwhile that it loads its data."""
    server.kill()
    over, said = threading.Event(), 0

    def look() -> None:
        nonlocal said
        while not over.wait(0.02):
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError), server.new_client() as client:
                try:
                    client.ping()
                except redis.BusyLoadingError:
                    said += 1

    looks = threading.Thread(target=look)
    looks.start()
    try:
        server.start()
    finally:
        over.set()
        looks.join()
    return said


def _anew(stage: Stage, where: Path, *options: str) -> tuple[str, ...]:
    """The server again, with its data on a small disk of its own; the options for that."""
    there = ("--dir", str(where), "--logfile", str(stage.server.directory / "log"), *options)
    stage.server.kill()
    stage.open(disk(where, SMALL))
    stage.server.start(*there)
    return there


def _full(where: Path, act: Callable[[], None]) -> None:
    """Does it while the disk is full; then it is a larger one."""
    rest = where / "rest"
    with rest.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    act()
    mount("-o", f"remount,{LARGE}", str(where))
    rest.unlink()


def _refuses_for_a_while(stage: Stage, ready: Callable[[], bool]) -> None:
    """Waits until the server refuses, and some seconds more; whoever asks the worker hears that it is not ready."""
    if not until(partial(_refuses, stage), 10):
        raise Failure("the server did not refuse writes within 10 s")
    stage.expect(until(lambda: not ready(), stage.limit(6)), "/readyz was green while the server refused everything")
    time.sleep(1)


def _refuses(stage: Stage) -> bool:
    try:
        stage.client.set("probe", 1, ex=60)
    except redis.ResponseError as error:
        return str(error).startswith("MISCONF")
    return False


def _saves(stage: Stage) -> bool:
    with contextlib.suppress(redis.ResponseError):
        stage.client.bgsave()
    return str(stage.client.info("persistence")["rdb_last_bgsave_status"]) == "ok"


def _ends(server: Server) -> None:
    if not until(lambda: not server.running(), 10):
        raise Failure("the server that syncs always did not end on a full disk")


def exposed(stage: Stage, via: Way | None = None) -> Callable[[], bool]:
    """Two workers; whether the first says at /readyz that it is ready."""
    first = stage.workers(2, *EXPOSED, via=via)[0]
    page = f"{_figures(first)}/readyz"
    return lambda: get(page)[0] == 200


def _figures(worker: Worker) -> str:
    found: list[str] = []

    def told() -> bool:
        found[:] = re.findall(r"figures at (http://\S+)/metrics", worker.log.read_text())
        return bool(found)

    if not until(told, 10):
        raise Failure(f"the worker does not say where its figures are: {worker.last_words()}")
    return found[0]


_HEALED = "nothing lost, work goes on when it is healed"
ROWS = (
    Row("S03", "a byte of the server's file has turned", "the server does not start, the workers wait", is_corrupt, 1, resume=5.0, options=APPEND_ONLY),
    Row("S07", "the server loads a million entries", "nothing lost, work goes on when it has loaded", loads_long, 1, resume=2.0, options=APPEND_ONLY),
    Row("S08", "the disk of the server's file is full", _HEALED, fills, 2, resume=5.0),
    Row("S09", "snapshots fail", _HEALED, cannot_save, 1, resume=5.0),
)  # fmt: skip
