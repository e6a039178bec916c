"""What a real Prometheus says of a loaded queue is what the server, the results and the handlers' own clock say.

One load on one stage, then everything that is asked about it; in one test, so that the stage is set once.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from chute.worker.meter import BUCKETS
from deploy.boards import choices_of, queries, series_of
from deploy.prometheus import ROOT, Series
from deploy.stage import Run, Stage, stage
from servers import until

pytestmark = pytest.mark.usefixtures("a_prometheus")

TEN = 10
WORKERS = [("jobs", ("--processes", "2", "--concurrency", "4")), *[("many", ("--processes", "1", "--concurrency", "4"))] * TEN]
LATE = 0.3
"""Seconds by which two clocks of one machine, a scrape and what is beside it, may be apart where nothing says more."""
HELD = 32
"""Jobs that two processes of four slots may hold without having started them, by far."""
EMPTY = {"Commands refused"}
"""Panels that show nothing while all is well."""


class Seen:
    """The stage after the load: `start` and `end` in Unix time, the state of the alerts, what the results say."""

    def __init__(self, played: Stage) -> None:
        self.stage, self.ask = played, played.prometheus
        warm_up(played)
        self.start = self.ask.value("time()")
        self.before = self.totals(self.start)
        load(played)
        self.runs, self.statuses = played.runs(), played.statuses()
        ended = len(self.runs) + len(played.runs("many")) + 2  # and two jobs were refused without a run
        assert until(lambda: sum(self.totals().values()) == ended, 10), self.totals()
        self.end = self.ask.value("time()")

    def totals(self, at: float | None = None) -> Counter[tuple[str, str]]:
        """By queue and outcome."""
        found = self.ask.query("sum by (queue, outcome) (chute_jobs_finished_total)", at)
        return Counter({(each.labels["queue"], each.labels["outcome"]): int(each.points[-1][1]) for each in found})

    def samples(self, series: str) -> list[tuple[float, float, float]]:
        """From when to when each was scraped, and its value, since the load began."""
        ((_, points),) = self.ask.query(f'{series}{{queue="jobs"}}[2m]', self.end)
        ((_, took),) = self.ask.query('scrape_duration_seconds{job="chute-queues"}[2m]', self.end)
        lasted = dict(took)
        return [(at, at + lasted[at], value) for at, value in points if at > self.start]


def warm_up(played: Stage) -> None:
    """Each outcome once, on all workers, and seen: from then on a rate sees what is added."""
    outcomes(played, "w", 8, 0.01)
    played.push("many", "wm", 4 * TEN, seconds=0.05)
    assert until(played.all_ended, 20)
    assert until(lambda: bool(played.prometheus.query('count(chute_jobs_finished_total{queue="jobs"}) >= 6')), 10)


def load(played: Stage) -> None:
    """More than the workers can do at once, and more of it before that is done."""
    outcomes(played, "a", 110, 0.25)
    played.push("many", "m", 300, seconds=0.05)
    assert until(lambda: played.length() < 50, 20)
    played.push("jobs", "b", 90, seconds=0.25)
    assert until(played.all_ended, 30)


def outcomes(played: Stage, prefix: str, count: int, seconds: float) -> None:
    """Jobs of which most are answered, some after a retry, and some fail or are refused."""
    played.push("jobs", prefix, count, seconds=seconds)
    played.push("jobs", f"{prefix}-flaky", count // 8, seconds=seconds / 2, **{"@task": "flaky"})
    played.push("jobs", f"{prefix}-hopeless", 1 + count // 40, seconds=seconds / 2, **{"@task": "hopeless"})
    played.push("jobs", f"{prefix}-refused", 1, secs=1)


def test_what_prometheus_says_is_what_is(subtests: pytest.Subtests) -> None:
    with stage(*WORKERS) as played:
        seen = Seen(played)
        for look in (
            depth_is_the_length_of_the_list,
            the_oldest_age_is_what_handlers_waited,
            quantiles_are_right_as_far_as_buckets_can_be,
            what_is_finished_is_what_was_done,
            ten_workers_are_counted_once,
            every_panel_shows_something,
            every_alert_is_silent_and_would_know,
            the_docs_know_type_and_labels_of_each_series,
        ):
            with subtests.test(look.__name__):
                look(seen)


def depth_is_the_length_of_the_list(seen: Seen) -> None:
    samples = seen.samples("queue_depth")
    for begun, done, depth in samples:
        meanwhile = [length for at, length in seen.stage.lengths if begun - LATE < at < done + LATE]
        assert not meanwhile or min(meanwhile) <= depth <= max(meanwhile)
    assert max(depth for *_, depth in samples) > 60


def the_oldest_age_is_what_handlers_waited(seen: Seen) -> None:
    due = dues(seen)
    samples = seen.samples("chute_oldest_ready_age_seconds")
    for begun, done, age in samples:
        waiting = sorted(due[run] for run in seen.runs if due[run] < begun and run.began > done + LATE)
        longest = sorted(due[run] for run in seen.runs if due[run] < done and run.began > begun - LATE)
        high = done + LATE - longest[0] if longest else 0
        low = begun - LATE - waiting[HELD] if len(waiting) > HELD else 0
        assert low <= age <= max(0, high), (age, low, high)
    assert max(age for *_, age in samples) > 1.5


def dues(seen: Seen) -> dict[Run, float]:
    """When each run was due by the handlers' own clock: when it was pushed, or when the run before it had failed."""
    ends = {(run.job_id, run.attempt): run.ended for run in seen.runs}
    return {run: seen.stage.pushed[run.job_id] if run.attempt == 1 else ends[run.job_id, run.attempt - 1] for run in seen.runs}


