"""A worker: claims jobs of its queues, runs their tasks, stores what came of them. `chute work` runs some; a program can hold one.

The parts, in the order of a job's way: `claim` (queued -> running), `execute` (run -> outcome), `finish` (outcome -> stored); `engine` lets them
take turns, `lane` is a queue as one worker sees it, `slots` what it holds, `tend` the timers, `leave` the end. Above
them `chute.supervisor`, the process that keeps those of `chute work`.
"""

import asyncio
import logging
import math
import os
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, NoReturn, Self

from chute import settings, store, version, waiting
from chute.connection import Endpoint
from chute.errors import ServerUnavailable
from chute.operation import refused
from chute.queue import Queue
from chute.worker import clock, fork
from chute.worker.board import shared
from chute.worker.care import Caretaker
from chute.worker.clock import Timing
from chute.worker.engine import Engine
from chute.worker.guard import Guard
from chute.worker.helper import Helper
from chute.worker.leave import leave, what_runs
from chute.worker.tend import Tender
from chute.worker.wire import Manner, Ready, Stopping, Tasks

log = logging.getLogger("chute.worker")
MAX_QUEUES = 16
FIRST_CONNECTION = 10.0
"""Seconds in which a starting worker must reach its server. Once connected it waits for ever."""


class Worker:
    """Works the given queues until it is stopped. At most 16 queues, all on one server.

    `concurrency`: jobs that run at once (100). `threads`: plain functions among them (8). Raises ValueError for what cannot be.

        chute.Worker(jobs).run()              # handles SIGTERM and SIGINT
        async with chute.Worker(jobs): ...    # beside a program of your own
    """

    def __init__(self, *queues: Queue, concurrency: int = 100, threads: int = 8) -> None:
        for each in queues:
            if not isinstance(each, Queue):
                raise TypeError(f"a worker works queues, as in Worker(jobs, others), not {type(each).__name__}")
        if not 1 <= len(queues) <= MAX_QUEUES:
            raise ValueError(f"a worker works 1 to {MAX_QUEUES} queues, not {len(queues)}")
        if (lists := sum(len(queue.lists) for queue in queues)) > MAX_QUEUES:
            raise ValueError(f"a worker works at most {MAX_QUEUES} lists, a queue's own and one for each partition: these have {lists}")
        for name, times in Counter(queue.name for queue in queues).items():
            if times > 1:
                raise ValueError(f"a worker works each queue once: {times} of these have the same name, {name}")
        if concurrency < 1 or threads < 1:
            raise ValueError("concurrency= and threads= are 1 or more")
        self.queues = queues
        self.concurrency = concurrency
        self.threads = threads
        self.grace = 30.0
        """Seconds that running jobs get at the end."""
        self.weights: list[int | None] = [1] * len(queues)
        """How often each queue is claimed from while all hold more; None: before all that have a number, in this order."""
        self.guard: Guard | None = None
        """Given by a supervisor to a worker of its own: it beats for this one and looks after the queues."""
        self.max_jobs: int | None = None
        """After so many jobs it ends, as if it was asked to."""
        self.patient = False
        """A server that is not there at the start is waited for, for as long as it takes."""
        self.drained = False
        """Whether it has ended because nothing more was ready."""
        self.totals: Counter[str] = Counter()
        """Outcomes by kind, once it has ended."""
        self.leaving: Callable[[], None] | None = None
        """Called by `run` when everything was given back, before the event loop is closed: that waits for handlers that cannot be stopped."""
        self.engine: Engine | None = None
        self._asked = False
        """To end, by a call of `stop`; it may also end by itself."""
        self._tender: Tender | None = None
        self._opened = AsyncExitStack()

    def run(self, *, burst: bool = False) -> None:
        """Works in this thread until SIGTERM or SIGINT; a second one gives back at once what still runs. `burst`: ends when nothing is ready
        and what it runs is done. Raises ServerUnavailable when no server can be reached at the start, RuntimeError where signals cannot be
        handled or an event loop runs already: there `arun` is meant."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("only the main thread hears signals, which end run(): in another thread, asyncio.run(worker.arun())")
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            try:
                runner.run(self._run_with_signals(burst=burst))
            except BaseException:
                if self.guard and self.guard.watched and self.engine:
                    _die()  # while jobs run, the loop was ended: they get the blame, as for any other death
                raise

    async def arun(self, *, burst: bool = False) -> None:
        """As `run`, in a running event loop and without the signals: cancel it to stop."""
        await self._start(burst=burst)
        try:
            await self._engine().ended.wait()
        finally:
            await self._stop()

    async def __aenter__(self) -> Self:
        await self._start(burst=False)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        await self._stop()

    def stop(self) -> None:
        """Asks the worker to end: no new jobs, what runs has `grace` seconds. A second call gives back at once what still runs."""
        engine = self._engine()
        if self._asked:
            engine.break_off()
        else:
            self._asked = True
            if self.guard:
                self.guard.say(Stopping(len(engine.slots.started)))
            else:
                log.info("stopping: %s", what_runs(len(engine.slots.started), self.grace))
            engine.stop()
            self._opened.callback(engine.loop.call_later(self.grace, engine.break_off).cancel)

    async def _run_with_signals(self, *, burst: bool) -> None:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        running = asyncio.create_task(self.arun(burst=burst))
        with fork.heard(signals):
            for each in signals:
                loop.add_signal_handler(each, lambda: self.stop() if self.engine else running.cancel())
            try:
                await running
            except asyncio.CancelledError:
                if self.engine:
                    raise
            finally:
                for each in signals:
                    loop.remove_signal_handler(each)
                await waiting.aclose()  # the loop ends, and what the handlers opened on it
        if self.leaving:
            self.leaving()

    async def _start(self, *, burst: bool) -> None:
        servers = {queue.endpoint for queue in self.queues}
        if len(servers) > 1:
            raise ValueError("a worker works queues of one server; these name several")
        await _reach(servers.pop(), math.inf if self.patient else FIRST_CONNECTION)
        if self.guard:
            self._opened.callback(asyncio.create_task(self.guard.tick(), name="chute tick").cancel)
        await self._open_resources()
        timing = Timing(settings.beat_every(), settings.dead_after())
        guard = self.guard or self._own_guard(timing)
        guard.say(self._ready())
        self._opened.enter_context(fork.known())
        engine = Engine(list(zip(self.queues, self.weights, strict=True)), self.concurrency, self.threads, timing, guard)
        engine.burst = burst
        engine.slots.quota = self.max_jobs
        self.engine, self._asked = engine, False
        self._tender = Tender(engine, [] if self.guard else self._own_care(engine))
        self._tender.start()
        engine.poke()

    def _own_guard(self, timing: Timing) -> Guard:
        """Without a supervisor: a helper process beats for this worker, from its first beat on; nobody is judged dead before that."""
        board, fd = shared(self.concurrency)
        guard = Guard(board)
        self._opened.callback(os.close, fd)

        def start() -> None:
            try:
                helper = Helper(fd, self.concurrency)
            except OSError as error:
                log.warning(
                    "no process can be started to beat for this worker (%s): a handler that blocks the event loop may look dead", error
                )
                return
            self._opened.callback(helper.stop)
            guard.connect(helper.socket)

        self._opened.callback(asyncio.get_running_loop().call_later(timing.beat, start).cancel)
        return guard

    def _ready(self) -> Ready:
        """What whoever beats for this worker must know."""
        where = self.queues[0].endpoint.address
        manners = {queue: {name: Manner.of(task.policy) for name, task in queue.tasks.items()} for queue in self.queues}
        tasks = {
            name: Tasks(manners[queue], queue.fallback.name if queue.fallback else None) for queue in self.queues for name in queue.lists
        }
        return Ready(where.url, where.how, tasks)

    def _own_care(self, engine: Engine) -> list[Coroutine[Any, Any, None]]:
        """Without a supervisor, this worker looks after its queues itself. What still runs here under an id that others closed stays here."""

        def ours() -> set[str]:
            return {lane.holdings.worker for lane in engine.lanes} | {held.holdings.worker for held in engine.slots.started}

        return Caretaker(engine.lines, [lane.name for lane in engine.lanes], engine.timing, ours).steps()

    async def _open_resources(self) -> None:
        """Opens what the tasks share, in the order of registration; a failure closes what was opened before."""
        try:
            for resource in [resource for queue in self.queues for resource in queue.resources]:
                self._opened.push_async_callback(resource.close)
                await resource.open()
        except BaseException:
            await self._opened.aclose()
            raise

    async def _stop(self) -> None:
        """Ends what is left of a worker that was asked to, broke off or was cancelled."""
        engine = self._engine()
        if not engine.stopping:
            self.stop()
        try:
            async with asyncio.timeout(self.grace + 2):
                await engine.ended.wait()
        except TimeoutError:
            pass  # a thread that cannot be stopped, or a server that is gone: what is held is given back below
        finally:
            if self._tender:
                self._tender.stop()
            await leave(engine)
            engine.closed = True
            for line in (*[route.line for route in engine.routes], *[lane.line for lane in engine.lanes]):
                await line.close()
            await engine.lines.close()
            engine.threads.close()
            self.totals, self.drained = engine.totals, engine.drained
            self.engine = None
            await self._opened.aclose()

    def _engine(self) -> Engine:
        if self.engine is None:
            raise RuntimeError("this worker does not run")
        return self.engine


async def _reach(endpoint: Endpoint, seconds: float) -> None:
    """Returns once the server answers and is new enough. Raises ServerUnavailable after so many seconds, or at once where waiting is in vain."""
    began = clock.now()
    told = False
    while True:
        try:
            version.check(await endpoint.arun(store.server_info()))
            return
        except ServerUnavailable as error:
            if error.__cause__ is None or refused(error) or clock.now() > began + seconds:
                raise
            if not told:
                told = True
                log.warning("%s; trying %s", error, "again" if seconds == math.inf else f"for {seconds:g} s")
        await asyncio.sleep(0.1)


def _die() -> NoReturn:
    """Ends this process at once, and says why. Whoever watches it gives back what it held."""
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)


def _loop_factory() -> Any:
    """uvloop where it is installed (the extra `fast`): about twice the rate."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return uvloop.new_event_loop
