"""The dashboards in deploy/grafana: their panels, and the queries of these as Grafana would send them."""

import json
import re
from collections.abc import Iterator
from typing import Any

from deploy.prometheus import DASHBOARDS

BOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def queries(board: str, queue: str, interval: str) -> Iterator[tuple[str, str, str]]:
    """Panel, legend and query of each series of a board; `interval` stands for Grafana's $__rate_interval."""
    for panel in BOARDS[board]["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["legendFormat"], filled(target["expr"], queue, interval)


def filled(expression: str, queue: str, interval: str) -> str:
    """A query with its variables replaced."""
    text = expression.replace("$queue", queue).replace("$__rate_interval", interval)
    assert "$" not in text, f"a variable that nobody knows: {text}"
    return text


def series_of(expression: str) -> set[str]:
    """The series that a query names."""
    return set(re.findall(r"\b(?:chute_\w+|queue_depth)", expression))


def choices_of(expression: str) -> set[str]:
    """What it picks by labels that have few values, one selector each: a word that no series has would pick nothing, for ever."""
    found = set[str]()
    for name, labels in re.findall(r"(\w+)\{([^}]*)\}", expression):
        for label, values in re.findall(r'\b(state|outcome)=~?"([^"]*)"', labels):
            found |= {f'{name}{{{label}="{value}"}}' for value in values.split("|")}
    return found
