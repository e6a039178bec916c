"""What a worker counts: by bisection for many at once, the same as one by one."""

import random
from bisect import bisect_left

import pytest

from chute.worker.meter import BUCKETS, Histogram, Meter


@pytest.mark.parametrize("longest", [0.009, 0.2, 20, 10_000])
def test_many_at_once_are_counted_as_one_by_one(longest: float) -> None:
    chance, now = random.Random(longest), 50_000.0
    took = [chance.uniform(0, longest) for _ in range(500)]
    many = Histogram()
    many.note(now, [now - each for each in took])
    counts = [0] * (len(BUCKETS) + 1)
    for each in took:
        counts[bisect_left(BUCKETS, each)] += 1
    assert many.counts == counts
    assert many.total == pytest.approx(sum(took))


def test_a_turn_counts_what_ended_since_the_last_one() -> None:
    meter = Meter()
    meter.begun["answer", "completed"] += [9.0, 9.999]
    meter.begun["answer", "failed"].append(8.0)
    meter.finished["answer", "refused"] += 1
    meter.due += [9.5, 10.0]
    assert meter.totals == {"completed": 2, "failed": 1, "refused": 1}
    for _ in range(2):
        meter.turn(10.0)
        assert meter.finished == {("answer", "completed"): 2, ("answer", "failed"): 1, ("answer", "refused"): 1}
        assert meter.totals == {"completed": 2, "failed": 1, "refused": 1}
        assert sum(meter.histogram) == sum(meter.durations["answer"].counts) == 3
        assert meter.durations["answer"].total == pytest.approx(3.001)
        assert sum(meter.waits.counts) == 2
