"""Spans of time as callers give them: seconds or a timedelta. Pure."""

import math
from datetime import timedelta
from typing import TypeAlias

Seconds: TypeAlias = float | timedelta
LONGEST_TTL = 10 * 365 * 86_400


def seconds(span: Seconds) -> float:
    """A span of time in seconds. Raises ValueError when it is negative or not a number, TypeError when it is no span."""
    if isinstance(span, timedelta):
        span = span.total_seconds()
    if isinstance(span, bool) or not isinstance(span, int | float):
        raise TypeError(f"seconds are a number or a timedelta, not {type(span).__name__}")
    if not 0 <= span < math.inf:
        raise ValueError(f"seconds must be 0 or more, and finite: {span!r}")
    return float(span)


def whole_seconds(span: Seconds) -> int:
    """A TTL: whole seconds, rounded up, since the server keeps no fractions and 0 means something else."""
    ttl = math.ceil(seconds(span))
    if ttl > LONGEST_TTL:
        raise ValueError(f"a result is kept for at most ten years, not {ttl:,} s")
    return ttl
