"""A server, workers, `chute metrics` and a Prometheus that sees all of them; and the files in which handlers write down what they did.

What the handlers wrote knows nothing of metrics: it is what the figures of Prometheus are compared with.
"""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import redis

from contract.helpers import COMMAND, Work, environment, push
from deploy.prometheus import Prometheus
from scraping import base
from servers import Server, short_directory, until

APP = """
import asyncio
import json
import os
import time

import chute

jobs, many = chute.Queue("jobs"), chute.Queue("many")
OUT = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def run(seconds: float) -> None:
    began, context = time.time(), chute.context()
    await asyncio.sleep(seconds)
    line = [context.queue, context.task, context.job_id, context.attempt, began, time.time()]
    os.write(OUT, json.dumps(line).encode() + b"\\n")


@jobs.task(default=True)
async def answer(seconds: float) -> None:
    await run(seconds)


@jobs.task(retries=2, backoff=0.2)
async def flaky(seconds: float) -> None:
    await run(seconds)
    if chute.context().attempt == 1:
        raise RuntimeError("once more")


@jobs.task(retries=1, backoff=0)
async def hopeless(seconds: float) -> None:
    await run(seconds)
    raise RuntimeError("never")


@jobs.task
async def block(seconds: float) -> None:
    time.sleep(seconds)


@many.task(default=True)
async def small(seconds: float) -> None:
    await run(seconds)
"""


class Run(NamedTuple):
    """One run of a job, as its handler saw it."""

    queue: str
    task: str
    job_id: str
    attempt: int
    began: float
    ended: float


@dataclass
class Stage:
    """`pushed`: when each job was, by its id. `lengths`: what LLEN of the queue `jobs` said, and when."""

    server: Server
    client: redis.Redis
    prometheus: Prometheus
    fleet: Sequence[Work]
    runs_file: Path
    pushed: dict[str, float] = field(default_factory=dict)
    lengths: list[tuple[float, int]] = field(default_factory=list)

    def push(self, queue: str, prefix: str, count: int, **job: Any) -> None:
        """So many jobs that are due now."""
        now, ids = time.time(), [f"{prefix}{n}" for n in range(count)]
        push(self.client, queue, *[{"job_id": each, "@at": round(now * 1000), **job} for each in ids])
        self.pushed |= dict.fromkeys(ids, now)

    def runs(self, queue: str = "jobs") -> list[Run]:
        """What has been run."""
        lines = self.runs_file.read_text().splitlines() if self.runs_file.exists() else []
        return [run for run in (Run(*json.loads(line)) for line in lines) if run.queue == queue]

    def length(self) -> int:
        """LLEN of the queue `jobs`, noted."""
        before, length = time.time(), int(str(self.client.llen("queue:jobs")))
        self.lengths.append(((before + time.time()) / 2, length))
        return length

    def statuses(self) -> Counter[bytes]:
        """What the results of the jobs say that were pushed."""
        with self.client.pipeline(transaction=False) as pipe:
            for job in self.pushed:
                pipe.hget(f"result:{job}", "status")
            return Counter(status or b"" for status in pipe.execute())

    def all_ended(self) -> bool:
        """Whether each job that was pushed has ended; meanwhile LLEN is noted."""
        self.length()
        return not self.statuses().keys() - {b"completed", b"failed"}


@contextlib.contextmanager
def stage(*workers: tuple[str, Sequence[str]]) -> Iterator[Stage]:
    """`workers`: what of the app each `chute work` works, with which options. All are seen by Prometheus when this begins."""
    with contextlib.ExitStack() as stack:
        home = short_directory()
        (home / "app.py").write_text(APP)
        stack.callback(shutil.rmtree, home)
        server = stack.enter_context(Server("valkey", "--maxmemory", "256mb"))
        client = stack.enter_context(contextlib.closing(server.new_client()))
        client.sadd("queues", "jobs", "many")
        exporter = stack.enter_context(_exporter(server))
        fleet = [
            stack.enter_context(Work(f"app:{target}", server.url, "--metrics-port", "0", *options, cwd=home, RUNS=str(home / "runs")))
            for target, options in workers
        ]
        stack.callback(_end, fleet)
        targets = [re.sub("^http://", "", base(work, 60)) for work in fleet]  # a dozen start at once
        prometheus = stack.enter_context(Prometheus({"chute-queues": [exporter], "chute-workers": targets}))
        seen = f"sum(up) == {1 + len(fleet)} and count(chute_build_info) == {len(fleet)}"
        assert until(lambda: bool(prometheus.query(seen)), 20), prometheus.query("up")
        yield Stage(server, client, prometheus, fleet, home / "runs")


def _end(fleet: Sequence[Work]) -> None:
    """All at once."""
    for work in fleet:
        work.signal(signal.SIGTERM)
    for work in fleet:
        assert work.wait() == 0, work.stderr


@contextlib.contextmanager
def _exporter(server: Server) -> Iterator[str]:
    words = [*COMMAND, "metrics", "--port", "0", "--url", server.url]
    with subprocess.Popen(words, stderr=subprocess.PIPE, env=environment(), text=True) as process:
        try:
            assert process.stderr is not None
            (address,) = re.findall(r"figures at http://(\S+)/metrics", process.stderr.readline())
            yield address
        finally:
            process.terminate()
