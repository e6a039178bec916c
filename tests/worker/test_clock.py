"""The worker's clock and its timers."""

import asyncio
import logging
import time

import pytest

from chute.worker import clock
from worker.running import until


def test_the_clock_goes_on_evenly() -> None:
    before, started = clock.now(), time.monotonic()
    time.sleep(0.05)
    assert clock.now() - before == pytest.approx(time.monotonic() - started, abs=0.02)


def test_a_step_that_fails_is_logged_and_taken_again(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[int] = []

    def step() -> None:
        taken.append(1)
        if len(taken) == 1:
            raise ValueError("the first time")

    async def main() -> None:
        timer = asyncio.create_task(clock.every(0.01, step))
        await until(lambda: len(taken) >= 3)
        timer.cancel()

    with caplog.at_level(logging.ERROR, "chute.worker"):
        asyncio.run(main())
    assert next(record.exc_text or str(record.exc_info) for record in caplog.records).count("the first time") >= 1


def test_a_step_is_over_before_the_next_begins() -> None:
    running, most = [0], [0]

    async def step() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0.02)
        running[0] -= 1

    async def main() -> None:
        timer = asyncio.create_task(clock.every(0.001, step))
        await asyncio.sleep(0.15)
        timer.cancel()

    asyncio.run(main())
    assert most == [1]
