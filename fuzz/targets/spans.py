"""Spans of time as callers give them: a number of seconds within ten years, or an error that says what is wrong."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from chute import call
from chute.duration import LONGEST, seconds, whole_seconds
from fuzz.seeds import TEXTS

WHAT = "delays, timeouts and times to live: any object -> seconds, or ValueError or TypeError"
VARIED = False
VALUES = st.one_of(
    st.builds(pow, st.just(10), st.integers(0, 5_000)),
    st.integers(),
    st.integers(-10, LONGEST + 10),
    st.floats(),
    st.floats(0, LONGEST + 1.0),
    st.timedeltas(),
    st.booleans(),
    st.none(),
    TEXTS,
    st.binary(max_size=9),
    st.sampled_from([10**400, -(10**400), 2**63, math.nan, math.inf, -0.0, 5e-324, Decimal(1), Fraction(1, 3), 1j, [], object]),
)
_NEAR = (datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC))


def look(span: Any) -> None:
    """Raises where a span is taken that is none, or refused in another way."""
    try:
        read = seconds(span)
    except (ValueError, TypeError) as error:
        assert str(error)
        _refused(lambda: whole_seconds(span))
        _refused(lambda: call.options(None, (span, None), None, None, "memory", None), none=span is None)
        return
    assert type(read) is float
    assert 0 <= read <= LONGEST
    assert isinstance(span, int | float | timedelta)
    whole = whole_seconds(span)
    assert type(whole) is int
    assert read <= whole <= read + 1
    due = call.options(None, (span, None), span, None, "memory", None)
    assert due.result_ttl == whole
    assert due.due == "" if read == 0 else due.due[0] == "+" and abs(int(due.due) - read * 1000) <= 1
    at = min(max(_NEAR[0], datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=read)), _NEAR[1])
    assert int(call.options(None, (None, at), None, None, "memory", None).due) >= 0


def _refused(take: Any, none: bool = False) -> None:
    try:
        take()
    except (ValueError, TypeError):
        return
    assert none, "it is refused here and taken there"
