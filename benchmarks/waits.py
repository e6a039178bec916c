"""What somebody waits for while nothing else goes on: until a job starts, until its result is there, until due jobs are released."""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import chute
from benchmarks import stage
from benchmarks.scenario import Measured, Round, Scenario
from servers import Server, until

TIMES = 400
PAUSE = 0.003
"""Seconds in which a worker comes to rest."""
P50, P99 = "p50 ms", "p99 ms"
DUE = 100_000
SLOW = 5_000
"""Microseconds of one script call from which on it is noted."""


def _percentiles(system: str, seconds: list[float]) -> Iterator[Measured]:
    cuts = statistics.quantiles(seconds, n=100)
    yield system, P50, cuts[49] * 1000
    yield system, P99, cuts[98] * 1000


def pickup(now: Round) -> Iterator[Measured]:
    """From before a push until the job has started in another process, beside an asyncio BRPOP of redis-py in another process."""
    times = max(50, round(TIMES * now.scale))

    def bare(server: Server, out: Path) -> AbstractContextManager[object]:
        return stage.running([sys.executable, "brpop.py", server.socket], BENCH_OUT=str(out))

    def ours(server: Server, out: Path) -> AbstractContextManager[object]:
        return stage.working(server.url, "idle", BENCH_OUT=str(out))

    with stage.fresh(now.server) as server:
        for system, begin in (("BRPOP", bare), ("chute", ours)) if now.ceiling_first else (("chute", ours), ("BRPOP", bare)):
            yield from _percentiles(system, _picked_up(server, begin, times))
            stage.empty(server)


def _picked_up(server: Server, begin: Callable[[Server, Path], AbstractContextManager[object]], times: int) -> list[float]:
    waited = list[float]()
    with tempfile.TemporaryDirectory() as folder, server.new_client() as client:
        out = Path(folder, "out")
        with begin(server, out):
            for number in range(times):
                began = time.monotonic_ns()
                client.lpush("queue:jobs", stage.job(number, 12))
                if not until(lambda number=number: _lines(out) > number, 10):
                    raise TimeoutError("the job did not start")
                waited.append((int(out.read_text().split()[-1]) - began) / 1e9)
                time.sleep(PAUSE)
    return waited[times // 10 :]


def _lines(out: Path) -> int:
    return out.read_bytes().count(b"\n") if out.exists() else 0


def result(now: Round) -> Iterator[Measured]:
    """From the handler's return until `await job` and `job.wait()` have the value."""
    times = max(50, round(TIMES * now.scale))
    with stage.fresh(now.server) as server, tempfile.TemporaryDirectory() as folder:
        queue = chute.Queue("jobs", url=server.url)
        answer: Any = queue.task(name="answer")(_answer)
        with stage.working(server.url, "idle", BENCH_OUT=str(Path(folder, "out"))):
            yield from _percentiles("await", asyncio.run(_awaited(answer, times)))
            yield from _percentiles("result()", _resulted(answer, times))


async def _answer(question: str) -> int:
    return 0


async def _awaited(answer: Any, times: int) -> list[float]:
    waited = list[float]()
    for _ in range(times):
        job = await answer.aenqueue("What is RAG?")
        finished = await job.aresult(timeout=10)
        waited.append((time.monotonic_ns() - finished) / 1e9)
        await asyncio.sleep(PAUSE)
    await chute.aclose()
    return waited[times // 10 :]


def _resulted(answer: Any, times: int) -> list[float]:
    waited = list[float]()
    for _ in range(times):
        finished = answer.enqueue("What is RAG?").result(timeout=10)
        waited.append((time.monotonic_ns() - finished) / 1e9)
        time.sleep(PAUSE)
    return waited[times // 10 :]


def release(now: Round) -> Iterator[Measured]:
    """A hundred thousand jobs that are due in the same second: until all have run, and the script calls that were slow."""
    count = now.jobs(DUE)
    with stage.fresh(now.server) as server, server.new_client() as client, tempfile.TemporaryDirectory() as folder:
        queue = chute.Queue("jobs", url=server.url)
        answer: Any = queue.task(name="answer")(_answer)
        lead = 4 + count / 100_000 * 6
        began = time.monotonic()
        for start in range(0, count, 10_000):
            left = lead - (time.monotonic() - began)
            queue.enqueue_many(answer.options(delay=left).bind("What is RAG?") for _ in range(min(10_000, count - start)))
        until(lambda: time.monotonic() - began > lead - 1, lead)
        client.config_set("slowlog-log-slower-than", SLOW)
        client.slowlog_reset()
        with stage.working(server.url, "plain", BENCH_JOBS=str(count), BENCH_OUT=str(Path(folder, "out"))):
            until(lambda: time.monotonic() - began > lead, lead)
            released = _seconds_until(lambda: _scheduled(client) == 0)
        yield "chute", "s until all are released", released
        yield "chute", "script calls over 5 ms", float(_slow_scripts(client))


def _seconds_until(met: Callable[[], bool]) -> float:
    began = time.monotonic()
    if not until(met, stage.DEADLINE):
        raise TimeoutError("not all were released")
    return time.monotonic() - began


def _scheduled(client: Any) -> int:
    return int(client.zcard("scheduled:{queue:jobs}"))


def _slow_scripts(client: Any) -> int:
    return sum(1 for each in client.slowlog_get(128) if each["command"].lower().startswith(b"eval"))


SCENARIOS = (
    Scenario("pickup", "an idle worker: until the job has started", pickup),
    Scenario("result", "from the handler's return until the caller has the value", result),
    Scenario("release", "10^5 jobs due in the same second", release),
)
