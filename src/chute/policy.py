"""What is to become of a run that raised: data and pure functions. The randomness is passed in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from chute.errors import GiveUp, Retry, Snooze

Exceptions: TypeAlias = type[Exception] | tuple[type[Exception], ...]


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


DEFAULT_TTL = Policy().result_ttl
"""Seconds that the result of a job of an unknown task is kept."""


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
        return Again(error.after, counted=False)
    given_up = policy.give_up_on if isinstance(policy.give_up_on, tuple) else (policy.give_up_on,)
    if isinstance(error, (GiveUp, *given_up)):
        return Stop("gave_up")
    if attempt > policy.retries or not _retryable(error, policy):
        return Stop("failed")
    if isinstance(error, Retry) and error.after is not None:
        return Again(error.after, counted=True)
    return Again(random() * min(policy.backoff_cap, policy.backoff * 2.0 ** min(attempt - 1, 64)), counted=True)


def _retryable(error: BaseException, policy: Policy) -> bool:
    """`retry_on` chooses among exceptions; a handler's SystemExit and the like are failures as any other."""
    return isinstance(error, Retry) or not isinstance(error, Exception) or isinstance(error, policy.retry_on)
