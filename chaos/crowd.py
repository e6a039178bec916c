"""Many programs in one: each has connections of its own and waits for a result that never comes. `python -m chaos.crowd URL COUNT`, until SIGTERM."""

import asyncio
import resource
import signal
import sys

import chute

APART = 0.005
"""Seconds between two that come first."""


async def main() -> None:
    """All of them at once."""
    url, count = sys.argv[1], int(sys.argv[2])
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    queues = [chute.Queue("jobs", url=f"{url}?client_name=waits-{n}") for n in range(count)]
    waits = [asyncio.create_task(wait(queue, n)) for n, queue in enumerate(queues)]
    await ended.wait()
    for each in waits:
        each.cancel()
    outcomes = await asyncio.gather(*waits, return_exceptions=True)
    if failed := [each for each in outcomes if isinstance(each, Exception)]:
        raise failed[0]


async def wait(queue: chute.Queue, number: int) -> None:
    """One of them. It comes in its turn, and then stays."""
    await asyncio.sleep(number * APART)
    await queue.job(f"nobody-{number}").aresult()


if __name__ == "__main__":
    asyncio.run(main())
