"""The ceiling: what one Python process and one server can do when nothing but the safe hot path is there.

Each round trip is one pipeline of two scripts: finish the jobs that are done, claim the next ones. Two round trips are kept in flight and one
asyncio task runs each job. Every claimed job sits in a lease hash until its result is stored with a TTL, an unregistered worker is refused,
order is kept and a full server still drains. There are no retries, limits, metrics or error handling; a worker is measured as a ratio to this.

    python -m benchmarks.ceiling URL [--jobs N] [--concurrency N] [--prefetch N] [--bytes N] [--no-results]

It runs FLUSHALL on the server that URL names.
"""

import argparse
import asyncio
import json
import time
from typing import Any

import msgspec
import redis.asyncio
import uvloop

from chute.keys import keys_of
from chute.script import CLAIM, FINISH


class Job(msgspec.Struct):
    """The job, decoded."""

    job_id: str
    question: str


async def answer(question: str) -> dict[str, str]:
    """The handler."""
    return {"answer": "RAG is retrieval"}


class Ceiling:
    """One run."""

    def __init__(self, server: Any, options: argparse.Namespace) -> None:
        self.server = server
        self.options = options
        self.capacity = options.concurrency + options.prefetch
        self.ready: list[tuple[int, bytes]] = []
        self.finished: list[tuple[int, str, dict[str, str]]] = []
        self.flights: list[tuple[asyncio.Future[Any], int]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.running = self.asked = self.calls = self.done = 0
        self.exhausted = False
        self.wake = asyncio.Event()
        self.decode = msgspec.json.Decoder(Job).decode
        self.pack = msgspec.msgpack.Encoder().encode
        on = keys_of("jobs")
        leases = on.leases("w")
        self.claim = CLAIM.on(first=on.first, queue=on.queue, leases=leases, workers=on.workers, tags=on.tags)
        self.finish = FINISH.on(leases=leases, queue=on.queue, scheduled=on.scheduled, dead=on.dead, refused=on.refused, tags=on.tags)

    async def drain(self) -> None:
        """Until nothing is left."""
        while True:
            self.start()
            if self.fly() or self.land():
                continue
            if self.exhausted and not (self.ready or self.running or self.finished or self.flights):
                return
            self.wake.clear()
            await self.wake.wait()

    def start(self) -> None:
        """Fills the slots."""
        loop = asyncio.get_running_loop()
        while self.ready and self.running < self.options.concurrency:
            lease, body = self.ready.pop()
            self.running += 1
            task = loop.create_task(self.run(lease, body))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def run(self, lease: int, body: bytes) -> None:
        """One job."""
        job = self.decode(body)
        self.finished.append((lease, job.job_id, await answer(job.question)))
        self.running -= 1
        self.done += 1
        self.wake.set()

    def fly(self) -> bool:
        """Sends a round trip when one is due."""
        low = not self.exhausted and len(self.ready) + self.running + self.asked <= self.capacity // 2
        due = low or len(self.finished) >= self.options.prefetch // 4 or (self.finished and not self.flights)
        if len(self.flights) >= 2 or not due:
            return False
        batch, self.finished = self.finished, []
        want = max(0, self.capacity - len(self.ready) - self.running - self.asked) if low else 0
        self.asked += want
        flight = asyncio.ensure_future(self.cycle(batch, want, self.calls))
        flight.add_done_callback(lambda _: self.wake.set())
        self.flights.append((flight, want))
        self.calls += 1
        return True

    def land(self) -> bool:
        """Reads the oldest round trip when it is back."""
        if not self.flights or not self.flights[0][0].done():
            return False
        flight, want = self.flights.pop(0)
        first, bodies = flight.result()
        self.asked -= want
        if bodies:
            self.ready[:0] = [(first + k, body) for k, body in enumerate(bodies)][::-1]
        elif want:
            self.exhausted = True
        return True

    async def cycle(self, batch: list[tuple[int, str, dict[str, str]]], want: int, call: int) -> tuple[int, list[bytes]]:
        """One round trip."""
        pipeline = self.server.pipeline(transaction=False)
        if batch:
            pipeline.execute_command(
                *self.finish.each([f"result:{job_id}" for _, job_id, _ in batch], [self.record(*each) for each in batch])
            )
        if want:
            pipeline.execute_command(*self.claim(worker="w", call=call, want=min(want, 1000), bytes=8 << 20, deadline=""))
        replies = await pipeline.execute()
        return (call * 1000 + 1, replies[-1][2]) if want else (0, [])

    def record(self, lease: int, job_id: str, result: dict[str, str]) -> bytes:
        """An outcome."""
        if self.options.no_results:
            return self.pack(("drop", lease))
        return self.pack(("result", lease, 3600, "status", "completed", "answer", result["answer"], "completed_at", "2024-01-15T10:30:00Z"))


async def main(options: argparse.Namespace) -> None:
    """Loads, drains, prints."""
    server = redis.asyncio.Redis.from_url(options.url, protocol=3)
    await server.flushall()
    encode, question = msgspec.json.Encoder().encode, "What is RAG?".ljust(options.bytes)
    for start in range(0, options.jobs, 1000):
        jobs = [encode({"job_id": f"job_{i}", "question": question}) for i in range(start, min(start + 1000, options.jobs))]
        await server.lpush("queue:jobs", *jobs)
    for script in (CLAIM, FINISH):
        await server.script_load(script.source)
    await server.hset(keys_of("jobs").workers, "w", 1)

    def cpu(info: dict[str, float]) -> float:
        return info["used_cpu_user"] + info["used_cpu_sys"]

    run = Ceiling(server, options)
    server_cpu, own_cpu, started = cpu(await server.info("cpu")), time.process_time(), time.perf_counter()
    await run.drain()
    elapsed = time.perf_counter() - started
    own = (time.process_time() - own_cpu) * 1e6 / options.jobs
    theirs = (cpu(await server.info("cpu")) - server_cpu) * 1e6 / options.jobs
    rate = options.jobs / elapsed
    print(json.dumps({"rate": rate, "python": own, "server": theirs, "round_trips": run.calls, "done": run.done}))
    await server.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--prefetch", type=int, default=500)
    parser.add_argument("--bytes", type=int, default=12, help="length of the question")
    parser.add_argument("--no-results", action="store_true")
    uvloop.run(main(parser.parse_args()))
