"""Memory that a worker process shares with its supervisor: what it is doing, readable also while it hangs and after it was killed.

    cell 0   when its event loop last came by             (worker)     4 ints    jobs completed, failed, refused, run again
    1 a lane when the server last answered a beat of it   (supervisor) 1 float
    n cells  the lease that the slot runs, 0 = none       (worker)     identity << 48 | lease; negative once it has ended
    n cells  when that job must have ended, 0 = never     (worker)     1 float
    32 cells the status line of the terminal              (supervisor) length, text

Times are those of `clock.now()`, which all processes of a machine share. A cell is eight bytes and is written whole, so no lock is needed.
"""

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator

LANES = 16
"""The queues of one worker at most."""
_TICK, _TOTALS, _PROOFS = 0, 1, 5
_MARKS = _PROOFS + LANES
KINDS = ("completed", "failed", "refused", "again")
_LEASE_BITS = 48
_STATUS = 32
_LEASE = (1 << _LEASE_BITS) - 1


class Board:
    """The shared memory of one worker process with `slots` slots. `fd` is the file to share, or None for a worker without a supervisor."""

    def __init__(self, slots: int, fd: int | None = None) -> None:
        self._slots = slots
        size = _size(slots)
        memory = mmap.mmap(-1, size) if fd is None else mmap.mmap(fd, size)
        self._ints = memoryview(memory).cast("q")
        self._floats = memoryview(memory).cast("d")
        self._bytes = memoryview(memory)
        self._marks = self._ints[_MARKS : _MARKS + slots]
        self._deadlines = self._floats[_MARKS + slots : _MARKS + 2 * slots]
        self._free = list(range(slots - 1, -1, -1))

    def take(self) -> int:
        """A free slot."""
        return self._free.pop()

    def start(self, slot: int, identity: int, lease: int, deadline: float | None) -> None:
        """Marks a job as started in a slot, in which the one before has ended."""
        self._deadlines[slot] = deadline or 0.0
        self._marks[slot] = identity << _LEASE_BITS | lease

    def end(self, slot: int) -> None:
        """The job in this slot has ended, and the slot is free. Until another takes it the job stays known: its outcome may never be stored."""
        self._marks[slot] = -abs(self._marks[slot])
        self._free.append(slot)

    def started(self) -> Iterator[tuple[int, int, float]]:
        """(identity, lease, deadline or 0) of each job that has started and not ended."""
        for slot, mark in enumerate(self._marks.tolist()):
            if mark > 0:
                yield mark >> _LEASE_BITS, mark & _LEASE, self._deadlines[slot]

    def ran(self) -> set[tuple[int, int]]:
        """(identity, lease) of each job that has started, and of those that have ended the last in each slot."""
        marks = map(abs, self._marks.tolist())
        return {(mark >> _LEASE_BITS, mark & _LEASE) for mark in marks if mark}

    @property
    def tick(self) -> float:
        """When the event loop last came by; 0 = not yet."""
        return self._floats[_TICK]

    @tick.setter
    def tick(self, now: float) -> None:
        """Notes that it came by."""
        self._floats[_TICK] = now

    @property
    def totals(self) -> dict[str, int]:
        """Outcomes since the start, by kind."""
        return dict(zip(KINDS, self._ints[_TOTALS : _TOTALS + len(KINDS)].tolist(), strict=True))

    def count(self, totals: Iterable[int]) -> None:
        """Sets the totals, in the order of KINDS."""
        for place, total in enumerate(totals, _TOTALS):
            self._ints[place] = total

    def proof(self, lane: int) -> float:
        """When the last beat of that lane was sent that the server answered with "you live"."""
        return self._floats[_PROOFS + lane]

    def prove(self, lane: int, sent: float) -> None:
        """Notes such an answer."""
        self._floats[_PROOFS + lane] = sent

    @property
    def status(self) -> str:
        """What stands in the last line of the terminal; "" = nothing. Cut to what there is room for."""
        cell = _MARKS + 2 * self._slots
        length = self._ints[cell]
        return bytes(self._bytes[8 * (cell + 1) :][:length]).decode(errors="ignore")

    @status.setter
    def status(self, text: str) -> None:
        """Notes it. Whoever reads between sees an empty one."""
        cell = _MARKS + 2 * self._slots
        self._ints[cell] = 0
        encoded = text.encode()[: 8 * (_STATUS - 1)]
        self._bytes[8 * (cell + 1) :][: len(encoded)] = encoded
        self._ints[cell] = len(encoded)


def _size(slots: int) -> int:
    return 8 * (_MARKS + 2 * slots + _STATUS)


def shared(slots: int) -> tuple[Board, int]:
    """A board for another process, and the file descriptor to give to it: memory without a name."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("chute", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        os.ftruncate(fd, _size(slots))
        return Board(slots, fd), fd
    except OSError:
        os.close(fd)
        raise
