"""Tasks that end in every way there is. Each leaves a line in a file for each run: its attempt and the time. Imported by worker processes."""

import asyncio
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import chute

outcomes = chute.Queue("outcomes")
single = chute.Queue("single")
_EIGHT = threading.Barrier(8)
_FIFTY = asyncio.Barrier(50)


def mark(path: str) -> int:
    """Notes this run; gives its attempt."""
    attempt = chute.context().attempt
    with Path(path).open("a") as file:
        file.write(f"{attempt} {time.time()}\n")
    return attempt


@single.task
async def only(word: str) -> str:
    return word


@outcomes.task(default=True, retries=0)
async def main(word: str = "") -> str:
    return f"default {word}"


@outcomes.task(retries=2, backoff=0)
async def always(path: str) -> None:
    mark(path)
    raise ValueError("again")


@outcomes.task(backoff=0.01)
def by_default(path: str) -> None:
    mark(path)
    raise ValueError("again")


@outcomes.task(retries=3, backoff=0)
async def third_time(path: str) -> int:
    if mark(path) < 3:
        raise ValueError("not yet")
    return chute.context().attempt


@outcomes.task(retries=50, backoff=100, backoff_cap=300)
async def patient() -> None:
    raise ValueError("later")


@outcomes.task(retries=5, backoff=0, retry_on=(OSError, TimeoutError), give_up_on=(FileNotFoundError,))
async def choosy(kind: str, path: str) -> None:
    mark(path)
    raise {"retry": ConnectionError, "give up": FileNotFoundError, "neither": ValueError}[kind](kind)


@outcomes.task(retries=1, backoff=3600)
async def asks_again(path: str, after: float) -> None:
    mark(path)
    raise chute.Retry(after=after)


@outcomes.task(retries=0)
def snoozes(path: str, times: int) -> int:
    mark(path)
    if len(Path(path).read_text().splitlines()) <= times:
        raise chute.Snooze(0.02)
    return chute.context().attempt


@outcomes.task(retries=5, backoff=0)
async def gives_up(path: str) -> None:
    mark(path)
    raise chute.GiveUp("no such account")


@outcomes.task(retries=1, backoff=0, timeout=0.2)
async def overslept(path: str) -> None:
    mark(path)
    await asyncio.sleep(60)


@outcomes.task(retries=0, timeout=0.2)
async def stubborn(path: str) -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        mark(path)
    return "went on"


@outcomes.task(retries=0, timeout=0.2)
def overslept_in_thread(path: str) -> str:
    mark(path)
    time.sleep(1)
    mark(path)
    return "too late"


@outcomes.task(retries=0, timeout=None)
async def unlimited() -> str:
    await asyncio.sleep(0.3)
    return "done"


@outcomes.task(retries=0)
async def timed() -> float:
    return time.time()


def _told() -> dict[str, Any]:
    mine = chute.context()
    names = ("job_id", "queue", "task", "attempt", "tag")
    return {**{name: getattr(mine, name) for name in names}, "headers": dict(mine.headers)}


@outcomes.task(retries=0)
async def told() -> dict[str, Any]:
    return {"here": _told(), "in a task": await asyncio.create_task(_told_later()), "in a thread": await asyncio.to_thread(_told)}


async def _told_later() -> dict[str, Any]:
    await asyncio.sleep(0)
    return _told()


@outcomes.task(retries=0, name="told-in-thread")
def told_in_thread() -> dict[str, Any]:
    return _told()


@outcomes.task(retries=0)
def knows_its_id(job_id: str, word: str = "") -> str:
    return f"{job_id} {word}"


@outcomes.task(retries=0)
async def takes_more(word: str, **more: int) -> dict[str, Any]:
    return {"word": word, "more": more}


@outcomes.task(retries=0)
async def by_keyword(first: int, *, second: int = 2, third: list[int] | None = None) -> list[Any]:
    return [first, second, third]


@outcomes.task(retries=0)
def eight_at_once() -> int:
    return _EIGHT.wait(20)


@outcomes.task(retries=0)
async def fifty_at_once() -> int:
    async with asyncio.timeout(20):
        return await _FIFTY.wait()


@outcomes.task(retries=0)
async def pid() -> int:
    return os.getpid()


class Odd(BaseException):
    """Not an Exception."""


ENDS: dict[str, Any] = {
    "SystemExit": SystemExit,
    "SystemExit 3": lambda: SystemExit(3),
    "sys.exit": sys.exit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "CancelledError": asyncio.CancelledError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
    "GeneratorExit": GeneratorExit,
    "Odd": Odd,
    "group": lambda: BaseExceptionGroup("g", [KeyboardInterrupt()]),
}


@outcomes.task(retries=0)
async def ends_async(how: str) -> None:
    raise ENDS[how]()


@outcomes.task(retries=0)
def ends_in_thread(how: str) -> None:
    raise ENDS[how]()


@outcomes.task(retries=0)
async def cancels_itself() -> None:
    current = asyncio.current_task()
    assert current is not None
    current.cancel()
    await asyncio.sleep(1)


@outcomes.task(retries=0)
def fails_until_told(path: str) -> str:
    if not Path(path).exists():
        raise ValueError("not there yet")
    return f"attempt {chute.context().attempt}"
