"""The process of `chute work`: starts the processes that run the jobs, and replaces those that end.

It imports none of the user's code, so whatever a handler does to its own process, this one stays: it knows the children by their boards, by
what they say over their sockets, and by SIGCHLD. What it has to say to the server, `agent` says.
"""

import asyncio
import logging
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from chute.supervisor.agent import Agent
from chute.supervisor.child import Child, see_off
from chute.supervisor.settle import cause
from chute.supervisor.watch import EVERY, Watch
from chute.worker import clock
from chute.worker.leave import what_runs
from chute.worker.reclaim import PATIENCE
from chute.worker.wire import Introduced, Ready, Said, Start

log = logging.getLogger("chute.worker")
HOPELESS, NO_SERVER = 2, 4
"""Exit codes of a child that has said why it ends: its module cannot be worked, so to start it again is in vain; no server."""
FIRST_REST, LONGEST_REST = 0.1, 10.0
"""Seconds before a child that died soon after its start is replaced once more; the first time it is replaced at once."""
OBSERVE_EVERY = 0.5
RELOAD_GRACE = 1.0
"""Seconds that running jobs get when the code has changed."""
ANNOUNCED = 0.5
"""Seconds in which the children say what still runs in them."""


class Supervisor:
    """Keeps `processes` children. `command` is what starts one, `start` what it is told."""

    def __init__(self, command: Sequence[str], start: Start, processes: int) -> None:
        self.start, self.processes = start, processes
        self.children: list[Child] = []
        """Those of which not everything is settled."""
        self.stopping = False
        self.came_up: Callable[[Ready], None] = lambda _: None
        """Called when the first child is ready."""
        self.ended: Callable[[Child, Counter[tuple[str, str, str]]], None] = lambda *_: None
        """Called when everything of a child is settled, with the outcomes that were its end."""
        self.ticked = clock.now()
        """When this process's own loop last came by."""
        self.observer: Callable[[], None] = lambda: None
        """Called about twice a second from then on."""
        self.changed: Callable[[], str] | None = None
        """Which file changed since the last call, "" = none. Then the children are started anew."""
        self.deserted: Callable[[], bool] = lambda: False
        """Whether the SIGHUP that came is the end of the terminal."""
        self._command = command
        self._seats: list[Child] = []
        """Who works; a child that ends has its seat until another takes it."""
        self._code = 0
        self._fresh = False
        """A file has changed since a child's module turned out to be broken."""
        self._renewed = 0.0
        """Whoever began before that is to be replaced: when the last SIGHUP came."""
        self._rolling = False
        self._past: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.agent = Agent(self._do, lambda: self.children)

    @property
    def totals(self) -> Counter[str]:
        """Outcomes by kind since the start."""
        return sum((Counter(child.board.totals) for child in self.children), self._past)

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return sum(child.running for child in self.children)

    async def run(self) -> int:
        """Works until it is told to stop; the exit code."""
        self._now = asyncio.Event()
        """What still runs is to be given back at once."""
        self._watch = Watch(self.agent.report)
        loop = asyncio.get_running_loop()
        acts = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self._hang_up, signal.SIGCHLD: self._reap}
        for number, act in acts.items():
            loop.add_signal_handler(number, act)
        try:
            await self._work()
        finally:
            for child in self.children:
                child.kill()
            for task in self._tasks:
                task.cancel()
            await self.agent.close()
        return self._code

    def stop(self) -> None:
        """Asks every child to end: what runs has the grace. A second call gives it back at once."""
        if self.stopping:
            self._now.set()
            return
        self.stopping = True
        self._do(self._announce())
        for child in self.children:
            self._do(see_off(child, self.start.grace, self._now))

    async def _work(self) -> None:
        """From the first child to the end of the last."""
        if self.changed:
            self._do(clock.every(OBSERVE_EVERY, self._look_at_files))
        if not await self._take_seats():
            return
        await asyncio.gather(*[self._keep(seat) for seat in range(len(self._seats))])
        await asyncio.gather(*[child.gone.wait() for child in self.children])  # one that was to succeed another has no seat
        await self._settled()

    async def _take_seats(self) -> bool:
        """Starts the children; whether any works. The first is alone: what keeps it from working would keep the others too. In a step of its
        own, which ends: what it knows them by would keep the memory of those that have gone."""
        first = await self._begin()
        if first is None or first.ready is None:
            self._code = 0 if self.stopping else max(1, (first and first.code) or 0)
            return False
        self.came_up(first.ready)
        self._do(clock.every(EVERY, self._look))
        self._do(clock.every(OBSERVE_EVERY, self.observer))
        seats = [first]
        while len(seats) < self.processes and not self.stopping:
            if (child := self._spawn()) is None:
                self._code = 1
                self.stop()
            else:
                seats.append(child)
        self._seats = seats
        return True

    async def _begin(self) -> Child | None:
        """The first child, once it is ready or there is no hope that it will be."""
        while first := self._spawn(first=True):
            await first.settled_in.wait()
            again = first.ready is None and (first.asked or (self._broken(first) and await self._repaired()))
            if not again or self.stopping:
                break
        return first

    async def _keep(self, seat: int) -> None:
        """Replaces whoever ends in this seat, until all are to end."""
        rest = 0.0
        while True:
            child = self._seats[seat]
            await child.gone.wait()
            if self._seats[seat] is not child:
                continue
            if self.stopping or (child.left and child.left.done):
                return
            if self._broken(child) and not await self._repaired():
                self._code = HOPELESS
                self.stop()
                return
            await clock.until(partial(self._may_be_succeeded, child))
            rest = 0.0 if child.left or clock.now() - child.began > LONGEST_REST else rest
            while not self._replaced(seat, child):
                await clock.until(partial(self._replaced, seat, child), rest)
                rest = min(LONGEST_REST, max(FIRST_REST, 2 * rest))
                if not self._replaced(seat, child):
                    self._seats[seat] = self._spawn() or child

    def _may_be_succeeded(self, child: Child) -> bool:
        """In a burst only once all that it held is back: its successor would find the queue empty before, and be done."""
        return self.stopping or not self.start.burst or child not in self.children

    def _replaced(self, seat: int, child: Child) -> bool:
        """Whether nobody need be started in place of this child."""
        return self.stopping or self._seats[seat] is not child

    def _look(self) -> None:
        self.ticked = clock.now()
        self._watch.look(self.children)

    def _spawn(self, *, first: bool = False) -> Child | None:
        """A new child; None where the system has no room for one: that must not end those that work."""
        try:
            child = Child(self._command, replace(self.start, first=first), self._heard)
        except OSError as error:
            log.warning("no process can be started: %s", error)
            return None
        self.children.append(child)
        return child

    def _heard(self, child: Child, said: Said) -> None:
        match said:
            case Ready():
                self.agent.serve(said)
            case Introduced(number):
                self.agent.introduce(child.identities[number])

    def _reap(self) -> None:
        """Some child has ended: others' jobs must not wait for that."""
        for child in list(self.children):
            if child.reap():
                if not (child.left or child.killed or self.stopping):
                    self._say_why(child)
                self._do(self._settle(child))

    def _say_why(self, child: Child) -> None:
        """Of a child that has ended without a word."""
        if child.asked and child.code == -signal.SIGTERM:
            return  # before it could hear of it, or after it had
        if child.ready:
            log.warning("process %d died (%s); what it held goes back, another takes its place", child.pid, cause(child.code))
        elif self._seats or child.code not in (HOPELESS, NO_SERVER):
            log.warning("process %d ended at its start (%s)", child.pid, cause(child.code))

    async def _settle(self, child: Child) -> None:
        """Whatever comes of that: as long as a child counts as ours, nobody else here looks after what it held."""
        await child.last_words()
        ended: Counter[tuple[str, str, str]] = Counter()
        try:
            ended = await self.agent.settle(child)
        except Exception:
            log.exception("what process %d held could not all be given back; it is taken over as that of a stranger", child.pid)
        self._past += Counter(child.board.totals)
        for (_, _, kind), count in ended.items():
            self._past[kind] += count
        self.children.remove(child)
        self.ended(child, ended)

    async def _settled(self) -> None:
        if not await clock.until(lambda: not self.children, PATIENCE):
            log.warning("the server does not answer; what was still held will be taken over by others")

    async def _announce(self) -> None:
        """Says what still runs, once the children have said it."""
        await clock.until(lambda: all(child.stopping or child.code is not None for child in self.children), ANNOUNCED)
        running = sum(child.stopping.running if child.stopping else child.running for child in self.children)
        log.info("stopping: %s", what_runs(running, self.start.grace))

    def _hang_up(self) -> None:
        """SIGHUP: the processes are replaced, one by one; or the terminal is gone."""
        if self.deserted():
            self.stop()
        elif not self.stopping and self._seats:
            log.info("replacing the %d processes, one by one", self.processes)
            self._renewed = clock.now()
            if not self._rolling:
                self._rolling = True
                self._do(self._roll())

    async def _roll(self) -> None:
        """Each gets its successor before it ends, so that the work never stops; one that cannot start ends none. A SIGHUP that comes meanwhile
        makes those old that began before it, and whoever takes the seat of one that died is new: so each seat has one process at the end."""
        try:
            while not self.stopping and (seat := self._outdated()) is not None:
                if (new := self._spawn()) is None:
                    return
                await new.settled_in.wait()
                if self.stopping:
                    return
                if new.ready is None:
                    log.error("the new process ended at its start (%s): the old ones go on", cause(new.code))
                    return
                old, self._seats[seat] = self._seats[seat], new
                await see_off(old, self.start.grace, self._now)
            if not self.stopping:
                log.info("all processes are replaced")
        finally:
            self._rolling = False

    def _outdated(self) -> int | None:
        """The first seat of a process that began before the last SIGHUP and has something left to do."""
        old = (seat for seat, child in enumerate(self._seats) if child.began < self._renewed and not (child.left and child.left.done))
        return next(old, None)

    def _look_at_files(self) -> None:
        """With --reload: starts the children anew when a file has changed."""
        if self.changed and (what := self.changed()) and not self.stopping:
            log.info("%s changed: starting anew", what)
            self._fresh = True
            for child in self.children:
                self._do(see_off(child, RELOAD_GRACE, self._now))

    def _broken(self, child: Child) -> bool:
        """Whether its module cannot be worked."""
        return child.ready is None and child.code == HOPELESS

    async def _repaired(self) -> bool:
        """With --reload a broken module is waited for; whether there is something new to try."""
        if self.changed is None:
            return False
        self._fresh = False
        await clock.until(lambda: self._fresh or self.stopping)
        return not self.stopping

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
