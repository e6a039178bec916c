"""What a scrape of a page of figures brings, read by Prometheus's own parser."""

import re
import urllib.error
import urllib.request
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from contract.helpers import Work
from servers import until

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def get(url: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own page
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scrape(url: str) -> Series:
    """Every sample by name and labels."""
    status, text = get(url)
    assert status == 200, text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "a series is there twice"
    return found


def value(series: Mapping[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float | None:
    """One sample, None where there is none."""
    return series.get((name, frozenset(labels.items())))


def base(work: Work, seconds: float = 15) -> str:
    """Where a worker shows its figures."""
    assert until(lambda: "figures at " in work.stderr, seconds), work.stderr
    (url,) = re.findall(r"figures at (http://\S+)/metrics", work.stderr)
    return str(url)
