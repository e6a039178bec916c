"""worker/threads.py: plain functions in threads, those that wait for one, and what came of them."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import chute
from chute.outcome import Completed, Failed, Outcome, Released
from chute.worker.board import Board
from chute.worker.desk import Desk
from chute.worker.held import Ended, Held
from chute.worker.slots import Slots
from chute.worker.start import Starter
from chute.worker.threads import Threads
from worker.made import lane

seen = ContextVar("seen", default=0)


class Gate:
    """A plain task that waits to be let through."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began: list[int] = []

    def wait(self, number: int = 0) -> int:
        self.began.append(number)
        assert self.go.wait(10)
        return number


class Broken:
    """The same, which is cancelled then."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began = False

    def wait(self) -> None:
        self.began = True
        assert self.go.wait(10)
        raise asyncio.CancelledError


class Crew:
    """Threads without a worker around them. `ended`: what came of each job, by lease."""

    def __init__(self, fn: Any, number: int) -> None:
        queue = chute.Queue("jobs")
        queue.task(retries=0)(fn)
        self.lane, self.desk = lane(), Desk(queue)
        self.board = Board(number)
        self.slots = Slots(number, number, plain=True)
        self.ended: dict[int, Outcome] = {}
        self.turns = 0
        self.threads = Threads(number, self.slots, Starter(self.slots, {}, self.board, 1.0, self.done), self.done)

    def done(self, ended: list[Ended]) -> None:
        self.turns += 1
        self.ended |= {held.lease: result for held, result in ended}

    def give(self, *bodies: bytes) -> list[Held]:
        jobs = [Held(self.lane, self.lane.holdings, lease, 1, body, 0.0) for lease, body in enumerate(bodies, 1)]
        for each in jobs:
            self.threads.give(each, self.desk.open(each))
        return jobs

    async def until(self, met: Any) -> None:
        async with asyncio.timeout(10):
            while not met():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def crew(fn: Any, number: int) -> AsyncIterator[Crew]:
    made = Crew(fn, number)
    yield made
    made.threads.close()


def test_many_run_in_their_order_and_the_loop_hears_of_many_at_once() -> None:
    def count(number: int) -> int:
        assert seen.get() == 0, "what another job has set"
        seen.set(number)
        return number

    async def main() -> None:
        async with crew(count, 1) as threads:
            threads.give(*[b'{"number":%d}' % number for number in range(1, 501)])
            await threads.until(lambda: len(threads.ended) == 500)
            assert list(threads.ended) == list(range(1, 501))
            assert threads.ended[7] == Completed(["@value", "7"])
            assert threads.turns < 250
            assert threads.slots.empty
            assert not list(threads.board.started())

    asyncio.run(main())


def test_as_many_run_as_there_are_threads_and_the_others_are_parked() -> None:
    gate = Gate()

    async def main() -> None:
        async with crew(gate.wait, 3) as threads:
            jobs = threads.give(*[b'{"number":%d}' % number for number in range(8)])
            await threads.until(lambda: len(gate.began) == 3)
            assert sorted(gate.began) == [0, 1, 2]
            assert set(threads.slots.started) == set(jobs[:3])
            assert threads.slots.unstarted == jobs[3:]
            assert {lease for _, lease, _ in threads.board.started()} == {1, 2, 3}
            assert threads.slots.take_back(jobs) == jobs[3:], "what has begun stays"
            gate.go.set()
            await threads.until(lambda: len(threads.ended) == 3)
            assert gate.began == [0, 1, 2]

    asyncio.run(main())


def test_a_thread_that_had_nothing_left_takes_what_comes_later() -> None:
    async def main() -> None:
        async with crew(lambda_free, 2) as threads:
            for round_ in range(50):
                threads.ended.clear()
                threads.give(b"{}", b"{}", b"{}")
                await threads.until(lambda: len(threads.ended) == 3)
                assert threads.slots.empty, round_

    asyncio.run(main())


def lambda_free() -> None:
    """Does nothing."""


def test_whatever_a_function_raises_is_an_outcome_of_its_job_alone() -> None:
    def rude(kind: str) -> str:
        if kind == "good":
            return chute.context().task
        raise {"exit": SystemExit(1), "stop": StopIteration(), "interrupt": KeyboardInterrupt(), "value": ValueError("no")}[kind]

    async def main() -> None:
        async with crew(rude, 1) as threads:
            threads.give(*[b'{"kind":"%s"}' % kind for kind in (b"exit", b"good", b"stop", b"interrupt", b"value", b"good")])
            await threads.until(lambda: len(threads.ended) == 6)
            errors = [each.error if isinstance(each, Failed) else "" for each in threads.ended.values()]
            assert errors == ["SystemExit: 1", "", "StopIteration", "KeyboardInterrupt", "ValueError: no", ""]
            failed = threads.ended[5]
            assert isinstance(failed, Failed)
            assert "threads.py" not in failed.traceback.replace("test_threads.py", "")

    asyncio.run(main())


def test_when_no_more_may_start_what_is_parked_stays_there() -> None:
    async def main() -> None:
        async with crew(lambda_free, 1) as threads:
            threads.slots.quota = 2
            jobs = threads.give(b"{}", b"{}", b"{}")
            await threads.until(lambda: len(threads.ended) == 2)
            await asyncio.sleep(0.01)
            assert (threads.slots.quota, threads.slots.unstarted) == (0, jobs[2:])

    asyncio.run(main())


def test_a_job_that_was_broken_off_is_given_back() -> None:
    gate = Broken()

    async def main() -> None:
        async with crew(gate.wait, 1) as threads:
            (job,) = threads.give(b"{}")
            await threads.until(lambda: gate.began)
            job.broken_off = True
            gate.go.set()
            await threads.until(lambda: threads.ended)
            assert threads.ended[1] == Released()

    asyncio.run(main())


def test_a_job_that_is_given_up_goes_back_at_once_and_its_end_is_not_heard() -> None:
    gate = Gate()

    async def main() -> None:
        async with crew(gate.wait, 1) as threads:
            (job,) = threads.give(b"{}")
            await threads.until(lambda: gate.began)
            threads.threads.give_up(job)
            assert threads.ended == {1: Released()}
            gate.go.set()
            threads.give(b"{}", b"{}")
            await threads.until(lambda: len(threads.ended) == 2)
            assert threads.ended[1] != Released(), "of the second job with that lease"
            assert threads.slots.empty

    asyncio.run(main())


def test_nothing_parked_begins_in_a_process_that_is_about_to_end() -> None:
    gate = Gate()

    async def main() -> None:
        async with crew(gate.wait, 1) as threads:
            jobs = threads.give(b"{}", b"{}")
            await threads.until(lambda: gate.began)
            threads.slots.held_up = True
            gate.go.set()
            await threads.until(lambda: threads.ended)
            await asyncio.sleep(0.01)
            assert (len(gate.began), threads.slots.unstarted) == (1, jobs[1:])

    asyncio.run(main())
