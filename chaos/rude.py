"""Handlers that do what no handler should: to their process, to the machine, to whoever stores what they return. `chaos.app` has the others.

`chute work chaos.rude:jobs` runs both. What a handler here must note, it notes before it is rude.
"""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chute
from chaos import oracle
from chaos.app import Answer, jobs, noted

jobs = jobs  # noqa: PLW0127 - the name by which `chute work` finds it here
_sent = oracle.Notebook("sent")
MEGABYTES = 1 << 20


@jobs.task
def leaves(ms: int, code: int) -> Answer:
    """Ends its process with that code, as if all were well."""
    with noted():
        time.sleep(ms / 1000)
        os._exit(code)


def _recurse(n: int) -> int:
    return _recurse(n + 1) + 1


RAISES: dict[str, Callable[[], object]] = {
    "SystemExit": sys.exit,
    "KeyboardInterrupt": lambda: signal.default_int_handler(signal.SIGINT, None),
    "BaseException": lambda: _raise(BaseException("neither an error nor an exit")),
    "CancelledError": lambda: _raise(asyncio.CancelledError()),
    "StopIteration": lambda: next(iter(())),
    "MemoryError": lambda: bytearray(1 << 62),
    "RecursionError": lambda: _recurse(0),
}
"""What may come out of a handler that is no ordinary failure."""


def _raise(error: BaseException) -> None:
    raise error


@jobs.task(retries=0)
async def raises(ms: int, what: str) -> None:
    """Raises it."""
    with noted():
        await asyncio.sleep(ms / 1000)
        RAISES[what]()


@jobs.task(retries=0)
def raises_in_thread(ms: int, what: str) -> None:
    """Raises it, in a thread."""
    with noted():
        time.sleep(ms / 1000)
        RAISES[what]()


@jobs.task(retries=0)
def devours(ms: int, group: str = "") -> Answer:
    """Wants a gigabyte, and uses it; in that control group, where one is named."""
    with noted() as answer:
        time.sleep(ms / 1000)
        if group:
            Path(group).write_text(str(os.getpid()))
        return {**answer, "kept": len(b"x" * (1 << 30))}


@jobs.task
async def blocks(ms: int) -> Answer:
    """Sleeps where it should wait: nothing else comes by on its loop."""
    with noted() as answer:
        time.sleep(ms / 1000)  # noqa: ASYNC251 - that is the mistake
        return answer


def _follow_up(job_id: str, echo: str) -> None:
    """What the copy of a process does with what it inherited: reads a result, and enqueues."""
    read = jobs.job(echo).result(timeout=5)
    assert isinstance(read, dict)
    assert read["echo"] == echo, read
    jobs.tasks["work"].options(job_id=job_id).enqueue(1)
    _sent.note("accepted", job_id, oracle.now())


def _in_a_copy(job_id: str, echo: str) -> int:
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        _follow_up(job_id, echo)
        code = 0
    finally:
        os._exit(code)


@jobs.task
def forks(ms: int, echo: str) -> Answer:
    """Forks beside the worker's loop; the copy uses the client that it inherited."""
    with noted() as answer:
        code = _in_a_copy(f"{chute.context().job_id}-child", echo)
        _follow_up(f"{chute.context().job_id}-self", echo)  # the same connection, afterwards
        return {**answer, "code": code}


@jobs.task
async def forks_on_the_loop(ms: int, echo: str) -> Answer:
    """The same on the worker's loop."""
    with noted() as answer:
        code = _in_a_copy(f"{chute.context().job_id}-child", echo)
        await asyncio.sleep(ms / 1000)
        return {**answer, "code": code}


@jobs.task
def starts_processes(ms: int, echo: str) -> Answer:
    """`multiprocessing`, as it forks by default. Its exit code says nothing: Python wants to wait there for the thread that it forked from."""
    with noted() as answer:
        process = multiprocessing.get_context("fork").Process(target=_follow_up, args=(f"{chute.context().job_id}-child", echo))
        process.start()
        process.join()
        return answer


@jobs.task(timeout=1, retries=0)
def multiplies(ms: int, processes: int, threads: int) -> Answer:
    """Starts so many of both, none of which ends, and waits for them."""
    with noted() as answer:
        kept = [subprocess.Popen(["sleep", "600"]) for _ in range(processes)]
        crowd = [threading.Thread(target=time.sleep, args=(600,), daemon=True) for _ in range(threads)]
        for each in crowd:
            each.start()
        for process in kept:
            process.wait()
        return answer


RUDE: dict[str, Callable[[], object]] = {
    "handles signals": lambda: [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)],
    "forgets wakeups": lambda: signal.set_wakeup_fd(-1),
    "changes directory": lambda: os.chdir("/"),
    "changes umask": lambda: os.umask(0o777),
    "hurries sockets": lambda: socket.setdefaulttimeout(0.01),
    "disables gc": gc.disable,
    "limits recursion": lambda: sys.setrecursionlimit(60),
    "leaves its group": lambda: os.setpgid(0, os.getpgid(os.getppid())),
    "silences logging": lambda: logging.disable(logging.CRITICAL),
    "closes stdout": lambda: (os.close(1), os.close(2)),
    "closes all files": lambda: os.closerange(0, 4096),
}
"""What a handler may do to the process that runs it."""


@jobs.task
async def is_rude(ms: int, how: str) -> Answer:
    """Does that to its process, and returns as if nothing were."""
    with noted() as answer:
        await asyncio.sleep(ms / 1000)
        if how != "closes all files":
            RUDE[how]()
            return answer
    RUDE[how]()  # its end could not be noted afterwards
    return answer


def _cycle() -> Any:
    me: list[Any] = []
    me.append(me)
    return me


FLOODS: dict[str, Callable[[], Any]] = {
    "prints": lambda: print("\n".join(["x" * 1000] * 1000 * 100)),
    "returns 100 MB": lambda: "x" * 100 * MEGABYTES,
    "returns a cycle": _cycle,
    "returns NaN": lambda: float("nan"),
    "returns a lone surrogate": lambda: "\ud800",
    "returns a function": lambda: _cycle,
    "raises 10 MB": lambda: _raise(RuntimeError("x" * 10 * MEGABYTES)),
}
"""What may come out of a handler that is too much, or nothing that JSON has."""


@jobs.task(retries=0)
def floods(ms: int, how: str) -> Any:
    """Gives that back beside what every handler does."""
    with noted() as answer:
        time.sleep(ms / 1000)
        return {**answer, "flood": FLOODS[how]()}


@jobs.task
def talks(ms: int) -> Answer:
    """Prints and logs. That a print can fail is no news to it; a log line must not."""
    with noted() as answer:
        with contextlib.suppress(OSError):
            print("a line", flush=True)
        logging.getLogger("talks").warning("another")
        time.sleep(ms / 1000)
        return answer
