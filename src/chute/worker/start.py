"""Which job starts next: opens what is in hand in its order, refuses what is no job, gives plain functions to threads. Part of the hot path.

A job whose process died before is a suspect: it starts when nothing else runs, and nothing starts beside it.
"""

import logging
from collections.abc import Callable, Mapping

from chute.envelope import Refused
from chute.worker import clock, verdict
from chute.worker.board import Board
from chute.worker.desk import Desk, Opened
from chute.worker.held import Ended, Held
from chute.worker.lane import Lane
from chute.worker.slots import Slots

log = logging.getLogger("chute.worker")


class Starter:
    """`trust`: seconds without a sign from the server after which nothing of a queue is started; `give` takes a plain function to a thread;
    `ended` is told of what is refused."""

    def __init__(
        self,
        slots: Slots,
        desks: Mapping[Lane, Desk],
        board: Board,
        trust: float,
        ended: Callable[[list[Ended]], object],
    ) -> None:
        self._slots, self._desks, self._board, self._trust, self._ended = slots, desks, board, trust, ended
        self.give: Callable[[Held, Opened], object]
        self._slot = -1
        """The board's, in which jobs run one after the other as long as none waits for anything."""

    def next(self, now: float) -> tuple[Held, Opened] | None:
        """The next async job that may start, marked as started. Plain ones before it are given to threads."""
        slots, ready, trusted = self._slots, self._slots.ready, now - self._trust
        if slots.suspect is not None:
            return self._suspect(slots.suspect, now) if slots.alone and slots.suspect.lane.proof > trusted else None
        while ready and slots.open and ready[0].lane.proof > trusted:
            held = ready.popleft()
            if (opened := self._open(held)) is None:
                continue
            if held.deaths:
                slots.suspect = held
                return self.next(now)
            if not opened.task.threaded:
                return self._on_the_loop(held, opened, now)
            self._to_a_thread(held, opened)
        return None

    def waits(self, held: Held) -> None:
        """That job waits for something: it keeps its slot, and the next one gets another."""
        self._slots.running.add(held)
        self._slot = -1

    def pause(self) -> None:
        """Nothing runs on the loop but what waits."""
        if self._slot >= 0:
            self._board.end(self._slot)
            self._slot = -1

    def begin(self, held: Held, opened: Opened) -> None:
        """In its thread: a plain function is about to run."""
        self._begin(held, opened, clock.now(), self._board.take())

    def end(self, held: Held) -> None:
        """The code of a job that had a slot of its own has run. Also called in threads."""
        self._board.end(held.slot)

    def _begin(self, held: Held, opened: Opened, now: float, slot: int) -> None:
        """Notes that the job's own code is about to run, no sooner: what the death of this process would be charged to."""
        lane, timeout = held.lane, opened.task.policy.timeout
        lane.meter.due.append(held.due - lane.route.ahead if held.due else held.since)
        held.since, held.slot = now, slot
        if timeout is not None:
            held.deadline = now + timeout
        self._board.start(slot, held.holdings.number, held.lease, held.deadline)

    def _suspect(self, held: Held, now: float) -> tuple[Held, Opened] | None:
        if (opened := self._open(held)) is None:
            return None
        if opened.task.threaded:
            self._to_a_thread(held, opened)
            return None
        return self._on_the_loop(held, opened, now)

    def _to_a_thread(self, held: Held, opened: Opened) -> None:
        """The board's slot goes back first: the job before has ended, and the thread may need it before the loop gets to its next pause."""
        self.pause()
        self.give(held, opened)

    def _on_the_loop(self, held: Held, opened: Opened, now: float) -> tuple[Held, Opened]:
        if self._slot < 0:
            self._slot = self._board.take()
        self._slots.spend()
        self._begin(held, opened, now, self._slot)
        return held, opened

    def _open(self, held: Held) -> Opened | None:
        """The job, decoded and resolved; None for one that was refused."""
        try:
            return self._desks[held.lane].open(held)
        except Refused as refused:
            self._ended([(held, verdict.refuse(held, refused))])
        except BaseException as error:  # a converter of the user's may raise anything
            log.exception("job in queue %s cannot be opened", held.lane.name, extra=held.named)
            why = Refused("bad_arguments", verdict.describe(error), held.job_id, held.task)
            self._ended([(held, verdict.refuse(held, why))])
        return None
