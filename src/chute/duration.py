"""Spans of time as callers give them: seconds or a timedelta. Pure."""

import math
from datetime import timedelta
from typing import TypeAlias

Seconds: TypeAlias = float | timedelta
LONGEST = 10 * 365 * 86_400
"""Seconds: ten years. Longer spans are slips, and the server's numbers end somewhere."""


def seconds(span: Seconds) -> float:
    """A span of time in seconds. Raises ValueError when it is negative or not a number, TypeError when it is no span."""
    if isinstance(span, timedelta):
        span = span.total_seconds()
    if isinstance(span, bool) or not isinstance(span, int | float):
        raise TypeError(f"seconds are a number or a timedelta, not {type(span).__name__}")
    if not 0 <= span <= LONGEST:
        raise ValueError(f"seconds must be 0 or more, and at most ten years: {span!r}")
    return float(span)


def whole_seconds(span: Seconds) -> int:
    """A TTL: whole seconds, rounded up, since the server keeps no fractions and 0 means something else."""
    return math.ceil(seconds(span))
