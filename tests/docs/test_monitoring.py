"""The page on monitoring is complete: every series and every alert that there is, and none that there is not."""

import re

from chute.worker.meter import BUCKETS
from deploy.prometheus import ALERTS
from docs.pages import DOCS, ROOT

PAGE = (DOCS / "monitoring.md").read_text()


def test_every_series_is_explained_and_no_other() -> None:
    named = set[str]()
    for module in ("metrics", "supervisor/figures"):
        source = (ROOT / "src" / "chute" / f"{module}.py").read_text()
        calls = re.findall(r'(_gauge|_counter|HistogramMetricFamily)\(\s*"(\w+)"', source)
        named |= {f"{name}_total" if kind == "_counter" else name for kind, name in calls}
    assert {"queue_depth", "chute_jobs_finished_total", "chute_job_wait_seconds"} < named
    assert set(re.findall(r"^\| `(\w+)` \| (?:gauge|counter|histogram) \|", PAGE, re.MULTILINE)) == named


def test_every_alert_is_explained_and_no_other() -> None:
    assert re.findall(r"^\| `(Chute\w+)` \| (\w+) \|", PAGE, re.MULTILINE) == [
        (each["alert"], each["labels"]["severity"]) for each in ALERTS
    ]


def test_the_buckets_are_those_that_there_are() -> None:
    assert f"({', '.join(f'{bound:,g}' for bound in BUCKETS)} s)" in PAGE


def test_the_paths_are_those_that_are_served() -> None:
    for path in ("/metrics", "/livez", "/readyz", "/queues/NAME"):
        assert f"`{path}`" in PAGE
