"""A job in the worker's hands, from its claim to the answer to its finish. Data only."""

import asyncio
from typing import TYPE_CHECKING

from chute.holdings import Holdings
from chute.keys import base_of

if TYPE_CHECKING:
    from chute.worker.lane import Lane


class Held:
    """One leased job. `holdings` is the identity under which it was claimed: it is finished under the same, whatever came after.

    What most jobs never set is kept on the class: one is made for every job, so its making is part of the hot path.
    """

    waited = False
    """A wait brought it, not a claim that somebody had room for."""
    job_id = ""
    task = ""
    attempt = 1
    deaths = 0
    result_ttl = 0
    due = 0.0
    """When it was due by the server's clock, in seconds; 0 = it does not say."""
    runner: asyncio.Task[object] | None = None
    deadline: float | None = None
    threaded = False
    slot = -1
    """Where the board has it, while it runs."""
    overdue = False
    """It ran past its deadline."""
    broken_off = False
    """The worker ends and gives it back."""
    repeated = False
    """Its finish was sent before and not answered: "not ours" then only means that the first one may have been done."""

    def __init__(self, lane: "Lane", holdings: Holdings, lease: int, tag: int, body: bytes, since: float) -> None:
        self.lane = lane
        self.holdings = holdings
        self.lease = lease
        self.tag = tag
        self.body = body
        self.since = since
        """When it was claimed; from its start on, when it was started."""

    @property
    def named(self) -> dict[str, object]:
        """For the `extra=` of a log line about this job: which one it is. One name, that nobody else's records have."""
        return {"chute_job": {"job_id": self.job_id, "task": self.task, "queue": base_of(self.holdings.name), "attempt": self.attempt}}
