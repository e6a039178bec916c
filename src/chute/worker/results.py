"""The first half of a finish in a Cluster: a result lives on another server than its queue, so it is stored there before the lease is dropped.

A record whose result is stored goes on to its finisher; one that was not answered, or refused, is sent again. Nothing is dropped here.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import redis

from chute import store
from chute.line import Line
from chute.lines import Lines
from chute.script import LOAD
from chute.store import CHUNK
from chute.worker.finish import FLIGHT_BYTES, REPEAT_AFTER, Record
from chute.worker.route import FLIGHTS
from chute.worker.slots import Slots
from chute.worker.trouble import Trouble

log = logging.getLogger("chute.worker")
AGAIN = 0.1
"""Seconds until one is sent again whose server was not there, or is another one now."""
CROWD = 10_000
"""So many results may wait for their servers before no more jobs are claimed."""
_MOVING = (redis.exceptions.AskError, redis.exceptions.TryAgainError)  # AskError is the base of MovedError

Entry: TypeAlias = tuple[Record, Callable[[Record], None]]
"""A record, and who goes on with it once its result is stored."""


class Results:
    """The results of one worker on their way. `later(seconds, fn)` calls back; `poke` is called when one is stored."""

    def __init__(self, lines: Lines, slots: Slots, later: Callable[[float, Callable[[], None]], Any], poke: Callable[[], None]) -> None:
        self._lines, self._slots, self._later, self._poke = lines, slots, later, poke
        self._waiting: dict[Line, deque[Entry]] = {}
        self._flying: Counter[Line] = Counter()
        self._count = 0
        self._trouble = Trouble("the servers store results again")

    @property
    def crowded(self) -> bool:
        """Whether more wait than should."""
        return self._count > CROWD

    def add(self, record: Record, stored: Callable[[Record], None]) -> None:
        """Takes a record that has a result."""
        self._count += 1
        self._put((record, stored))

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

    def _put(self, entry: Entry) -> None:
        line = self._lines.to(store.key_of_result(entry[0].job_id))
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
        records = [record for record, _ in batch]
        line.send(
            [each.held.holdings.store(each.job_id, each.held.tag, each.packed) for each in records],
            partial(self._answered, line, batch),
        )

    def _answered(self, line: Line, batch: list[Entry], replies: list[Any] | None) -> None:
        self._flying[line] -= 1
        if replies is None:
            self._again(batch, AGAIN)
            return
        moved: list[Entry] = []
        refused: list[Entry] = []
        for entry, reply in zip(batch, replies, strict=True):
            if not isinstance(reply, Exception):
                self._count -= 1
                entry[1](entry[0])
            elif isinstance(reply, (redis.exceptions.NoScriptError, *_MOVING)):
                moved.append(entry)
            else:
                self._trouble.says(f"a server refuses to store results ({reply}); their jobs keep their leases, trying again")
                refused.append(entry)
        if any(isinstance(reply, redis.exceptions.NoScriptError) for reply in replies):
            line.send(LOAD, lambda _: None)
        if not refused:
            self._trouble.ends()
        self._again(moved, AGAIN)
        self._again(refused, REPEAT_AFTER)
        self._poke()
