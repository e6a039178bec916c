"""The worker's heart: one turn that never awaits. Replies and finished jobs poke it; it starts what is ready, sends what is due, and sleeps.

The parts decide (`claim`, `slots`, `start`), run (`execute`, `threads`), store (`finish`) and go to the server and back (`shuttle`); this file only
lets them take turns.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from operator import attrgetter

from chute import holdings
from chute.connection import Endpoint
from chute.line import Line
from chute.lines import Lines
from chute.outcome import Released
from chute.queue import Queue
from chute.rest import Rest
from chute.script import LOAD
from chute.worker import clock
from chute.worker.claim import Claims
from chute.worker.clock import Timing
from chute.worker.desk import Desk
from chute.worker.execute import Executor
from chute.worker.finish import Finisher
from chute.worker.guard import Guard
from chute.worker.held import Ended, Held
from chute.worker.lane import Lane, Turn
from chute.worker.results import Results
from chute.worker.route import Route
from chute.worker.shuttle import Shuttle
from chute.worker.slots import Slots
from chute.worker.start import Starter
from chute.worker.threads import Threads

log = logging.getLogger("chute.worker")
BREAK_OFF = 0.5
"""Seconds that a cancelled job gets to clean up."""
_by_lease = attrgetter("lease")


def _turn(queues: list[tuple[Queue, int | None]], place: int) -> Turn:
    """That of each list of a queue: the partitions share its weight."""
    queue, weight = queues[place]
    if weight is None:
        return Turn(place)
    return Turn(len(queues), weight / len(queue.lists))


class Engine:
    """Everything that one worker holds, and the turn that moves it."""

    def __init__(self, queues: list[tuple[Queue, int | None]], concurrency: int, threads: int, timing: Timing, guard: Guard) -> None:
        self.loop = asyncio.get_running_loop()
        self.timing = timing
        self.guard = guard
        self._poked = False
        self._context = copy_context()
        """That of the start, in which every turn is taken: whoever pokes is often a job, and its variables are not the next one's."""
        endpoint = queues[0][0].endpoint
        self.lines = Lines(endpoint, self._line_changed, resting=True)
        worked = [(queue, name, _turn(queues, n)) for n, (queue, _) in enumerate(queues) for name in queue.lists]
        self.routes = [Route(line, self.poke) for line in self._own_lines(endpoint, [name for _, name, _ in worked])]
        routes = self.routes if endpoint.spread else self.routes * len(worked)
        self.lanes = [Lane(*each, routes[n], self.poke, partial(guard.introduce, n)) for n, each in enumerate(worked)]
        desks = {lane: Desk(lane.queue) for lane in self.lanes}
        plain = all(desk.all_threaded for desk in desks.values())
        self.slots = Slots(min(concurrency, threads) if plain else concurrency, threads, plain=plain)
        self.starter = Starter(self.slots, desks, guard.board, timing.trust, self._done)
        self.executor = Executor(self.slots, self.starter, self._done)
        self.threads = Threads(min(threads, concurrency), self.slots, self.starter, self._done)
        self.starter.give = self.threads.give
        self.claims = Claims(self.lanes, self.slots, timing.validity, self.give_back)
        self.results = Results(self.lines, self.slots, self._later, self.poke) if endpoint.spread else None
        first = self.results.add if self.results else None
        shuttles = {route: Shuttle(route, Finisher(self._later, route.load, first), self.slots, self.poke) for route in self.routes}
        self.shuttles = list(shuttles.values())
        self.shuttle = {lane: shuttles[lane.route] for lane in self.lanes}
        """Of each queue, what goes between it and its server."""
        for lane, shuttle in self.shuttle.items():
            shuttle.lanes.append(lane)
        self.burst = False
        self.drained = False
        """In a burst: nothing more was ready."""
        self.ended = asyncio.Event()
        self.closed = False
        """Nothing is sent any more: what comes later would open connections again."""
        self.full_since: float | None = None

    @property
    def errors(self) -> Counter[str]:
        """What the servers refused so far, by the word that their refusals begin with."""
        rests = {*self.lines.rests, *[route.line.rest for route in self.routes if route.line.rest]}
        return sum((rest.errors for rest in rests), Counter())

    @property
    def totals(self) -> Counter[str]:
        """Outcomes by kind since the start."""
        return sum((lane.meter.totals for lane in self.lanes), Counter())

    def poke(self, *_: object) -> None:
        """Something happened: take a turn soon."""
        if not self._poked and not self.loop.is_closed():
            self._poked = True
            self.loop.call_soon(self._turn, context=self._context)

    @property
    def stopping(self) -> bool:
        """Whether it is about to end: nothing more is started."""
        return self.slots.stopping

    def stop(self) -> None:
        """Claims no more, gives back what has not started, ends when what runs has ended."""
        self.slots.stopping = True
        self.poke()

    def break_off(self) -> None:
        """Gives back what still runs, uncharged. A thread cannot be cancelled; its job goes back all the same, and does not hold up the end."""
        for held in sorted(self.slots.started, key=_by_lease, reverse=True):  # youngest first: the oldest ends at the very front
            held.broken_off = True
            if held.runner:
                held.runner.cancel()
            else:
                self.loop.call_soon(self.threads.give_up, held)  # in its place among those that are cancelled
        self.loop.call_later(BREAK_OFF, self.ended.set)

    def give_back(self, jobs: list[Held]) -> None:
        """Releases jobs that have not started, youngest first, so that the oldest ends at the very front."""
        for held in sorted(self.slots.take_back(jobs), key=_by_lease, reverse=True):
            self.shuttle[held.lane].finisher.add([(held, Released())])
        self.poke()

    def unblock(self) -> None:
        """Ends the waits: a worker that is full or stopping keeps none open."""
        for route in self.routes:
            clients = [lane.client for lane in self.lanes if lane.route is route and lane.waiting and lane.client is not None]
            if clients:
                route.line.send([holdings.unblock(client) for client in clients], self.poke)

    def _turn(self) -> None:
        self._poked = False
        now = clock.now()
        self._identify(now)
        if self.slots.quota == 0:
            self.slots.stopping = True
        self.executor.go()
        for lane in self.lanes:
            lane.meter.turn(now)
        self._give_back_in_time()
        self._send(now)
        self._sleep(now)
        if self.slots.full and self.full_since is None:
            self.full_since = now
            self.unblock()
        elif not self.slots.full:
            self.full_since = None
        if self.burst and not self.stopping:
            self._burst()
        if self.stopping and self._all_quiet():
            self.ended.set()

    def _identify(self, now: float) -> None:
        """A queue where this worker is unknown or was judged dead: what has not started goes back, and a new id is registered."""
        for lane in self.lanes:
            if not lane.live and lane.route.line.up and not self.stopping and now >= lane.pause_until:
                self.give_back([held for held in self.slots.unstarted if held.lane is lane])
                lane.register()
            elif lane.live and not lane.noted:
                lane.note(self.lines)

    def _done(self, ended: list[Ended]) -> None:
        slots = self.slots
        slots.done += len(ended)
        for held, result in ended:
            if held.slot < 0:
                task = held.task if held.task in held.lane.queue.tasks else ""  # else whoever pushes could make series without end
                held.lane.meter.finished[task, result.kind] += 1
            else:
                slots.running.discard(held)
                held.lane.meter.begun[held.task, result.kind].append(held.since)
            if held is slots.suspect:
                slots.suspect = None
            held.lane.drained = False
        for shuttle in self.shuttles:
            shuttle.finisher.add(ended if len(self.shuttles) == 1 else [each for each in ended if self.shuttle[each[0].lane] is shuttle])
        self.poke()

    def _give_back_in_time(self) -> None:
        """What a stopping worker, or a full one that another queue's wait filled, will not start."""
        slots = self.slots
        if self.stopping and (unstarted := slots.unstarted):
            self.give_back(unstarted)
        elif slots.full and len(self.lanes) > 1 and (waited := [held for held in slots.ready if held.waited]):
            self.give_back(waited)

    def _send(self, now: float) -> None:
        claiming = not self.stopping and not (self.results and self.results.crowded)
        while claiming and (lane := self.claims.pick(sum(route.flights for route in self.routes), now)):
            self.shuttle[lane].fly(lane, self.claims.claim(lane, now))
        for shuttle in self.shuttles:
            while shuttle.pressing:
                shuttle.fly()
        if self.results:
            self.results.send()

    def _sleep(self, now: float) -> None:
        """Waits on every queue from which nothing is to be had, while there is a free slot."""
        if self.stopping or self.burst:
            return
        for lane in self.lanes:
            idle = not (lane.more or lane.owed or lane.claiming or lane.waiting)
            if idle and lane.may_be_asked(now) and self.slots.free > 0 and not self.slots.parked:
                if lane.client is not None:
                    self.claims.wait(lane, now, self.poke)
                elif lane.deaf(now):
                    self.poke()

    def _burst(self) -> None:
        """Ends when every queue was found empty after the last job had ended."""
        if not self.slots.empty or not all(shuttle.quiet for shuttle in self.shuttles):
            return
        if any(lane.uncertain for lane in self.lanes):
            return  # a claim without an answer may have taken jobs: they are looked for first
        if all(lane.live and lane.drained for lane in self.lanes):
            self.drained = True
            self.stop()
            return
        for lane in self.lanes:
            if lane.live and not lane.drained and not lane.owed:
                lane.owed = True
                self.poke()

    def _all_quiet(self) -> bool:
        nothing_waits = not any(lane.waiting for lane in self.lanes)
        stored = self.results is None or self.results.quiet
        return self.slots.empty and nothing_waits and stored and all(shuttle.quiet for shuttle in self.shuttles)

    def _own_lines(self, endpoint: Endpoint, lists: list[str]) -> list[Line]:
        """The lines that jobs travel on: to the server of each list where these are spread, else one for all."""
        if not endpoint.spread:
            line = self.lines.to("")
            return [line] if line else []
        lines = [Line(endpoint.at(holdings.place_of(name)), self._line_changed, rest=Rest()) for name in lists]
        for each in lines:
            each.open()
        return lines

    def _line_changed(self, line: Line) -> None:
        """A line went up or down: its scripts are loaded, and the waits beside it opened."""
        routes = [route for route in self.routes if route.line is line]
        for route in routes:
            route.changed(stopping=self.stopping)
        if line.connected and not routes:
            line.send(LOAD, lambda _: None)
        if not line.connected and self.results:
            self.results.lost(line)
        if line.connected:
            for lane in self.lanes:
                if lane.route in routes:
                    lane.line.open()
        self.poke()

    def _later(self, seconds: float, fn: Callable[[], None]) -> None:
        def call() -> None:
            if not self.closed:
                fn()
                self.poke()

        self.loop.call_later(seconds, call)
