"""The handlers of the load. Each notes its start and its end outside of the server, whatever else it does.

`chute work chaos.app:jobs` runs them; what they return names the run, so that a result can be traced to an execution.
"""

import asyncio
import ctypes
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import chute
from chaos import oracle

KEPT = 7 * 86_400
"""Seconds that results are kept: longer than any row takes, since the judge looks for them all."""
_spread = {name: int(os.environ[oracle.PARTITIONS]) for name in ["partitions"] if oracle.PARTITIONS in os.environ}
jobs = chute.Queue("jobs", **_spread)
other = chute.Queue("other")
_notes = oracle.Notebook("ran")
Answer = dict[str, str | int]


@contextmanager
def noted() -> Iterator[Answer]:
    """Notes what becomes of the job that runs inside; gives what it should return."""
    here = chute.context()
    who = (here.job_id, here.tag, here.attempt)
    how = "raised"
    _notes.note("started", *who, oracle.now())
    try:
        yield {"echo": here.job_id, "tag": here.tag}
        how = "done"
    except asyncio.CancelledError:
        how = "cancelled"
        raise
    finally:
        _notes.note("ended", *who, oracle.now(), how)


@jobs.task(result_ttl=KEPT, default=True)
async def work(ms: int) -> Answer:
    """Takes so long."""
    with noted() as answer:
        await asyncio.sleep(ms / 1000)
        return answer


@other.task(default=True)
async def elsewhere(ms: int) -> None:
    """Takes so long, in another queue. Noted nowhere: it has its result."""
    await asyncio.sleep(ms / 1000)


@jobs.task(result_ttl=KEPT)
async def padded(ms: int, pad: str) -> Answer:
    """Takes so long, and brings so much."""
    with noted() as answer:
        await asyncio.sleep(ms / 1000)
        return answer


@jobs.task(result_ttl=KEPT)
async def holds(ms: int) -> Answer:
    """Takes a minute as long as there is something to hold on to."""
    with noted() as answer:
        await asyncio.sleep(60 if oracle.held_on() else 0)
        return answer


@jobs.task(result_ttl=KEPT)
def threaded(ms: int) -> Answer:
    """Takes so long, in a thread."""
    with noted() as answer:
        time.sleep(ms / 1000)
        return answer


@jobs.task(result_ttl=KEPT, backoff=0.05)
async def flaky(ms: int) -> Answer:
    """Raises the first time."""
    with noted() as answer:
        await asyncio.sleep(ms / 1000)
        if chute.context().attempt == 1:
            raise RuntimeError("the first run raises")
        return answer


@jobs.task(result_ttl=KEPT, retries=0)
async def doomed(ms: int) -> Answer:
    """Raises."""
    with noted():
        await asyncio.sleep(ms / 1000)
        raise RuntimeError("this one always raises")


@jobs.task(result_ttl=KEPT)
async def crash(ms: int) -> Answer:
    """Takes its process with it."""
    with noted() as answer:
        await asyncio.sleep(ms / 1000)
        ctypes.string_at(0)
        return answer


@jobs.task(result_ttl=KEPT, timeout=1, retries=0)
async def spin(ms: int) -> Answer:
    """Never ends, and blocks the loop."""
    with noted():
        while True:
            pass


@jobs.task(result_ttl=KEPT, timeout=1, retries=0)
def spin_in_thread(ms: int) -> Answer:
    """Never ends, in a thread."""
    with noted():
        while True:
            pass


@jobs.task(result_ttl=KEPT)
def hog(letters: int) -> Answer:
    """Keeps the interpreter's lock; each letter doubles the time."""
    with noted() as answer:
        re.match("(a+)+$", "a" * letters + "b")
        return answer
