"""Everything that `chute top` shows, at one moment: queues with their last minutes, who works them, what failed of late. Reads; draws nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from chute import admin, roster, store
from chute.admin import STREAMS, Letter, Stats
from chute.connection import Endpoint
from chute.roster import Member
from chute.sight import Sight, clock
from chute.store import Store

MINUTES = 20
FAILURES = 8
"""Dead letters that are read of each queue; the newest of all are shown."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One queue. `minutes`: jobs finished in each of the last minutes, this one last."""

    stats: Stats
    minutes: list[int]
    members: list[Member]
    failures: list[Letter]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is looked at; `at` is the server's clock in seconds since 1970."""

    at: float
    queues: list[Watched]


def take(endpoint: Endpoint, names: Sequence[str]) -> Snapshot:
    """Looks at these queues, or at all that were ever worked."""
    at = endpoint.run(clock())
    looked_at = list(names) or endpoint.run(store.queues())
    return Snapshot(at, [_watched(endpoint, name, int(at // 60)) for name in looked_at])


def _watched(endpoint: Endpoint, name: str, minute: int) -> Watched:
    span = range(minute - MINUTES + 1, minute + 1)
    of_lists = [endpoint.run(Sight(each).history(span)) for each in endpoint.run(store.lists_of(name))]
    minutes = [sum(counts) for counts in zip(*of_lists, strict=True)]
    stats = admin.stats(endpoint, name)
    return Watched(stats, minutes, roster.members(endpoint, name), _failures(endpoint, name) if stats.dead else [])


def _failures(endpoint: Endpoint, name: str) -> list[Letter]:
    letters = (
        admin.letter_of(each, stream, id_, fields)
        for each in endpoint.run(store.lists_of(name))
        for stream in STREAMS
        for id_, fields in endpoint.run(Store(each).letters(stream, "+", FAILURES))
    )
    return sorted(letters, key=lambda letter: letter.at, reverse=True)[:FAILURES]
