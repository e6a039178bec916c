"""What came of a run that raised, or of an entry that is no job: the Outcome, the words for people, the body for another run. Never touches the
server."""

import asyncio
import logging
import random
import time
import traceback
from pathlib import Path
from typing import Any

from chute import around, envelope, outcome, place, policy
from chute.envelope import Refused
from chute.outcome import Outcome
from chute.policy import Policy
from chute.worker import fork
from chute.worker.held import Held

log = logging.getLogger("chute.worker")
MAX_LOGGED = 1000


def refuse(held: Held, refused: Refused) -> Outcome:
    """The outcome of an entry that is no job for this queue."""
    held.job_id, held.task, held.result_ttl = refused.job_id, outcome.cut(refused.task, 256), policy.DEFAULT_TTL
    text = outcome.cut(str(refused), outcome.MAX_ERROR)
    who, queue = f"job {held.job_id}" if held.job_id else "an entry", held.lane.name
    log.warning(
        "%s of queue %s was refused (%s): %s. Kept: chute dead list %s",
        who, queue, refused.reason, _brief(text), queue, extra=held.named,
    )  # fmt: skip
    return outcome.Refused(refused.reason, text)


def judged(held: Held, manners: Policy, error: BaseException) -> Outcome:
    """As `judge`; where even that fails (an error with a hostile class), the job fails and keeps no slot. In a process that the handler forked, it
    is judged as any process is."""
    if fork.Here.child:
        fork.end(error)
    try:
        return judge(held, manners, error)
    except Exception:
        log.exception("what became of job %s cannot be judged; it fails", held.job_id or held.lease, extra=held.named)
        return outcome.Failed("failed", describe(error))


def too_late(held: Held, manners: Policy) -> TimeoutError:
    """What a run that took too long comes to."""
    return TimeoutError(f"ran longer than {manners.timeout:g} s (the timeout of task {held.task})")


def meant(held: Held, manners: Policy, error: BaseException) -> BaseException | None:
    """What a run raised, as it is judged: a cancelled one ran too long, or (None) the worker itself broke it off."""
    if isinstance(error, asyncio.CancelledError):
        if held.broken_off:
            return None
        if held.overdue:
            return too_late(held, manners).with_traceback(error.__traceback__)
    return error


def judge(held: Held, manners: Policy, raised: BaseException) -> Outcome:
    """What a run that raised comes to: retry, snooze, failure, or release when the worker itself broke it off."""
    if (error := meant(held, manners, raised)) is None:
        return outcome.Released()
    text, where = describe(error), place.of(error)
    seen = f"{_brief(text)}{where and f' at {where}'}"
    match policy.judge(error, held.attempt, manners, random.random):
        case policy.Again(delay, counted):
            body = rewritten(held, held.attempt if counted else held.attempt - 1, delay)
            if len(body.encode()) > envelope.MAX_BYTES:
                text = outcome.cut(
                    f"{text} (it cannot run again: with what we note in it, it would be larger than 1 MiB)", outcome.MAX_ERROR
                )
                log.warning("job %s of task %s failed: %s", held.job_id or held.lease, held.task, _brief(text), extra=held.named)
                return outcome.Failed("failed", text, _trace(error))
            told = "job %s of task %s will run again in %.3g s: %s"
            log.info(told, held.job_id or held.lease, held.task, delay, seen, extra=held.named)
            return outcome.Again(round(delay * 1000), body)
        case policy.Stop(reason):
            log.warning(
                "job %s of task %s failed for good (%s, run %d): %s. Kept: chute dead list %s",
                held.job_id or held.lease, held.task, reason, held.attempt, seen, held.holdings.name, extra=held.named,
            )  # fmt: skip
            return outcome.Failed(reason, text, _trace(error))


def rewritten(held: Held, attempt: int, delay: float) -> str:
    """The job's bytes for its next run. A job that was pushed without an id gets one now, so that its result can be kept."""
    changes: dict[str, Any] = {"due": round((time.time() + delay) * 1000)}
    if not held.job_id:
        changes["job_id"] = envelope.new_job_id()
    if attempt:
        changes["attempt"] = min(attempt, envelope.MAX_COUNT)
    return envelope.rewrite(held.body, **changes).decode()


def describe(error: BaseException) -> str:
    """Type and message, for people and for the result hash. A message that cannot be had is not worth a worker."""
    try:
        text = str(error)
    except BaseException:  # a message that exits must not exit the worker
        text = "(its message cannot be read)"
    name = type(error).__name__
    return outcome.cut(f"{name}: {text}" if text else name, outcome.MAX_ERROR)


def _brief(text: str) -> str:
    """As much of it as a log line should hold."""
    return outcome.cut(text, MAX_LOGGED)


_NOT_THEIRS = (*[str(Path(__file__).with_name(name)) for name in ("execute.py", "threads.py")], around.__file__, asyncio.futures.__file__)


def _trace(error: BaseException) -> str:
    """The traceback from the user's code on: our own frames are of no use to them."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename in _NOT_THEIRS:
        frames = frames.tb_next
    try:
        return outcome.cut("".join(traceback.format_exception(type(error), error, frames)), outcome.MAX_TRACEBACK)
    except BaseException:
        return ""
