"""Tasks that fork, and one that ends the event loop around it. Imported by worker processes."""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Generator
from typing import Any

import chute

forking = chute.Queue("forking")
_fork = multiprocessing.get_context("fork")


def _ends(how: str) -> str:
    """What the child does with its life."""
    if how == "raise":
        raise ValueError("in the child")
    if how == "exit":
        raise SystemExit(3)
    if how == "word":
        raise SystemExit("a last word")
    return "child"


def _code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@forking.task(timeout=20)
def plain(how: str) -> int:
    if child := os.fork():
        return _code(child)
    _ends(how)
    return -1


@forking.task(timeout=20)
async def on_the_loop(how: str) -> int:
    for_ever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    if child := os.fork():
        return _code(child)
    if how == "wait":
        await for_ever
    _ends(how)
    return -1


@forking.task(timeout=20)
async def after_a_while(how: str) -> int:
    await asyncio.sleep(0.01)
    if child := os.fork():
        return _code(child)
    _ends(how)
    return -1


@forking.task(timeout=1, retries=0)
def too_long() -> None:
    if not os.fork():
        return
    time.sleep(30)


@forking.task
def terminated() -> tuple[int | None, float]:
    child = _fork.Process(target=time.sleep, args=(30,))
    child.start()
    began = time.monotonic()
    child.terminate()
    child.join(10)
    return child.exitcode, time.monotonic() - began


def _waits(ready: Any) -> None:
    ready.set()
    time.sleep(30)


def _forks() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    ready = _fork.Event()
    own = _fork.Process(target=_waits, args=(ready,))
    own.start()
    ready.wait(10)  # Python forgets what a child hears before it is one
    own.terminate()
    own.join(10)
    os._exit(own.exitcode or 0)


@forking.task
def grandchild() -> int | None:
    child = _fork.Process(target=_forks)
    child.start()
    child.join(15)
    return child.exitcode


async def _exits() -> None:
    raise SystemExit("from behind")


@forking.task(retries=0)
async def ends_the_loop(how: str) -> None:
    behind: Any = asyncio.create_task(_exits()) if how == "exit" else asyncio.get_running_loop().stop()
    await asyncio.sleep(30)
    del behind


async def _later() -> int:
    return 1


def _numbers() -> Generator[int]:
    yield 1


@forking.task(retries=0)
def a_coroutine() -> Any:
    return _later()


@forking.task(retries=0)
async def another_coroutine() -> Any:
    return _later()


@forking.task(retries=0)
def a_generator() -> Any:
    return _numbers()


@forking.task
def no_json() -> Any:
    return object()
