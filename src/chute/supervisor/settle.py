"""What a child held when it ended -> queued, or an end. Its board tells which of these jobs had run: nobody else pays for a death.

A child that we killed for a job that nothing else could stop is no death: that job took too long, and its neighbours go back as they are.
"""

import asyncio
import logging
import signal
from collections import Counter
from dataclasses import dataclass
from functools import partial

from chute.envelope import Refused
from chute.holdings import Holdings
from chute.keys import base_of
from chute.outcome import Outcome
from chute.supervisor.child import Child
from chute.worker import verdict
from chute.worker.beats import Identity
from chute.worker.charge import POISON
from chute.worker.held import Held
from chute.worker.reclaim import Ask, all_started, none_started, read, take_over
from chute.worker.wire import Tasks

log = logging.getLogger("chute.worker")


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of what a child held."""

    ended: Counter[tuple[str, str, str]]
    """Outcomes by queue, task and kind."""
    back: Counter[str]
    """Jobs that the child did not give back itself, by queue."""


async def settle(ask: Ask, child: Child) -> Settled:
    """Closes each identity of a child that has ended and hands out what it held. `ask` must insist on an answer."""
    settled = Settled(Counter(), Counter())
    ran = child.board.ran()  # what has ended and is still held has no outcome: its process may have died of what it left behind

    def fate(number: int, held: Held) -> bytes | Outcome:
        mark = (number, held.lease)
        end: bytes | Outcome = none_started(held)
        if mark in child.late and child.ready:
            end = _timed_out(held, child.ready.queues[held.holdings.name])
        elif mark in ran and not child.killed and not child.left:
            end = _charged(held, child)
        if not isinstance(end, bytes):
            settled.ended[base_of(held.holdings.name), held.task, end.kind] += 1
        return end

    async def hand_out(number: int, identity: Identity) -> None:
        theirs = Holdings(identity.queue, identity.worker)
        await ask(theirs.close)
        settled.back[identity.queue] += await take_over(ask, theirs, partial(fate, number))

    await asyncio.gather(*[hand_out(*each) for each in child.identities.items()])  # each may be on a server of its own
    return settled


def cause(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _charged(held: Held, child: Child) -> bytes | Outcome:
    end = all_started(held)
    if isinstance(end, bytes) and end != held.body:
        read(held)
        log.warning(
            "job %s%s ran in process %d when that died (%s): death %d of %d, it runs alone next time",
            held.job_id or held.lease, held.task and f" of task {held.task}", child.pid, cause(child.code), held.deaths + 1, POISON,
            extra=held.named,
        )  # fmt: skip
    return end


def _timed_out(held: Held, tasks: Tasks) -> bytes | Outcome:
    """What a run that nothing but the end of its process could stop comes to: as any other that took too long."""
    try:
        job = read(held)
    except Refused:
        return held.body
    held.task = held.task or tasks.fallback or ""
    policy = tasks.manners[held.task].policy()
    held.result_ttl = job.get("@result_ttl", policy.result_ttl)
    return verdict.judge(held, policy, verdict.too_late(held, policy))
