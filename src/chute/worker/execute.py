"""Calls one job's task and hands on what came of it, an Outcome. Never touches the server.

Async tasks run on the loop, plain functions in a few threads. Whatever a handler raises is an outcome of its job alone.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from chute import outcome
from chute.context import current
from chute.outcome import Outcome
from chute.signature import to_plain
from chute.worker import verdict
from chute.worker.desk import Opened
from chute.worker.held import Held


def _nobody(*_: object) -> None:
    """Nobody is told."""


class Executor:
    """Calls tasks. `threads` plain functions run at once. `begins` is called when a coroutine is about to run (a plain function begins when a
    thread is given), `ended` with each outcome."""

    def __init__(
        self, threads: int, begins: Callable[[Held], object] = _nobody, ended: Callable[[Held, Outcome], object] = _nobody
    ) -> None:
        self._begins, self._ended = begins, ended
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="chute")
        self._threads = threads
        self._busy = 0

    @property
    def thread_free(self) -> bool:
        """Whether a plain function would start at once."""
        return self._busy < self._threads

    async def run(self, held: Held, opened: Opened) -> Outcome:
        """Runs the job to its outcome. Raises nothing, whatever the handler raises."""
        current.set(opened.context)
        try:
            if opened.task.threaded:
                value = await _of_thread(opened.work or self.give_thread(opened))
            else:
                self._begins(held)
                value = await opened.fn(*opened.args, **opened.kwargs)
        except BaseException as error:
            result: Outcome = verdict.judged(held, opened.task.policy, error)
        else:
            result = outcome.complete(value, to_plain)
        self._ended(held, result)
        return result

    def give_thread(self, opened: Opened) -> "asyncio.Future[tuple[Any, BaseException | None]]":
        """Starts a plain function at once, so that the thread is taken before the next job is looked at."""
        context = copy_context()
        context.run(current.set, opened.context)
        self._busy += 1
        opened.work = asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(_contained, opened))
        opened.work.add_done_callback(self._thread_done)
        return opened.work

    def close(self) -> None:
        """Lets the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _thread_done(self, work: "asyncio.Future[Any]") -> None:
        self._busy -= 1
        if not work.cancelled():
            work.exception()


async def _of_thread(work: "asyncio.Future[tuple[Any, BaseException | None]]") -> Any:
    """What the thread came to. A cancelled job leaves its thread alone: nothing can stop it."""
    value, error = await asyncio.shield(work)
    if error is not None:
        raise error
    return value


def _contained(opened: Opened) -> tuple[Any, BaseException | None]:
    """In the thread: the value or the error as a value, since a future takes no StopIteration and no thread should see SystemExit."""
    try:
        return opened.fn(*opened.args, **opened.kwargs), None
    except BaseException as error:
        return None, error
