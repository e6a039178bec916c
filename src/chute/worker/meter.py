"""What a worker counts of one queue: plain numbers since its start, published when somebody asks. Part of the hot path.

A job costs two appends: what must be computed is computed once a turn for all that started and ended in it, by sorting and bisection.
"""

from bisect import bisect_left
from collections import Counter, defaultdict

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper bounds in seconds; what took longer is in one bucket more."""


class Histogram:
    """How many of what was measured fell into each bucket, and the sum of all in seconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def note(self, now: float, begun: list[float]) -> None:
        """What began at these times and has ended now."""
        begun.sort()
        self.total += now * len(begun) - sum(begun)
        left = len(begun)
        for bucket, bound in enumerate(BUCKETS):
            longer = bisect_left(begun, now - bound)  # so many took longer than the bound
            self.counts[bucket] += left - longer
            left = longer
            if not left:
                return
        self.counts[-1] += left


class Meter:
    """The counts of one queue."""

    def __init__(self) -> None:
        self.claimed = 0
        self.finished: Counter[tuple[str, str]] = Counter()
        """By task and kind of outcome."""
        self.durations: defaultdict[str, Histogram] = defaultdict(Histogram)
        """How long runs took, by task."""
        self.waits = Histogram()
        """How long jobs had been due when they were started."""
        self.due: list[float] = []
        """When those were due that were started in this turn."""
        self.begun: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        """When those were started that have ended since the last turn, by task and kind of outcome."""

    def turn(self, now: float) -> None:
        """Counts what has happened since the last turn."""
        if self.due:
            due, self.due = self.due, []  # threads append to it too
            self.waits.note(now, due)
        for key, begun in self.begun.items():
            if begun:
                self.finished[key] += len(begun)
                self.durations[key[0]].note(now, begun)
                begun.clear()

    @property
    def totals(self) -> Counter[str]:
        """Outcomes by kind, with what this turn has not counted yet."""
        totals: Counter[str] = Counter()
        for (_, kind), count in self.finished.items():
            totals[kind] += count
        for (_, kind), begun in self.begun.items():
            totals[kind] += len(begun)
        return totals

    @property
    def histogram(self) -> list[int]:
        """How long runs took, of all tasks."""
        return [sum(counts) for counts in zip(*(each.counts for each in self.durations.values()), strict=True)]
