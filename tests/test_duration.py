"""duration.py: what is a span of time, and how a TTL is rounded."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chute.duration import LONGEST, Seconds, seconds, whole_seconds


@pytest.mark.parametrize(
    ("span", "value"),
    [(0, 0.0), (5, 5.0), (0.25, 0.25), (timedelta(minutes=2), 120.0), (timedelta(milliseconds=1), 0.001), (timedelta(0), 0.0)],
)
def test_a_span_in_seconds(span: Seconds, value: float) -> None:
    assert seconds(span) == value
    assert isinstance(seconds(span), float)


@pytest.mark.parametrize("span", [-1, -0.001, timedelta(seconds=-1), math.inf, math.nan])
def test_a_span_that_cannot_be(span: Seconds) -> None:
    with pytest.raises(ValueError, match="0 or more, and at most ten years"):
        seconds(span)


@pytest.mark.parametrize("span", ["5", None, True, False, [5], 1j])
def test_what_is_no_span(span: Seconds) -> None:
    with pytest.raises(TypeError, match="a number or a timedelta"):
        seconds(span)


@given(st.floats(0, LONGEST, exclude_max=True))
def test_a_ttl_is_rounded_up_so_that_only_nothing_becomes_nothing(span: float) -> None:
    ttl = whole_seconds(span)
    assert isinstance(ttl, int)
    assert ttl - 1 < span <= ttl or ttl == span == 0
    assert (ttl == 0) == (span == 0)


def test_a_ttl_is_at_most_ten_years() -> None:
    assert whole_seconds(LONGEST) == LONGEST
    with pytest.raises(ValueError, match="ten years"):
        whole_seconds(LONGEST + 1)
