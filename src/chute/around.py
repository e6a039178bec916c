"""What else happens around a run of a job: a span of a trace, a report of an error. Whoever wants to be there is a function that is called when
the run begins, in the run's own context and thread, and returns another that is called with its end.

Decided when a worker starts: without anybody, a run is not touched. Nothing that goes wrong here is the job's.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from chute import policy
from chute.context import Context
from chute.policy import Policy, Stop

log = logging.getLogger("chute.around")


@dataclass(frozen=True, slots=True)
class Run:
    """A run that begins. `meant` turns what it raised into what that means: a TimeoutError where it ran too long, None where the worker broke
    it off to give it back."""

    context: Context
    policy: Policy
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    meant: Callable[[BaseException], BaseException | None]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run came to, in the words of `outcome`, and the error that it raised. "again": it runs once more, after a retry or a snooze."""

    kind: Literal["completed", "again", "failed", "released"]
    error: BaseException | None = None


End: TypeAlias = Callable[[Ended], None]
Begin: TypeAlias = Callable[[Run], End]
_added: list[Begin] = []


def add(begin: Begin) -> None:
    """From the next start of a worker on, `begin` is called for every run."""
    if begin not in _added:
        _added.append(begin)


def added() -> tuple[Begin, ...]:
    """Who wants to be there."""
    return tuple(_added)


def surround(fn: Callable[..., Any], threaded: bool, run: Run, begins: Sequence[Begin]) -> Callable[..., Any]:
    """The function of a task for one run, with what happens around it."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        ends = _begin(run, begins)
        try:
            value = fn(*args, **kwargs)
        except BaseException as error:
            _end(run, ends, error)
            raise
        _end(run, ends)
        return value

    async def on_loop(*args: Any, **kwargs: Any) -> Any:
        ends = _begin(run, begins)
        try:
            value = await fn(*args, **kwargs)
        except BaseException as error:
            _end(run, ends, error)
            raise
        _end(run, ends)
        return value

    return plain if threaded else on_loop


def _begin(run: Run, begins: Sequence[Begin]) -> list[End]:
    ends: list[End] = []
    for each in begins:
        try:
            ends.append(each(run))
        except Exception:
            log.exception("what surrounds job %s cannot begin; the job runs without it", run.context.job_id)
    return ends


def _end(run: Run, ends: list[End], error: BaseException | None = None) -> None:
    try:
        ended = _ended(run, error)
    except Exception:  # an error with a hostile class, which the worker judges so too
        ended = Ended("failed", error)
    for each in reversed(ends):
        try:
            each(ended)
        except Exception:
            log.exception("what surrounds job %s cannot end; the job is as it was", run.context.job_id)


def _ended(run: Run, error: BaseException | None) -> Ended:
    if error is None:
        return Ended("completed")
    if (meant := run.meant(error)) is None:
        return Ended("released")
    stops = isinstance(policy.judge(meant, run.context.attempt, run.policy, float), Stop)
    return Ended("failed" if stops else "again", meant)
