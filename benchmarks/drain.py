"""How fast a plain `chute work app:jobs` drains a queue, beside its ceiling, in one run.

    python benchmarks/drain.py [--rounds 5] [--jobs 200000] [--bytes 12] [--server valkey|redis]

Each round starts a throw-away server, measures the ceiling (`ceiling.py`), then fills the queue by bare LPUSH from this process and starts the
worker on a file. The rate is the handler's own: calls after the first, over the time from the first to the last. Results and all defaults are
on. Absolute figures move with the machine; the ratio is the point.
"""

import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import redis

from chute import server as embedded

HERE = Path(__file__).resolve().parent
APP = """
import os, time
import chute

jobs = chute.Queue("jobs")
count, started, total = 0, 0.0, int(os.environ["BENCH_JOBS"])


@jobs.task
async def answer(question: str) -> dict[str, str]:
    global count, started
    if not count:
        started = time.perf_counter()
    count += 1
    if count == total:
        with open(os.environ["BENCH_OUT"], "w") as out:
            out.write(str((total - 1) / (time.perf_counter() - started)))
    return {"answer": "RAG is retrieval"}
"""


@contextmanager
def throw_away(kind: str) -> Iterator[str]:
    """A server of its own that keeps nothing; its URL."""
    folder = Path(tempfile.mkdtemp(prefix="chute-bench-"))
    binary = embedded.binary() if kind == "valkey" else shutil.which("redis-server")
    if not binary:
        sys.exit("no redis-server on the PATH")
    socket = folder / "s"
    process = subprocess.Popen([binary, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder, "--logfile", folder / "log"])
    try:
        client = redis.Redis(unix_socket_path=str(socket))
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.02)
        client.close()
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def ceiling(url: str, options: argparse.Namespace) -> float:
    """The ceiling's rate."""
    argv = [sys.executable, str(HERE / "ceiling.py"), url, f"--jobs={options.jobs}", f"--bytes={options.bytes}"]
    words = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    return float(words[1])


def chute(url: str, options: argparse.Namespace) -> tuple[float, float, float]:
    """The worker's rate, the server's cost in us a job, the worker's peak memory in MB."""
    client = redis.Redis.from_url(url)
    client.flushall()
    question = "What is RAG?".ljust(options.bytes)
    for start in range(0, options.jobs, 1000):
        client.lpush("queue:jobs", *[msgspec.json.encode({"job_id": f"job_{i}", "question": question}) for i in range(start, start + 1000)])
    with tempfile.TemporaryDirectory(prefix="chute-bench-") as folder:
        out = Path(folder, "rate")
        Path(folder, "app.py").write_text(APP)
        env = {**os.environ, "BENCH_JOBS": str(options.jobs), "BENCH_OUT": str(out), "CHUTE_URL": url}
        before = _cpu(client)
        worker = subprocess.Popen([sys.executable, "-m", "chute", "work", "app:jobs"], cwd=folder, env=env, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 120
            while not out.exists() or not out.read_text():
                if worker.poll() is not None or time.monotonic() > deadline:
                    sys.exit("the worker did not drain the queue")
                time.sleep(0.05)
            time.sleep(0.2)
            memory = (
                int(next(line for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines() if "VmHWM" in line).split()[1]) / 1024
            )
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(20)
        cost = (_cpu(client) - before) * 1e6 / options.jobs
        done = sum(1 for _ in client.scan_iter("result:*", count=10_000))
        if done != options.jobs:
            sys.exit(f"{options.jobs - done} results are missing")
        return float(out.read_text()), cost, memory


def _cpu(client: "redis.Redis") -> float:
    info = client.info("cpu")
    return info["used_cpu_user"] + info["used_cpu_sys"]


def main(options: argparse.Namespace) -> None:
    """Rounds, then the medians."""
    print(f"Python {platform.python_version()}, {options.server}, {options.jobs:,} jobs, question of {options.bytes} bytes")
    ratios: list[float] = []
    for number in range(1, options.rounds + 1):
        with throw_away(options.server) as url:
            most = ceiling(url, options)
            rate, cost, memory = chute(url, options)
        ratios.append(rate / most)
        line = f"round {number}: chute {rate:,.0f}/s  ceiling {most:,.0f}/s  ratio {rate / most:.2f}  server {cost:.1f} us/job  worker {memory:.0f} MB"
        print(line, flush=True)
    print(f"ratio: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--bytes", type=int, default=12, help="length of the question")
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey")
    main(parser.parse_args())
