"""errors.py: the tree, what each error carries, and that its message says what happened, what was kept and what to do."""

from datetime import timedelta

import pytest

from chute import errors
from chute.errors import ChuteError, GiveUp, JobFailed, Retry, Snooze, Unconfirmed

TREE = {"ChuteError", "JobFailed", "JobCancelled", "JobExpired", "Unconfirmed", "Rejected", "ServerUnavailable", "ResultUnavailable"}
SIGNALS = {"Retry", "Snooze", "GiveUp"}


def test_the_whole_tree() -> None:
    classes = {name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, BaseException)}
    assert classes.keys() == TREE | SIGNALS
    for name, each in classes.items():
        assert issubclass(each, ChuteError) == (name in TREE)
        assert each.__mro__[1] in (ChuteError, Exception), f"{name}: the tree is one level deep"


def test_no_error_is_a_builtin_one() -> None:
    assert not issubclass(ChuteError, OSError | ValueError | RuntimeError | TimeoutError)


def test_a_failed_job() -> None:
    failed = JobFailed("job_1", "ValueError: no", "Traceback …")
    assert (failed.job_id, failed.error, failed.traceback) == ("job_1", "ValueError: no", "Traceback …")
    assert str(failed) == "job job_1 failed: ValueError: no"
    assert JobFailed("job_1", "x").traceback == ""


def test_an_unconfirmed_job() -> None:
    unknown = Unconfirmed("job_1", "connection reset")
    assert unknown.job_id == "job_1"
    assert "job_1" in str(unknown)
    assert "connection reset" in str(unknown)
    assert "may run it twice" in str(unknown)


def test_the_signals_carry_seconds() -> None:
    assert Retry().after is None
    assert Retry(after=30).after == 30
    assert Retry(after=timedelta(minutes=1)).after == 60
    assert Snooze(timedelta(minutes=1)).after == 60
    assert GiveUp("no such account").reason == str(GiveUp("no such account")) == "no such account"


@pytest.mark.parametrize("span", [-1, float("nan"), float("inf"), timedelta(seconds=-1)])
def test_a_signal_with_a_span_that_cannot_be_fails_where_it_is_made(span: float | timedelta) -> None:
    with pytest.raises(ValueError, match="seconds must be 0 or more"):
        Snooze(span)
    with pytest.raises(ValueError, match="seconds must be 0 or more"):
        Retry(after=span)
