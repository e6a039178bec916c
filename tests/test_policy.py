"""policy.py: what becomes of a run that raised, as a table."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chute.errors import GiveUp, Retry, Snooze
from chute.policy import Again, Policy, Stop, judge

PLAIN = Policy()


def half() -> float:
    return 0.5


def waits(attempt: int, policy: Policy = PLAIN) -> float:
    """The wait after run number `attempt` when the dice show a half."""
    verdict = judge(OSError(), attempt, policy, half)
    assert isinstance(verdict, Again)
    return verdict.delay


TABLE = [
    # error, run, policy, verdict
    (OSError("x"), 1, PLAIN, Again(0.5, counted=True)),
    (OSError("x"), 3, PLAIN, Again(2.0, counted=True)),
    (OSError("x"), 4, PLAIN, Stop("failed")),
    (OSError("x"), 1, Policy(retries=0), Stop("failed")),
    (OSError("x"), 1, Policy(retry_on=ValueError), Stop("failed")),
    (OSError("x"), 1, Policy(retry_on=(ValueError, OSError)), Again(0.5, counted=True)),
    (TimeoutError("x"), 1, Policy(retry_on=OSError), Again(0.5, counted=True)),
    (OSError("x"), 1, Policy(retry_on=()), Stop("failed")),
    (OSError("x"), 1, Policy(give_up_on=OSError), Stop("gave_up")),
    (OSError("x"), 1, Policy(retry_on=OSError, give_up_on=(KeyError, OSError)), Stop("gave_up")),
    (OSError("x"), 4, Policy(give_up_on=OSError), Stop("gave_up")),
    (GiveUp("no"), 1, PLAIN, Stop("gave_up")),
    (GiveUp("no"), 9, Policy(retry_on=GiveUp), Stop("gave_up")),
    (Retry(), 1, PLAIN, Again(0.5, counted=True)),
    (Retry(after=30), 2, PLAIN, Again(30.0, counted=True)),
    (Retry(after=0), 2, PLAIN, Again(0.0, counted=True)),
    (Retry(after=timedelta(minutes=1)), 2, PLAIN, Again(60.0, counted=True)),
    (Retry(after=30), 4, PLAIN, Stop("failed")),
    (Retry(), 1, Policy(retry_on=ValueError), Again(0.5, counted=True)),
    (Snooze(60), 1, PLAIN, Again(60.0, counted=False)),
    (Snooze(60), 99, PLAIN, Again(60.0, counted=False)),
    (Snooze(timedelta(hours=1)), 1, Policy(retries=0), Again(3600.0, counted=False)),
    (Snooze(1), 1, Policy(give_up_on=Exception), Again(1.0, counted=False)),
    (SystemExit(3), 1, PLAIN, Again(0.5, counted=True)),
    (KeyboardInterrupt(), 1, Policy(retry_on=ValueError), Again(0.5, counted=True)),
    (SystemExit(3), 4, PLAIN, Stop("failed")),
]


@pytest.mark.parametrize(("error", "attempt", "policy", "verdict"), TABLE)
def test_what_becomes_of_a_run(error: BaseException, attempt: int, policy: Policy, verdict: Again | Stop) -> None:
    assert judge(error, attempt, policy, half) == verdict


def test_the_waits_double_up_to_the_cap() -> None:
    many = Policy(retries=100)
    assert [waits(n, many) for n in range(1, 12)] == [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 150, 150]
    assert waits(100, many) == 150
    assert waits(3, Policy(backoff=10, backoff_cap=25)) == 12.5
    assert waits(1, Policy(backoff=0)) == 0


@given(st.integers(1, 10**6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_beyond_its_bounds(attempt: int, backoff: float, cap: float, dice: float) -> None:
    verdict = judge(OSError(), attempt, Policy(retries=10**7, backoff=backoff, backoff_cap=cap), lambda: dice)
    assert isinstance(verdict, Again)
    assert verdict.counted
    assert 0 <= verdict.delay <= cap
    if attempt <= 60:
        assert verdict.delay <= backoff * 2 ** (attempt - 1)


def test_the_defaults_are_those_of_the_documentation() -> None:
    assert Policy() == Policy(retries=3, backoff=1.0, backoff_cap=300.0, retry_on=Exception, give_up_on=(), timeout=3600.0, result_ttl=3600)
