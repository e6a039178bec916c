"""What scenarios are played on: a server that counts what it is asked, `chute work` as a user starts it, the ceiling, a slow network."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import redis

from benchmarks import ROOT
from benchmarks.peers.home import PythonHome
from servers import Kind, Server, children, free_port, until

APPS = Path(__file__).parent / "apps"
HOME = PythonHome("chute", ("redis", "hiredis", "msgspec", "uvloop"))
"""What `pip install 'chute[fast]'` brings, but for Chute itself."""
DEADLINE = 180.0
"""Seconds until a measurement is given up."""


class Spent(NamedTuple):
    """What a server has done since it was started: seconds of processor, commands (those inside scripts too), bytes in and out."""

    cpu: float
    commands: int
    bytes: int


class Drained(NamedTuple):
    """How a worker drained a queue. `worker`: microseconds of its processor a job; `peak`, `supervisor`: MB of memory; `spent` by the server."""

    rate: float
    worker: float
    peak: float
    supervisor: float
    spent: Spent


@contextmanager
def fresh(kind: Kind) -> Iterator[Server]:
    """A server that keeps nothing, on a unix socket and a loopback port."""
    with Server(kind, tcp=True) as server:
        yield server


def spent(server: Server) -> Spent:
    """What it has done by now."""
    with server.new_client() as client:
        info: Any = client.info("all")
    moved = info["total_net_input_bytes"] + info["total_net_output_bytes"]
    return Spent(info["used_cpu_user"] + info["used_cpu_sys"], info["total_commands_processed"], moved)


def since(before: Spent, after: Spent) -> Spent:
    """What was done between the two."""
    return Spent(*(new - old for old, new in zip(before, after, strict=True)))


def job(number: int, size: int) -> bytes:
    """A job as any program pushes it; its question has that many bytes."""
    return msgspec.json.encode({"job_id": f"job_{number}", "question": "What is RAG?".ljust(size)})


def push(server: Server, bodies: list[bytes]) -> None:
    """Bare LPUSH, many in a command."""
    with server.new_client() as client:
        at_once = max(1, min(1000, (4 << 20) // max(map(len, bodies))))
        for start in range(0, len(bodies), at_once):
            client.lpush("queue:jobs", *bodies[start : start + at_once])


@contextmanager
def running(words: list[str], **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A program, from the folder of the apps; what it said is shown when something goes wrong."""
    with tempfile.TemporaryFile() as said:
        env = {**os.environ, **variables}
        process = subprocess.Popen(words, cwd=APPS, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            yield process
        except BaseException:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace")[-2000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def working(url: str, app: str, *options: str, **variables: str) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """`chute work APP:jobs`, from the folder of the apps, in an environment that has what Chute needs and nothing else, as its users have: what
    the tests need beside it is loaded where it is found, by redis-py too, and takes memory."""
    if why := HOME.prepare():
        raise RuntimeError(why)
    python = str(HOME.programs / "python")
    return running([python, "-m", "chute", "work", f"{app}:jobs", *options], CHUTE_URL=url, PYTHONPATH=str(ROOT / "src"), **variables)


def drain(server: Server, app: str, bodies: list[bytes], *options: str, url: str = "") -> Drained:
    """Pushes the jobs, and lets one worker process do them. `url`: another way to that server."""
    push(server, bodies)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        before = spent(server)
        with working(url or server.url, app, *options, BENCH_JOBS=str(len(bodies)), BENCH_OUT=str(out)) as supervisor:
            _await(lambda: out.exists() or supervisor.poll() is not None, "the jobs were not done")
            with server.new_client() as client:
                until(lambda: not _unfinished(client), 10)
            peak = max(memory(child) for child in children(supervisor.pid))
            own = memory(supervisor.pid)
        after = spent(server)
        rate, worker = map(float, out.read_text().split())
    return Drained(rate, worker, peak, own, since(before, after))


def _unfinished(client: redis.Redis) -> bool:
    held: Any = client.keys("leases:*")
    return bool(held)


def memory(pid: int) -> float:
    """MB that a process has had resident at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def results(server: Server) -> int:
    """How many results are there."""
    with server.new_client() as client:
        return sum(1 for _ in client.scan_iter("result:*", count=10_000))


def ceiling(server: Server, jobs: int, size: int, *options: str, url: str = "") -> dict[str, float]:
    """What `ceiling` does with as many jobs on that server: `rate`, and microseconds a job of the `server` and of `python`."""
    words = [sys.executable, "-m", "benchmarks.ceiling", url or server.url, f"--jobs={jobs}", f"--bytes={size}", *options]
    done = subprocess.run(words, check=True, capture_output=True, timeout=DEADLINE, cwd=APPS.parents[1])
    said: dict[str, float] = json.loads(done.stdout)
    empty(server)
    return said


def empty(server: Server) -> None:
    """Nothing is left on it."""
    with server.new_client() as client:
        client.flushall()


@contextmanager
def network(server: Server, milliseconds: float) -> Iterator[str]:
    """A way to the server on which every byte takes so long in each direction; its URL."""
    port = free_port()
    words = [sys.executable, "-m", "benchmarks.delay", str(port), str(server.port), str(milliseconds)]
    process = subprocess.Popen(words, cwd=APPS.parents[1])
    try:
        with redis.Redis(port=port) as client:
            _await(lambda: _answers(client), "the network is not there")
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _await(met: Any, otherwise: str) -> None:
    end = time.monotonic() + DEADLINE
    while not met():
        if time.monotonic() > end:
            raise TimeoutError(f"{otherwise} in {DEADLINE:g} s")
        time.sleep(0.02)