def quantiles_are_right_as_far_as_buckets_can_be(seen: Seen) -> None:
    due = dues(seen)
    measured = {"wait": [run.began - due[run] for run in seen.runs], "duration": [run.ended - run.began for run in seen.runs]}
    for name, seconds in measured.items():
        for part in (0.5, 0.99):
            told = seen.ask.value(f'histogram_quantile({part}, sum by (le) (chute_job_{name}_seconds_bucket{{queue="jobs"}}))', seen.end)
            true = sorted(seconds)[math.ceil(part * len(seconds)) - 1]
            low, high = bucket(true * 0.95 - 0.02)[0], bucket(true * 1.05 + 0.1)[1]
            assert low <= told <= high, (name, part, told, true)
        total = seen.ask.value(f'sum(chute_job_{name}_seconds_sum{{queue="jobs"}})', seen.end)
        assert total == pytest.approx(sum(seconds), rel=0.05, abs=0.1 * len(seconds))
        assert seen.ask.value(f'sum(chute_job_{name}_seconds_count{{queue="jobs"}})', seen.end) >= len(seconds)


def bucket(seconds: float) -> tuple[float, float]:
    """The bounds of the bucket in which this is."""
    bounds = (0.0, *BUCKETS, math.inf)
    return next((low, high) for low, high in pairwise(bounds) if seconds <= high)


def what_is_finished_is_what_was_done(seen: Seen) -> None:
    totals = seen.totals(seen.end)
    statuses = seen.statuses
    assert sum(totals[queue, "completed"] for queue in ("jobs", "many")) == statuses[b"completed"]
    assert totals["jobs", "failed"] + totals["jobs", "refused"] == statuses[b"failed"]
    assert totals["jobs", "refused"] == 2
    assert totals["jobs", "retry"] == sum(run.attempt > 1 for run in seen.runs)
    window = math.ceil(seen.end - seen.start)
    for outcome in ("completed", "failed", "retry"):
        rate = f'sum(rate(chute_jobs_finished_total{{queue="jobs", outcome="{outcome}"}}[{window}s]))'
        count = totals["jobs", outcome] - seen.before["jobs", outcome]
        told = seen.ask.value(rate, seen.end) * window
        assert told == pytest.approx(count, rel=0.3, abs=1), "a rate is drawn out to the ends of its window"


def ten_workers_are_counted_once(seen: Seen) -> None:
    jobs = [job for job in seen.stage.pushed if job.startswith(("m", "wm"))]
    many = '{queue="many"}'
    value = {
        text: seen.ask.value(text, seen.end)
        for text in (
            f"count(chute_worker_slots{many})",
            f"sum(chute_worker_slots{many})",
            f"sum(chute_workers{many})",
            f"sum(chute_jobs_finished_total{many})",
            f"sum(chute_job_duration_seconds_count{many})",
            f"sum(chute_job_wait_seconds_count{many})",
        )
    }
    assert list(value.values()) == [TEN, 4 * TEN, TEN, len(jobs), len(jobs), len(jobs)] == [10, 40, 10, 340, 340, 340], value
    whole = "queue_depth|chute_jobs|chute_oldest_ready_age_seconds|chute_workers|chute_queue_paused|chute_server_(up|may|memory).*"
    shown = seen.ask.query(f'count by (job, instance) ({{__name__=~"{whole}"}})', seen.end)
    assert [each.labels["job"] for each in shown] == ["chute-queues"], "what is true of a queue is shown by one target alone"


def every_panel_shows_something(seen: Seen) -> None:
    assert seen.ask.names("queue_depth", "queue") == ["jobs", "many"]
    for board, queue in (("overview", ".*"), ("queue", "jobs")):
        for panel, legend, text in queries(board, queue, "4s"):
            answer = list(numbers(seen.ask.over(text, seen.start, seen.end)))
            assert answer or panel in EMPTY, f"{board}: {panel}: {legend}: {text}"
            known(seen, text, panel)
            assert "ratio" not in panel or 0 < max(answer) < 0.5


def numbers(answer: list[Series]) -> Iterator[float]:
    """What a panel can draw."""
    yield from (value for series in answer for _, value in series.points if not math.isnan(value))


def known(seen: Seen, text: str, name: str) -> None:
    """Each series and label value of a query is there. The server's errors are not as long as there are none."""
    for each in (series_of(text) | choices_of(text)) - {"chute_server_errors_total"}:
        assert seen.ask.query(each, seen.end), f"{name}: nothing is {each}"


def every_alert_is_silent_and_would_know(seen: Seen) -> None:
    for rule in seen.ask.rules():
        assert rule["health"] in ("ok", "unknown"), rule
        assert rule["state"] != "firing", rule
        known(seen, rule["query"], rule["name"])
        if rule["name"] != "ChuteServerRefuses":
            answer = seen.ask.query(rule["query"], seen.end)
            assert not answer, rule


def the_docs_know_type_and_labels_of_each_series(seen: Seen) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (gauge|counter|histogram) \|(.*?)\|", (ROOT / "docs" / "monitoring.md").read_text(), re.MULTILINE)
    types = {name: kind for name, kind in seen.ask.types().items() if name.startswith(("chute_", "queue_"))}
    assert {name: kind for name, kind, _ in rows} == types
    for name, kind, labels in rows:
        found = seen.ask.query(f"{name}_count" if kind == "histogram" else name, seen.end)
        used = {label for series in found for label in series.labels} - {"__name__", "job", "instance"}
        assert used == set(re.findall(r"\w+", labels)) or name == "chute_server_errors_total", name
