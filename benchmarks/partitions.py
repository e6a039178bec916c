"""What a job costs the servers when one queue is spread over the nodes of a Cluster, and how evenly they share it.

    python -m benchmarks.partitions [--rounds 3] [--jobs 100000] [--server valkey|redis] [--no-results]

Each round drains the same jobs three times with `chute work app:jobs --burst`: on one server, on a Cluster of one node, and on one of four
nodes with a queue of eight partitions. On few cores the rate says nothing about a Cluster, whose nodes are meant to have a machine each; what
counts is the servers' CPU time for a job: it must not grow with the nodes, and each must have its share. A node has work of its own that grows
with time and not with jobs, the gossip of the Cluster foremost: it is measured before each drain and shown apart.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import chute
from servers import Kind, Server, until
from topologies import Cluster

PARTITIONS = 8
IDLE = 2.0
"""Seconds for which the servers are watched doing nothing."""
APP = """
import os
import chute

jobs = chute.Queue("jobs", partitions=int(os.environ["BENCH_PARTITIONS"]) or None)


@jobs.task(result_ttl=int(os.environ["BENCH_TTL"]))
async def answer(question: str) -> dict[str, str]:
    return {"answer": "RAG is retrieval"}
"""
_COUNTED = ("cmdstat_evalsha", "cmdstat_hset", "cmdstat_lrange", "cmdstat_expire", "cmdstat_hget", "cmdstat_hmget")


class Round(NamedTuple):
    """One drain: jobs a second, the servers' CPU seconds, those of them that would have been spent idle, and what each of them was asked."""

    rate: float
    cpu: float
    idle: float
    commands: list[int]


@contextmanager
def one(kind: Kind) -> Iterator[tuple[list[Server], str, int]]:
    """A server alone."""
    with Server(kind) as server:
        yield [server], server.url, 0


@contextmanager
def cluster(kind: Kind, primaries: int) -> Iterator[tuple[list[Server], str, int]]:
    """A Cluster, with a queue in as many partitions whatever its nodes are."""
    with Cluster(kind, primaries=primaries, replicas=False) as formed:
        yield formed.servers, formed.url, PARTITIONS


def drain(servers: list[Server], url: str, partitions: int, options: argparse.Namespace) -> Round:
    """Fills the queue and lets one worker process drain it."""
    queue = chute.Queue("jobs", url=url, partitions=partitions or None)
    task = queue.task(name="answer")(_answer)
    queue.enqueue_many(task.bind("What is RAG?") for _ in range(options.jobs))
    resting = _cpu(servers)
    time.sleep(IDLE)
    idle = (_cpu(servers) - resting) / IDLE
    before = [_info(server) for server in servers]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(APP)
        words = [sys.executable, "-m", "chute", "work", "app:jobs", "--burst", "--url", url]
        env = {**os.environ, "BENCH_PARTITIONS": str(partitions), "BENCH_TTL": "0" if options.no_results else "3600"}
        began = time.perf_counter()
        subprocess.run(words, check=True, cwd=folder, env=env, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
    after = [_info(server) for server in servers]
    if not until(lambda: queue.depth() == 0, 1):
        sys.exit("not all jobs were done")
    costs = [new[0] - old[0] for old, new in zip(before, after, strict=True)]
    return Round(options.jobs / seconds, sum(costs), idle * seconds, [new[1] - old[1] for old, new in zip(before, after, strict=True)])


async def _answer(question: str) -> dict[str, str]:
    return {}


def _cpu(servers: list[Server]) -> float:
    return sum(_info(server)[0] for server in servers)


def _info(server: Server) -> tuple[float, int]:
    with server.new_client() as client:
        cpu: Any = client.info("cpu")
        stats: Any = client.info("commandstats")
    return cpu["used_cpu_user"] + cpu["used_cpu_sys"], sum(int(stats[name]["calls"]) for name in _COUNTED if name in stats)


def main(options: argparse.Namespace) -> None:
    """Prints a line for each shape: medians over the rounds."""
    shapes = {
        "one server": lambda: one(options.server),
        "1 node": lambda: cluster(options.server, 1),
        "4 nodes": lambda: cluster(options.server, 4),
    }
    rounds: dict[str, list[Round]] = {name: [] for name in shapes}
    for _ in range(options.rounds):
        for name, shape in shapes.items():
            with shape() as (servers, url, partitions):
                rounds[name].append(drain(servers, url, partitions, options))
    print(f"{options.server}, {options.jobs:,} jobs, {options.rounds} rounds, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    print(
        f"{'':12}{'jobs/s':>10}{'server µs/job':>16}{'of them idle':>14}{'jobs per server-CPU s, without':>32}{'commands, most/least':>22}"
    )
    for name, done in rounds.items():
        cost = statistics.median(each.cpu for each in done) / options.jobs
        idle = statistics.median(each.idle for each in done) / options.jobs
        even = statistics.median(max(each.commands) / min(each.commands) for each in done)
        rate = statistics.median(each.rate for each in done)
        print(f"{name:12}{rate:>10,.0f}{cost * 1e6:>16.2f}{idle * 1e6:>14.2f}{1 / (cost - idle):>32,.0f}{even:>22.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey")
    parser.add_argument("--no-results", action="store_true")
    main(parser.parse_args())
