"""A job in the worker's hands, from its claim to the answer to its finish. Data only."""

import asyncio
from typing import TYPE_CHECKING

from chute.store import Holdings

if TYPE_CHECKING:
    from chute.worker.lane import Lane


class Held:
    """One leased job. `holdings` is the identity under which it was claimed: it is finished under the same, whatever came after."""

    __slots__ = (
        "attempt",
        "body",
        "broken_off",
        "deadline",
        "deaths",
        "holdings",
        "job_id",
        "lane",
        "lease",
        "overdue",
        "repeated",
        "result_ttl",
        "runner",
        "since",
        "tag",
        "task",
        "threaded",
        "waited",
    )

    def __init__(self, lane: "Lane", holdings: Holdings, lease: int, tag: int, body: bytes, since: float) -> None:
        self.lane = lane
        self.holdings = holdings
        self.lease = lease
        self.tag = tag
        self.body = body
        self.since = since
        """When it was claimed; from its start on, when it was started."""
        self.waited = False
        """A wait brought it, not a claim that somebody had room for."""
        self.job_id = ""
        self.task = ""
        self.attempt = 1
        self.deaths = 0
        self.result_ttl = 0
        self.runner: asyncio.Task[None] | None = None
        self.deadline: float | None = None
        self.threaded = False
        self.overdue = False
        """It ran past its deadline."""
        self.broken_off = False
        """The worker ends and gives it back."""
        self.repeated = False
        """Its finish was sent before and not answered: "not ours" then only means that the first one may have been done."""
