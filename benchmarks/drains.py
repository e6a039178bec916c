"""Draining: jobs that bare LPUSH put there, done by one plain `chute work`, beside the ceiling on the same server."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from benchmarks import stage
from benchmarks.scenario import Measured, Round, Scenario
from benchmarks.stage import Drained, Spent
from servers import Server, until

USUAL = 200_000
RATE, SERVER, WORKER = "jobs/s", "server µs/job", "worker µs/job"
COMMANDS, BYTES, PEAK, SUPERVISOR = "commands/job", "bytes on the wire/job", "worker MB", "supervisor MB"
BUSY = "server busy %"


def costs(system: str, done: Drained, jobs: int) -> Iterator[Measured]:
    """All figures of a drain."""
    yield system, RATE, done.rate
    yield system, SERVER, done.spent.cpu * 1e6 / jobs
    yield system, WORKER, done.worker
    yield system, COMMANDS, done.spent.commands / jobs
    yield system, BYTES, done.spent.bytes / jobs
    yield system, PEAK, done.peak
    yield system, SUPERVISOR, done.supervisor


def beside_the_ceiling(app: str, bodies: list[bytes], size: int, ceiling: tuple[str, ...], now: Round) -> Iterator[Measured]:
    """Chute and the ceiling, by turns one of them first."""

    def ours(server: Server) -> Iterator[Measured]:
        yield from costs("chute", stage.drain(server, app, bodies), len(bodies))
        stage.empty(server)

    def theirs(server: Server) -> Iterator[Measured]:
        said = stage.ceiling(server, len(bodies), size, *ceiling)
        yield "ceiling", RATE, said["rate"]
        yield "ceiling", SERVER, said["server"]
        yield "ceiling", WORKER, said["python"]

    with stage.fresh(now.server) as server:
        for each in (theirs, ours) if now.ceiling_first else (ours, theirs):
            yield from each(server)


def plain(app: str, usual: int, size: int, now: Round, ceiling: tuple[str, ...] = ()) -> Iterator[Measured]:
    """The job that does nothing, of some size."""
    bodies = [stage.job(number, size) for number in range(now.jobs(usual))]
    yield from beside_the_ceiling(app, bodies, size, ceiling, now)


def mixed(now: Round) -> Iterator[Measured]:
    """Two tasks, a dataclass, and one job of a hundred that fails and is tried again."""
    encode = msgspec.json.Encoder().encode
    bodies = list[bytes]()
    for number in range(now.jobs(USUAL) // 2):
        document = {"id": number, "title": "Retrieval", "words": ["a", "passage", "of", "some", "words"]}
        bodies.append(stage.job(number, 12))
        bodies.append(encode({"job_id": f"index_{number}", "@task": "index", "document": document}))
    yield from beside_the_ceiling("mixed", bodies, 12, (), now)


def slow_network(milliseconds: float, usual: int, now: Round) -> Iterator[Measured]:
    """The same over a network, and without it."""
    bodies = [stage.job(number, 12) for number in range(now.jobs(usual))]
    with stage.fresh(now.server) as server:
        yield "chute", RATE, stage.drain(server, "plain", bodies, url=server.tcp_url).rate
        stage.empty(server)
        with stage.network(server, milliseconds) as url:
            yield "chute, over the network", RATE, stage.drain(server, "plain", bodies, url=url).rate
            stage.empty(server)
            yield "ceiling, over the network", RATE, stage.ceiling(server, len(bodies), 12, "--prefetch=2000", url=url)["rate"]


def backlog(now: Round) -> Iterator[Measured]:
    """Ten thousand waiting, and a hundred times as many."""
    for system, usual in (("10^4 waiting", 10_000), ("10^6 waiting", 1_000_000)):
        bodies = [stage.job(number, 12) for number in range(now.jobs(usual))]
        with stage.fresh(now.server) as server:
            done = stage.drain(server, "plain", bodies)
        yield system, RATE, done.rate
        yield system, PEAK, done.peak


def processes(now: Round) -> Iterator[Measured]:
    """One worker process and two, by the number of results as the server has them."""
    for number in (1, 2):
        bodies = [stage.job(each, 12) for each in range(now.jobs(2 * USUAL))]
        with stage.fresh(now.server) as server:
            stage.push(server, bodies)
            with stage.working(server.url, "plain", f"--processes={number}", BENCH_JOBS="-1", BENCH_OUT="/dev/null"):
                rate, busy = _watched(server, len(bodies))
        yield f"{number} processes" if number > 1 else "1 process", RATE, rate
        yield f"{number} processes" if number > 1 else "1 process", BUSY, busy


def _watched(server: Server, jobs: int) -> tuple[float, float]:
    """The rate between a tenth and nine tenths of the jobs, and how busy the server was meanwhile."""
    seen: list[tuple[float, int, Spent]] = []
    with server.new_client() as client:
        for share in (0.1, 0.9):
            if not until(lambda share=share: _size(client) >= share * jobs, stage.DEADLINE):
                raise TimeoutError("the jobs were not done")
            seen.append((time.perf_counter(), _size(client), stage.spent(server)))
    (began, first, before), (ended, last, after) = seen
    return (last - first) / (ended - began), 100 * (after.cpu - before.cpu) / (ended - began)


def _size(client: Any) -> int:
    return int(client.dbsize())


SCENARIOS = (
    Scenario("drain", "async tasks, results stored, all defaults", partial(plain, "plain", USUAL, 12)),
    Scenario("drain-no-results", "nobody wants the results", partial(plain, "unread", USUAL, 12, ceiling=("--no-results",))),
    Scenario("drain-def", "tasks that are plain functions, in threads", partial(plain, "threaded", 60_000, 12)),
    Scenario("drain-mixed", "two tasks, a dataclass, 1 % failures", mixed),
    Scenario("drain-1kB", "questions of 1 kB", partial(plain, "plain", 100_000, 1000)),
    Scenario("drain-100kB", "questions of 100 kB", partial(plain, "plain", 5_000, 100_000)),
    Scenario("network-2.5ms", "2.5 ms between worker and server, each way", partial(slow_network, 2.5, USUAL)),
    Scenario("network-20ms", "20 ms between worker and server, each way", partial(slow_network, 20, USUAL)),
    Scenario("backlog", "a hundred times as many waiting", backlog),
    Scenario("processes", "one worker process, and two", processes),
)
