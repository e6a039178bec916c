"""The tasks that the tests of the contract work with: imported by the worker processes of those tests, and by the tests as callers."""

import asyncio
import time
from pathlib import Path
from typing import Any

import chute

jobs = chute.Queue("jobs")
alone = chute.Queue("alone")


@jobs.task(default=True, retries=0)
async def answer(question: str) -> dict[str, str]:
    return {"answer": f"Answer to: {question}"}


@jobs.task(retries=0)
def note(path: str, word: str) -> None:
    """Leaves a word in a file: what ran, and in which order."""
    with Path(path).open("a") as file:
        file.write(f"{word}\n")


@jobs.task(retries=0)
async def slow(seconds: float, path: str = "") -> str:
    if path:
        note(path, "started")
    await asyncio.sleep(seconds)
    if path:
        note(path, "ended")
    return "slept"


@jobs.task(retries=0)
def slow_in_thread(seconds: float) -> float:
    time.sleep(seconds)
    return time.monotonic()


@jobs.task(retries=0)
def boom(word: str) -> None:
    raise ValueError(word)


@alone.task(default=True, retries=0)
def echo(value: Any) -> dict[str, Any]:
    """Runs what names no task."""
    return {"value": value}


@alone.task(retries=0)
async def give_back(value: Any) -> Any:
    return value
