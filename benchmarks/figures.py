"""What was measured: figures, and what many rounds of the same come to. Data only."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class Figure(NamedTuple):
    """One measurement: `system` did `value` (in the unit that `quantity` names) in a scenario, on a kind of server."""

    scenario: str
    server: str
    system: str
    quantity: str
    value: float


class Key(NamedTuple):
    """What the rounds of one figure have in common."""

    scenario: str
    server: str
    system: str
    quantity: str


class Spread(NamedTuple):
    """Of the rounds of one figure."""

    median: float
    least: float
    most: float
    rounds: int


def spreads(figures: Iterable[Figure]) -> dict[Key, Spread]:
    """The rounds of each figure, in the order in which the figures came first."""
    rounds: dict[Key, list[float]] = defaultdict(list)
    for figure in figures:
        rounds[Key(*figure[:4])].append(figure.value)
    return {key: Spread(statistics.median(values), min(values), max(values), len(values)) for key, values in rounds.items()}
