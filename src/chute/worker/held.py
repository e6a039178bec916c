"""A job in the worker's hands, from its claim to the answer to its finish. Data only."""

import asyncio
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from chute.holdings import Holdings
from chute.keys import base_of
from chute.outcome import Outcome

if TYPE_CHECKING:
    from chute.worker.lane import Lane


class Held(msgspec.Struct, eq=False):
    """One leased job. `holdings` is the identity under which it was claimed: it is finished under the same, whatever came after.

    One is made for every job, so its making is part of the hot path: a struct is made in half the time of an object.
    """

    lane: "Lane"
    holdings: Holdings
    lease: int
    tag: int
    body: bytes
    since: float
    """When it was claimed; from its start on, when it was started."""
    waited: bool = False
    """A wait brought it, not a claim that somebody had room for."""
    job_id: str = ""
    task: str = ""
    attempt: int = 1
    deaths: int = 0
    result_ttl: int = 0
    due: float = 0.0
    """When it was due by the server's clock, in seconds; 0 = it does not say."""
    runner: asyncio.Task[None] | None = None
    """The asyncio task that it runs in, once it waits for something."""
    deadline: float | None = None
    slot: int = -1
    """Where the board has it, while it runs."""
    overdue: bool = False
    """It ran past its deadline."""
    broken_off: bool = False
    """The worker ends and gives it back."""
    repeated: bool = False
    """Its finish was sent before and not answered: "not ours" then only means that the first one may have been done."""

    @property
    def named(self) -> dict[str, object]:
        """For the `extra=` of a log line about this job: which one it is. One name, that nobody else's records have."""
        return {"chute_job": {"job_id": self.job_id, "task": self.task, "queue": base_of(self.holdings.name), "attempt": self.attempt}}


Ended: TypeAlias = tuple[Held, Outcome]
"""A job and what it came to."""
