"""The first half of a finish in a Cluster: a result lives on another server than its queue, so it is stored there before the lease is dropped.

A record whose result is stored goes on to its finisher; one that was not answered, or refused, is sent again. Nothing is dropped here. What was
stored last is kept for a moment: a server answers before its replica has heard, so what it took in its last moments may be gone with it, while
the lease is dropped elsewhere. It is stored again where the way to that server ends.
"""

import logging
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import redis

from chute import store
from chute.line import Line
from chute.lines import Lines
from chute.script import LOAD
from chute.store import CHUNK
from chute.worker import clock
from chute.worker.finish import FLIGHT_BYTES, REPEAT_AFTER, Record
from chute.worker.route import FLIGHTS
from chute.worker.slots import Slots
from chute.worker.trouble import Trouble

log = logging.getLogger("chute.worker")
AGAIN = 0.1
"""Seconds until one is sent again whose server was not there, or is another one now."""
CROWD = 10_000
"""So many results may wait for their servers before no more jobs are claimed."""
KEPT, KEPT_BYTES = 1.0, 8 << 20
"""Seconds for which what was stored is kept, and bytes of it to each server at the most."""
_MOVING = (redis.exceptions.AskError, redis.exceptions.TryAgainError)  # AskError is the base of MovedError

AGAIN_FOR, PATIENCE = 60.0, 2.0
"""Seconds until a result that was stored before is given up, should nobody take it; and those that a worker waits for them before it ends."""
Entry: TypeAlias = tuple[Record, Callable[[Record], None] | None, float]
"""A record, who goes on with it once its result is stored (None: it was before), and until when that is tried."""


class Kept:
    """What one server stored last, oldest first."""

    def __init__(self) -> None:
        self._records: deque[tuple[float, Record]] = deque()
        self._size = 0

    def add(self, record: Record, now: float) -> None:
        """It has answered so for this one."""
        self._records.append((now, record))
        self._size += _size(record)
        while self._size > KEPT_BYTES:
            self._forget_oldest()

    def forget(self, before: float) -> None:
        """What was stored before then is taken to have reached whoever may take its place."""
        while self._records and self._records[0][0] < before:
            self._forget_oldest()

    def take(self) -> list[Record]:
        """All of it, to be stored again."""
        taken = [record for _, record in self._records]
        self._records.clear()
        self._size = 0
        return taken

    def _forget_oldest(self) -> None:
        self._size -= _size(self._records.popleft()[1])


def _size(record: Record) -> int:
    return len(record.packed) + len(record.held.body)


class Results:
    """The results of one worker on their way. `later(seconds, fn)` calls back; `poke` is called when one is stored."""

    def __init__(self, lines: Lines, slots: Slots, later: Callable[[float, Callable[[], None]], Any], poke: Callable[[], None]) -> None:
        self._lines, self._slots, self._later, self._poke = lines, slots, later, poke
        self._waiting: dict[Line, deque[Entry]] = {}
        self._flying: Counter[Line] = Counter()
        self._kept: defaultdict[Line, Kept] = defaultdict(Kept)
        self._count = self._again_count = 0
        """Those on their way whose leases wait for it, and those that were stored before."""
        self._lost_at = -math.inf
        self._trouble = Trouble("the servers store results again")

    @property
    def crowded(self) -> bool:
        """Whether more wait than should."""
        return self._count > CROWD

    @property
    def quiet(self) -> bool:
        """Whether no lease waits for one, nor, for a while, anything else does."""
        return not self._count and (not self._again_count or clock.now() > self._lost_at + PATIENCE)

    def add(self, record: Record, stored: Callable[[Record], None]) -> None:
        """Takes a record that has a result."""
        self._count += 1
        self._put((record, stored, math.inf))

    def send(self) -> None:
        """Sends what waits, two round trips to each server at once at the most; the second leaves for as much as is worth it, as a shuttle's.
        Called in every turn."""
        worth = self._slots.allowance // (4 * max(1, len(self._waiting)))
        for line, waiting in list(self._waiting.items()):
            if not line.up:
                del self._waiting[line]
                self._again(waiting, AGAIN)  # by then another may have its keys
            while waiting and line.up and (not self._flying[line] or (self._flying[line] < FLIGHTS and len(waiting) >= worth)):
                self._fly(line, waiting)

        now = clock.now()
        for line, kept in self._kept.items():
            if not self._flying[line]:  # else it may be silent for longer than that, and gone
                kept.forget(now - KEPT)

    def lost(self, line: Line) -> None:
        """The way to a server has ended: what it took last may be gone with it. Stored twice is stored once."""
        self._flying.pop(line, None)
        if records := self._kept.pop(line, Kept()).take():
            self._lost_at = clock.now()
            self._again_count += len(records)
            self._again([(record, None, self._lost_at + AGAIN_FOR) for record in records], AGAIN)

    def _ended(self, entry: Entry, kept: Kept, now: float) -> None:
        """It is stored. Once again is enough: a line that comes and goes would bring all of it each time."""
        record, stored, _ = entry
        if stored:
            self._count -= 1
            kept.add(record, now)
            stored(record)
        else:
            self._again_count -= 1

    def _put(self, entry: Entry) -> None:
        record, _, until = entry
        if clock.now() > until:
            self._again_count -= 1
            log.warning(
                "the result of job %s is lost: it was stored, but its server is gone, and nobody is there in its place", record.job_id
            )
            return
        line = self._lines.to(store.key_of_result(record.job_id))
        if line is None:
            self._again((entry,), AGAIN)
        else:
            self._waiting.setdefault(line, deque()).append(entry)

    def _again(self, entries: "deque[Entry] | list[Entry] | tuple[Entry, ...]", seconds: float) -> None:
        def put() -> None:
            for each in entries:
                self._put(each)

        if entries:
            self._later(seconds, put)

    def _fly(self, line: Line, waiting: deque[Entry]) -> None:
        batch: list[Entry] = []
        size = 0
        while waiting and len(batch) < CHUNK and (not batch or size + len(waiting[0][0].packed) <= FLIGHT_BYTES):
            batch.append(waiting.popleft())
            size += len(batch[-1][0].packed)
        self._flying[line] += 1
        records = [record for record, *_ in batch]
        line.send(
            [each.held.holdings.store(each.job_id, each.held.tag, each.packed) for each in records],
            partial(self._answered, line, batch),
        )

    def _answered(self, line: Line, batch: list[Entry], replies: list[Any] | None) -> None:
        self._flying[line] -= 1
        if replies is None:
            self._again(batch, AGAIN)
            return
        now, kept = clock.now(), self._kept[line]
        kept.forget(now - KEPT)
        moved: list[Entry] = []
        refused: list[Entry] = []
        for entry, reply in zip(batch, replies, strict=True):
            if not isinstance(reply, Exception):
                self._ended(entry, kept, now)
            elif isinstance(reply, (redis.exceptions.NoScriptError, *_MOVING)):
                moved.append(entry)
            else:
                self._trouble.says(f"a server refuses to store results ({reply}); trying again, and no lease is dropped before")
                refused.append(entry)
        if any(isinstance(reply, redis.exceptions.NoScriptError) for reply in replies):
            line.send(LOAD, lambda _: None)
        if not refused:
            self._trouble.ends()
        self._again(moved, AGAIN)
        self._again(refused, REPEAT_AFTER)
        self._poke()
