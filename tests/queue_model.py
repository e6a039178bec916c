"""What one queue is supposed to be: a plain Python model of the state machine that the scripts keep on the server. Pure.

Each method is one script and returns the reply that the script must give. Lists go from left to right, as on the server. Nothing here is
clever; where the model and the scripts disagree, one of them is wrong.
"""

from dataclasses import dataclass, field
from typing import Any

Fields = dict[str, str]


@dataclass
class Outcome:
    """One record of finish: the lease it is about, its kind, and what the kind needs."""

    lease: int
    kind: str
    job_id: str = ""
    fields: Fields = field(default_factory=dict[str, str])
    body: str = ""
    delay: int = 0


@dataclass
class QueueModel:
    """One queue. `done` are the jobs that were finished and left no entry."""

    queue: list[str] = field(default_factory=list[str])
    first: list[str] = field(default_factory=list[str])
    workers: dict[str, bool] = field(default_factory=dict[str, bool])  # True = alive, False = closed
    leases: dict[str, dict[int, str]] = field(default_factory=dict[str, dict[int, str]])
    scheduled: list[tuple[bool, str]] = field(default_factory=list[tuple[bool, str]])  # due?, body; in the order of their making
    dead: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])
    results: dict[str, Fields] = field(default_factory=dict[str, Fields])
    done: list[str] = field(default_factory=list[str])
    tags: int = 0

    def enqueue(self, body: str, priority: str, due: str) -> None:
        if due:
            self.tags += 1
            self.scheduled.append((due == "+0", body))
        elif not priority:
            self.queue.insert(0, body)
        elif self.queue:
            self.first.insert(0, body)
        else:
            self.queue.append(body)

    def wait(self) -> None:
        """What the server does for a waiting worker, before its claim."""
        if self.queue:
            self.first.insert(0, self.queue.pop())

    def claim(self, worker: str, call: int, want: int, room: int) -> str | list[Any]:
        """The answer without its time."""
        alive = self.workers.get(worker, False)
        bodies = list[str]()
        while alive and len(bodies) < want and room > 0 and (self.first or self.queue):
            bodies.append((self.first or self.queue).pop())
            room -= len(bodies[-1])
        if self.first and not self.queue:
            self.queue.append(self.first.pop(0))
        if not alive:
            return "FENCED"
        self.leases.setdefault(worker, {}).update({call * 1000 + place: body for place, body in enumerate(bodies, 1)})
        self.tags += len(bodies)
        return [self.tags - len(bodies) + 1 if bodies else 0, bodies]

    def finish(self, worker: str, outcomes: list[Outcome]) -> str:
        leases = self.leases.get(worker, {})
        answer = ""
        for outcome in outcomes:
            if outcome.kind == "garbage":
                answer += "E"
            elif outcome.lease not in leases:
                answer += "0"
            else:
                self._settle(outcome, leases[outcome.lease])
                answer += "1"
        for letter, outcome in zip(answer, outcomes, strict=True):
            if letter == "1":
                del leases[outcome.lease]
        return answer

    def _settle(self, outcome: Outcome, body: str) -> None:
        if outcome.fields:
            self.results[outcome.job_id] = dict(outcome.fields)
        if outcome.kind in {"result", "drop"}:
            self.done.append(body)
        elif outcome.kind == "retry":
            self.tags += 1
            self.scheduled.append((outcome.delay == 0, outcome.body))
        elif outcome.kind == "release":
            self.queue.append(body)
        elif outcome.kind == "fail":
            self.dead.append(body)
        elif outcome.kind == "refuse":
            self.refused.append(body)

    def promote(self, want: int) -> int:
        """How many were moved."""
        due = [entry for entry in self.scheduled if entry[0]][:want]
        for entry in due:
            self.queue.insert(0, entry[1])
            self.scheduled.remove(entry)
        return len(due)

    def register(self, worker: str) -> int:
        if worker in self.workers:
            return 0
        self.workers[worker] = True
        return 1

    def close(self, worker: str, *, seen_rightly: bool) -> int:
        if worker not in self.workers:
            return 0
        if self.workers[worker] and not seen_rightly:
            return 0
        self.workers[worker] = False
        return 1

    def reclaim(self, worker: str, chunk: int) -> int:
        """Gives back the youngest leases first; forgets the worker that holds none."""
        leases = self.leases.get(worker, {})
        if self.workers.get(worker, True):
            return -1 if leases else 0
        back = sorted(leases, reverse=True)[:chunk]
        for lease in back:
            self.queue.append(leases.pop(lease))
        if not leases:
            del self.workers[worker]
        return len(back)

    def requeue(self, letters: list[str], place: int, body: str, job_id: str) -> None:
        self.results.pop(job_id, None)
        self.queue.insert(0, body)
        del letters[place]

    def entries(self) -> list[str]:
        """Every job that is somewhere on the server."""
        held = [body for leases in self.leases.values() for body in leases.values()]
        return [*self.queue, *self.first, *held, *(body for _, body in self.scheduled), *self.dead, *self.refused]
