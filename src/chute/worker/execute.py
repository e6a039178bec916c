"""Calls the tasks of jobs and hands on what came of each, an Outcome. Never touches the server. Part of the hot path.

Plain functions go to `threads`. Async tasks run here, in order, one after the other in one asyncio task: most of what a short job would cost is an
asyncio task of its own. As soon as a job waits for something, that asyncio task is its own to the end, and another goes on with the others. So
whatever a job does that is bound to its asyncio task (timeouts, cancellation) concerns no other job.
"""

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context as Variables
from contextvars import copy_context
from types import CoroutineType, coroutine
from typing import Any, TypeAlias

from chute import outcome
from chute.context import current
from chute.outcome import Outcome
from chute.signature import to_plain
from chute.worker import clock, fork, verdict
from chute.worker.desk import Opened
from chute.worker.held import Ended, Held
from chute.worker.slots import Slots
from chute.worker.start import Starter

SLICE = 0.002
"""Seconds after which the loop gets its turn while jobs end without ever waiting."""
Steps: TypeAlias = "CoroutineType[Any, Any, Any]"


class Executor:
    """Runs what `starter` gives, and tells `ended` what came of it."""

    def __init__(self, slots: Slots, starter: Starter, ended: Callable[[list[Ended]], object]) -> None:
        self._slots, self._starter, self._ended = slots, starter, ended
        self._variables = copy_context()
        """Those of the start, which every job begins with: what one sets is not the next one's."""
        self._fresh: dict[asyncio.Task[Any], None] = {}
        """Asyncio tasks that have not begun, in their order."""
        self._wait = False
        """The last jobs did wait for something."""
        self.looked = 0.0
        """When what could start was last started."""

    def go(self) -> None:
        """Soon, whatever may start does: where jobs wait, all at once, each in an asyncio task of its own."""
        while self._fresh and (oldest := next(iter(self._fresh))).done():  # cancelled by others
            del self._fresh[oldest]
        startable = self._slots.startable
        if not startable:
            self.looked = clock.now()
        for _ in range(len(self._fresh), startable if self._wait else min(1, startable)):
            self._fresh[asyncio.get_running_loop().create_task(self._run_some())] = None

    async def _run_some(self) -> None:
        own = asyncio.current_task()
        if own:
            self._fresh.pop(own, None)
        if waiting := self._until_one_waits(own):
            self.go()
            held = waiting[1]
            came = await _rest(*waiting)
            self._starter.end(held)
            self._ended([(held, came)])

    def _until_one_waits(self, own: asyncio.Task[Any] | None) -> "tuple[Variables, Held, Opened, Steps, Any] | None":
        """Runs jobs to their ends until one waits for something; that one, to which the asyncio task belongs from now on."""
        self.looked = now = clock.now()
        until = now + SLICE
        ended: list[Ended] = []
        try:
            while now < until and (begun := self._starter.next(now)):
                held, opened = begun
                variables = self._variables.copy()
                came = variables.run(_begin, held, opened)
                if type(came) is tuple:
                    held.runner, self._wait = own, True
                    self._starter.waits(held)
                    return variables, held, opened, *came
                ended.append((held, came))
                if held.deaths or (own and own.cancelling()):
                    return None  # a suspect is alone until it has ended; and what a job does to its asyncio task is no other job's
                now = clock.now()
            self._wait = False
            return None
        finally:
            self._starter.pause()
            self._ended(ended)


async def run(held: Held, opened: Opened) -> Outcome:
    """Runs a single job, in the asyncio task of whoever asks. Raises nothing, whatever the handler raises."""
    variables = copy_context()
    came = variables.run(_begin, held, opened)
    result: Outcome = await _rest(variables, held, opened, *came) if type(came) is tuple else came
    return result


def _begin(held: Held, opened: Opened) -> Any:
    """The first step of a job: its outcome, or itself and what it waits for."""
    current.set(opened.context)
    try:
        steps = opened.fn(*opened.args, **opened.kwargs)
        if type(steps) is not CoroutineType:
            steps = _awaited(steps)
        try:
            came: Any = (steps, steps.send(None))
        except StopIteration as end:
            came = outcome.complete(end.value, to_plain)
    except BaseException as error:
        return verdict.judged(held, opened.task.policy, error)
    if fork.Here.child:
        fork.end(waits=type(came) is tuple)
    return came


@coroutine
def _rest(variables: Variables, held: Held, opened: Opened, steps: Steps, waits_for: Any) -> Generator[Any, Any, Any]:
    """All further steps: hands what the job waits for to the asyncio task around it, and what that answers to the job."""
    while True:
        try:
            answer = yield waits_for
        except GeneratorExit:
            variables.run(steps.close)
            raise
        except BaseException as error:
            came = variables.run(_go_on, held, opened, steps.throw, error)
        else:
            came = variables.run(_go_on, held, opened, steps.send, answer)
        if type(came) is not tuple:
            return came
        waits_for = came[0]


def _go_on(held: Held, opened: Opened, step: Callable[[Any], Any], answer: Any) -> Any:
    """One further step: its outcome, or what it waits for next."""
    try:
        try:
            came: Any = (step(answer),)
        except StopIteration as end:
            came = outcome.complete(end.value, to_plain)
    except BaseException as error:
        return verdict.judged(held, opened.task.policy, error)
    if fork.Here.child:
        fork.end(waits=type(came) is tuple)
    return came


async def _awaited(other: Any) -> Any:
    """Something else that can be awaited, as a coroutine."""
    return await other
