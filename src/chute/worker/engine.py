"""The worker's heart: one turn that never awaits. Replies and finished jobs poke it; it starts what is ready, sends what is due, and sleeps.

The parts decide (`claim`, `slots`), run (`execute`), store (`finish`) and go to the server and back (`shuttle`); this file only lets them take
turns.
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
from chute.envelope import Refused
from chute.line import Line
from chute.lines import Lines
from chute.outcome import Outcome, Released
from chute.queue import Queue
from chute.rest import Rest
from chute.script import LOAD
from chute.worker import clock, verdict
from chute.worker.claim import Claims
from chute.worker.clock import Timing
from chute.worker.desk import Desk
from chute.worker.execute import Executor
from chute.worker.finish import Finisher
from chute.worker.guard import Guard
from chute.worker.held import Held
from chute.worker.lane import Lane, Turn
from chute.worker.results import Results
from chute.worker.route import Route
from chute.worker.shuttle import Shuttle
from chute.worker.slots import Slots

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
        self.stopping = False
        self._poked = False
        self._context = copy_context()
        """That of the start, in which every turn is taken: whoever pokes is often a job, and its variables are not the next one's."""
        endpoint = queues[0][0].endpoint
        self.lines = Lines(endpoint, self._line_changed, resting=True)
        worked = [(queue, name, _turn(queues, n)) for n, (queue, _) in enumerate(queues) for name in queue.lists]
        self.routes = [Route(line, self.poke) for line in self._own_lines(endpoint, [name for _, name, _ in worked])]
        routes = self.routes if endpoint.spread else self.routes * len(worked)
        self.lanes = [Lane(*each, routes[n], self.poke, partial(guard.introduce, n)) for n, each in enumerate(worked)]
        self.desks = {lane: Desk(lane.queue) for lane in self.lanes}
        if all(desk.all_threaded for desk in self.desks.values()):
            concurrency = min(concurrency, threads)  # a job that waits for a thread here would start elsewhere
        self.slots = Slots(concurrency)
        self.executor = Executor(threads, guard.mark, self._ran)
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

    def stop(self) -> None:
        """Claims no more, gives back what has not started, ends when what runs has ended."""
        self.stopping = True
        self.poke()

    def break_off(self) -> None:
        """Gives back what still runs, uncharged. What cannot be cancelled (a thread) does not hold up the end: leaving gives it back."""
        for held in sorted(self.slots.running, key=_by_lease, reverse=True):  # youngest first: the oldest ends at the very front
            held.broken_off = True
            if held.runner and not held.runner.done():
                held.runner.cancel()
        self.loop.call_later(BREAK_OFF, self.ended.set)

    def give_back(self, jobs: list[Held]) -> None:
        """Releases jobs that have not started, youngest first, so that the oldest ends at the very front."""
        self.slots.take_back(jobs)
        for held in sorted(jobs, key=_by_lease, reverse=True):
            self.shuttle[held.lane].finisher.add(held, Released())
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
        self._start(now)
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

    def _start(self, now: float) -> None:
        slots, trusted = self.slots, now - self.timing.trust
        if slots.suspect and not slots.running and not self.stopping and slots.suspect.lane.proof > trusted:
            self._run(slots.suspect, now)
        while slots.parked and not slots.full and self.executor.thread_free and slots.parked[0].lane.proof > trusted:
            self._run(slots.parked.popleft(), now)
        while slots.ready and not slots.full and not self.stopping and slots.ready[0].lane.proof > trusted:
            self._run(slots.ready.popleft(), now)

    def _run(self, held: Held, now: float) -> None:
        """Opens a job and starts it, or parks it while no thread is free, or refuses it."""
        try:
            opened = self.desks[held.lane].open(held)
        except Refused as refused:
            self._done(held, verdict.refuse(held, refused))
            return
        except BaseException as error:  # a converter of the user's may raise anything
            log.exception("job in queue %s cannot be opened", held.lane.name, extra=held.named)
            self._done(held, verdict.refuse(held, Refused("bad_arguments", verdict.describe(error), held.job_id, held.task)))
            return
        no_thread = opened.task.threaded and not self.executor.thread_free
        if held.deaths:
            self.slots.suspect = held
            if self.slots.running or no_thread:
                return
        elif no_thread:
            self.slots.parked.append(held)
            return
        held.lane.meter.due.append(held.due - held.lane.route.ahead if held.due else held.since)
        held.since, held.threaded = now, opened.task.threaded
        timeout = opened.task.policy.timeout
        held.deadline = None if timeout is None else now + timeout
        self.slots.running.add(held)
        if self.slots.spend():
            self.stop()
        if opened.task.threaded:
            self.guard.mark(held)
            self.executor.give_thread(opened)
        held.runner = self.loop.create_task(self.executor.run(held, opened))

    def _ran(self, held: Held, result: Outcome) -> None:
        self.slots.running.discard(held)
        self.guard.board.end(held.slot)
        self._done(held, result)

    def _done(self, held: Held, result: Outcome) -> None:
        self.slots.done += 1
        if held is self.slots.suspect:
            self.slots.suspect = None
        held.lane.drained = False
        meter = held.lane.meter
        if held.runner:
            meter.begun[held.task, result.kind].append(held.since)
        else:
            task = held.task if held.task in held.lane.queue.tasks else ""  # else whoever pushes could make series without end
            meter.finished[task, result.kind] += 1
        self.shuttle[held.lane].finisher.add(held, result)
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
            idle = not (lane.more or lane.owed or lane.claiming or lane.waiting) and now >= lane.pause_until
            if idle and lane.live and self.slots.free > 0 and not self.slots.parked:
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
        return self.slots.empty and nothing_waits and all(shuttle.quiet for shuttle in self.shuttles)

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
        if line.connected:
            for lane in self.lanes:
                if lane.route in routes:
                    lane.line.open()
        self.poke()

    def _later(self, seconds: float, fn: Callable[[], None]) -> None:
        def call() -> None:
            fn()
            self.poke()

        self.loop.call_later(seconds, call)
