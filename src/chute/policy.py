"""What is to become of a run that raised: data and pure functions. The randomness is passed in."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from chute.errors import GiveUp, Retry, Snooze

Seconds: TypeAlias = float | timedelta
Exceptions: TypeAlias = type[Exception] | tuple[type[Exception], ...]
LONGEST_RESULT_TTL = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class Policy:
    """How a task is run. Times in seconds.

    `retries` counts the runs after the first. Before run n + 1 a failed job waits a random time in [0, min(backoff_cap, backoff * 2^(n-1))]
    ("full jitter": Marc Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015). `give_up_on` wins over `retry_on`.
    """

    retries: int = 3
    backoff: float = 1.0
    backoff_cap: float = 300.0
    retry_on: Exceptions = Exception
    give_up_on: Exceptions = ()
    timeout: float | None = 3600.0
    result_ttl: int = 3600


@dataclass(frozen=True, slots=True)
class Again:
    """Run it once more in `delay` seconds; `counted` when that uses up a retry."""

    delay: float
    counted: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """Run it no more; `reason` is one of the public reason codes."""

    reason: Literal["failed", "gave_up"]


def judge(error: BaseException, attempt: int, policy: Policy, random: Callable[[], float]) -> Again | Stop:
    """What becomes of a job whose run number `attempt` (from 1) ended in `error`. `random` gives numbers in [0, 1)."""
    if isinstance(error, Snooze):
        return Again(seconds(error.after), counted=False)
    if isinstance(error, GiveUp) or isinstance(error, policy.give_up_on):
        return Stop("gave_up")
    if attempt > policy.retries or not isinstance(error, Retry) and isinstance(error, Exception) and not isinstance(error, policy.retry_on):
        return Stop("failed")
    if isinstance(error, Retry) and error.after is not None:
        return Again(seconds(error.after), counted=True)
    return Again(random() * min(policy.backoff_cap, policy.backoff * 2.0 ** min(attempt - 1, 64)), counted=True)


def seconds(span: Seconds) -> float:
    """A span of time in seconds. Raises ValueError when it is negative or not a number, TypeError when it is no span."""
    if isinstance(span, timedelta):
        span = span.total_seconds()
    if isinstance(span, bool) or not isinstance(span, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"seconds are a number or a timedelta, not {type(span).__name__}")
    if not 0 <= span < math.inf:
        raise ValueError(f"seconds must be 0 or more, and finite: {span!r}")
    return float(span)


def whole_seconds(span: Seconds) -> int:
    """A TTL: whole seconds, rounded up, since the server keeps no fractions and 0 means something else."""
    ttl = math.ceil(seconds(span))
    if ttl > LONGEST_RESULT_TTL:
        raise ValueError(f"a result is kept for at most ten years, not {ttl:,} s")
    return ttl
