"""Runs plain functions in a few threads. Never touches the server. Part of the hot path.

A thread that has ended a job takes the next one itself, and tells the loop of many at once: the way to another thread and back costs more than a
short job does. What is not yet taken is parked in `slots`, and goes back to the queue if it stays there.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

from chute import outcome
from chute.context import current
from chute.outcome import Outcome, Released
from chute.signature import to_plain
from chute.worker import fork, verdict
from chute.worker.desk import Opened
from chute.worker.held import Ended, Held
from chute.worker.slots import Slots
from chute.worker.start import Starter

log = logging.getLogger("chute.worker")


class Threads:
    """`number` plain functions run at once. `starter` is told when one is about to run and when it has; `ended`, on the loop, what came of them."""

    def __init__(
        self,
        number: int,
        slots: Slots,
        starter: Starter,
        ended: Callable[[list[Ended]], object],
    ) -> None:
        self._number, self._slots = number, slots
        self._starter, self._ended = starter, ended
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="chute")
        self._loop = asyncio.get_running_loop()
        self._variables = copy_context()
        """Those of the start, which every job begins with: what one sets is not the next one's."""
        self._at_work = 0

    def give(self, held: Held, opened: Opened) -> None:
        """Parks a job until a thread takes it, which is at once where one is free."""
        with self._slots.lock:
            self._slots.parked[held] = opened
            more = self._at_work < self._number
            self._at_work += more
        if more:
            self._pool.submit(self._work).add_done_callback(_check)

    def give_up(self, held: Held) -> None:
        """On the loop: that job goes back, whatever its thread still does."""
        with self._slots.lock:
            given_up = held in self._slots.threaded
            self._slots.threaded.discard(held)
        if given_up:
            self._ended([(held, Released())])

    def close(self) -> None:
        """Lets the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self) -> None:
        """In a thread: runs what is parked, until nothing is."""
        while taken := self._take():
            held, opened = taken
            self._starter.begin(held, opened)
            result = self._variables.copy().run(_run, held, opened)
            self._starter.end(held)
            with self._slots.lock:
                self._slots.came.append((held, result))
                tell = len(self._slots.came) == 1
            if tell:
                self._loop.call_soon_threadsafe(self._collect)

    def _take(self) -> tuple[Held, Opened] | None:
        """The next job, which from now on runs."""
        slots = self._slots
        with slots.lock:
            if not slots.parked or slots.quota == 0 or slots.held_up:  # then what is parked goes back
                self._at_work -= 1
                return None
            held = next(iter(slots.parked))
            slots.threaded.add(held)
            slots.spend()
            return held, slots.parked.pop(held)

    def _collect(self) -> None:
        """On the loop: hands on what has ended since the last look."""
        slots = self._slots
        with slots.lock:
            came, slots.came = slots.came, []
            ended = [each for each in came if each[0] in slots.threaded]  # not what was given up meanwhile
            slots.threaded.difference_update([held for held, _ in ended])
        self._ended(ended)


def _check(work: "Future[None]") -> None:
    """No error of ours goes unseen."""
    if not work.cancelled() and (error := work.exception()):
        log.error("a thread of the worker has failed", exc_info=error)


def _run(held: Held, opened: Opened) -> Outcome:
    current.set(opened.context)
    try:
        came = outcome.complete(opened.fn(*opened.args, **opened.kwargs), to_plain)
    except BaseException as error:  # no thread should see SystemExit
        return verdict.judged(held, opened.task.policy, error)
    if fork.Here.child:
        fork.end()
    return came
