"""How much the worker holds and how much more it may claim: plain numbers and the decisions on them. Knows no server and no clock."""

from collections import deque
from threading import Lock

from chute.holdings import Holdings
from chute.worker.desk import Opened
from chute.worker.held import Ended, Held

MAX_PREFETCH = 4000
NEAR = 1000
"""What may wait in hand where the server is near: more only grows with itself, since a longer batch takes longer, and leaves the caches of both."""


class Slots:
    """What is held and unstarted, what runs, what has been asked for. `concurrency` jobs run at once; `prefetch` more may wait in hand.

    `threads`: that many of them may be plain functions. `plain`: all jobs are. What the threads change is changed under `lock`.
    """

    def __init__(self, concurrency: int, threads: int = 1, *, plain: bool = False) -> None:
        self.concurrency = concurrency
        self.threads, self.plain = threads, plain
        self.ready: deque[Held] = deque()
        self.suspect: Held | None = None
        """A job whose process died before, waiting until nothing runs or running: while it is here nothing else starts, and nothing is claimed."""
        self.running: set[Held] = set()
        """Those on the loop that have not ended. One that never waits for anything is never seen here."""
        self.lock = Lock()
        self.parked: dict[Held, Opened] = {}
        """Plain functions that no thread has taken yet, in their order."""
        self.threaded: set[Held] = set()
        """Those that a thread has taken; until the loop has looked at what `came` of them."""
        self.came: list[Ended] = []
        self.stopping = False
        """Nothing more starts."""
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
    def taken(self) -> int:
        """Slots that a job has, also one that waits for a thread."""
        return len(self.running) + len(self.parked) + len(self.threaded) - len(self.came)

    @property
    def full(self) -> bool:
        """Whether nothing more may start."""
        return self.taken >= self.concurrency or self.closed

    @property
    def closed(self) -> bool:
        """Whether nothing more may start even if there were slots."""
        return self.suspect is not None or self.held_up or self.quota == 0

    @property
    def open(self) -> bool:
        """Whether the next job in hand may go on: to a slot, or where all are plain functions to the threads, which take one when they can."""
        return not (self.stopping or self.closed) and (self.plain or self.taken < self.concurrency)

    @property
    def alone(self) -> bool:
        """Whether nothing runs, nor is about to, and the suspect may start."""
        return not (self.stopping or self.held_up or self.quota == 0 or self.running or self.parked or self.threaded)

    @property
    def startable(self) -> int:
        """How many jobs in hand may start now."""
        if self.suspect is not None:
            return int(self.alone)
        if not self.open:
            return 0
        return len(self.ready) if self.plain else min(len(self.ready), self.concurrency - self.taken)

    @property
    def free(self) -> int:
        """Slots that nothing in hand will fill."""
        return 0 if self.closed else self.concurrency - self.taken - len(self.ready) - self.asked

    @property
    def room(self) -> int:
        """How many more jobs may be claimed. None while a job must be alone, or waits for a thread among others that need none: what is claimed
        behind it would only wait too."""
        behind = not self.plain and self.parked and len(self.parked) + len(self.threaded) - len(self.came) > self.threads
        return 0 if behind or self.closed else self.free + self.prefetch

    @property
    def unstarted(self) -> list[Held]:
        """Jobs in hand that have not started."""
        with self.lock:
            begun = self.suspect is None or self.suspect in self.running or self.suspect in self.threaded or self.suspect in self.parked
            return [*([] if begun or self.suspect is None else [self.suspect]), *self.ready, *self.parked]

    @property
    def started(self) -> list[Held]:
        """Jobs that have started and not ended."""
        with self.lock:
            return [*self.running, *self.threaded]

    def leases(self, holdings: Holdings) -> set[int]:
        """What is in hand of one identity."""
        with self.lock:
            parked_or_begun = [*self.parked, *self.threaded]
        hand = (*self.ready, *self.running, *parked_or_begun, *([self.suspect] if self.suspect else ()))
        return {held.lease for held in hand if held.holdings is holdings}

    @property
    def empty(self) -> bool:
        """Whether nothing is in hand."""
        return not (self.ready or self.parked or self.running or self.threaded or self.suspect)

    def spend(self) -> None:
        """A job is started."""
        if self.quota is not None:
            self.quota -= 1

    def adapt(self, ran: int) -> None:
        """After a round trip in which `ran` jobs ran: hold twice that, and let go slowly. So it grows with the round trip by itself; beyond what
        a near server needs only when nothing was left to run before the answer came."""
        most = max(NEAR, self.prefetch * 15 // 16) if self.ready or self.parked else MAX_PREFETCH
        self.prefetch = max(min(most, 2 * ran), min(most, self.prefetch * 3 // 4))

    def take_back(self, jobs: list[Held]) -> list[Held]:
        """These are no longer in hand, but for those that a thread has taken meanwhile: which ones."""
        with self.lock:
            gone = set(jobs) - self.threaded
            if self.suspect in gone:
                self.suspect = None
            self.ready = deque(job for job in self.ready if job not in gone)
            self.parked = {job: opened for job, opened in self.parked.items() if job not in gone}
        return [job for job in jobs if job in gone]
