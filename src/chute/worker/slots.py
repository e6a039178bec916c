"""How much the worker holds and how much more it may claim: plain numbers and the decisions on them. Knows no server and no clock."""

from collections import deque

from chute.holdings import Holdings
from chute.worker.held import Held

MAX_PREFETCH = 4000
NEAR = 1000
"""What may wait in hand where the server is near: more only grows with itself, since a longer batch takes longer, and leaves the caches of both."""


class Slots:
    """What is held and unstarted, what runs, what has been asked for. `concurrency` jobs run at once; `prefetch` more may wait in hand."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.ready: deque[Held] = deque()
        self.parked: deque[Held] = deque()
        """Jobs for a thread while no thread is free."""
        self.suspect: Held | None = None
        """A job whose process died before, waiting until nothing runs or running: while it is here nothing else starts, and nothing is claimed."""
        self.running: set[Held] = set()
        self.held_up = False
        """A job that cannot be stopped will be the end of this process: nothing new is begun."""
        self.quota: int | None = None
        """How many more jobs may be started; None: any number."""
        self.asked = 0
        self.prefetch = 0
        self.done = 0

    @property
    def allowance(self) -> int:
        """How many jobs may be in hand at once."""
        return self.concurrency + self.prefetch

    @property
    def full(self) -> bool:
        """Whether nothing more may start."""
        return len(self.running) >= self.concurrency or self.closed

    @property
    def closed(self) -> bool:
        """Whether nothing more may start even if there were slots."""
        return self.suspect is not None or self.held_up or self.quota == 0

    @property
    def free(self) -> int:
        """Slots that nothing in hand will fill."""
        return 0 if self.closed else self.concurrency - len(self.running) - len(self.ready) - len(self.parked) - self.asked

    @property
    def room(self) -> int:
        """How many more jobs may be claimed. None while a job waits for a thread or must be alone: what is claimed behind it would only wait too."""
        return 0 if self.parked or self.closed else self.free + self.prefetch

    @property
    def unstarted(self) -> list[Held]:
        """Jobs in hand that have not started."""
        lone = [self.suspect] if self.suspect and self.suspect not in self.running else []
        return [*lone, *self.ready, *self.parked]

    def leases(self, holdings: Holdings) -> set[int]:
        """What is in hand of one identity."""
        return {held.lease for held in (*self.unstarted, *self.running) if held.holdings is holdings}

    @property
    def empty(self) -> bool:
        """Whether nothing is in hand."""
        return not (self.ready or self.parked or self.running or self.suspect)

    def spend(self) -> bool:
        """A job is started; whether it was the last one that may be."""
        if self.quota is None:
            return False
        self.quota -= 1
        return not self.quota

    def adapt(self, ran: int) -> None:
        """After a round trip in which `ran` jobs ran: hold twice that, and let go slowly. So it grows with the round trip by itself; beyond what
        a near server needs only when nothing was left to run before the answer came."""
        most = max(NEAR, self.prefetch * 15 // 16) if self.ready else MAX_PREFETCH
        self.prefetch = max(min(most, 2 * ran), min(most, self.prefetch * 3 // 4))

    def take_back(self, jobs: list[Held]) -> None:
        """These are no longer in hand."""
        gone = set(jobs)
        if self.suspect in gone:
            self.suspect = None
        self.ready = deque(job for job in self.ready if job not in gone)
        self.parked = deque(job for job in self.parked if job not in gone)
