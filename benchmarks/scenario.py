"""What a scenario is: a name, a sentence, and a function that plays one round of it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from servers import Kind

Measured: TypeAlias = tuple[str, str, float]
"""The system, the quantity with its unit, how much."""


class Round(NamedTuple):
    """One round: on what kind of server, how many times as many jobs as usual, and whether the ceiling goes first."""

    server: Kind
    scale: float
    ceiling_first: bool

    def jobs(self, usual: int) -> int:
        """As many, in whole thousands."""
        return max(1000, round(usual * self.scale / 1000) * 1000)


class Scenario(NamedTuple):
    """`play` brings what one round measured."""

    name: str
    what: str
    play: Callable[[Round], Iterator[Measured]]
