"""What a doctor looks at: each server, the rights of the user there, each queue. Blocking; judges nothing.

What a user may not look at is None, with the server's own words beside it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from chute import sight, store
from chute.connection import Endpoint
from chute.doctor import door
from chute.doctor.door import Seen
from chute.endpoint import Server
from chute.errors import Rejected
from chute.rights import ROLES, Need, Role, needs
from chute.sight import Sight

Clock = Callable[[], float]
PAGES, PAGE = 100, 1000
"""Looks for lists that nobody has worked, and keys that are passed in each: it holds nobody up, and ends."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One server at one moment. `ahead`: seconds by which its clock is before ours, give or take `unsure`."""

    info: dict[str, str] | None
    settings: dict[str, str] | None
    ahead: float | None
    unsure: float
    no: dict[str, str] = field(default_factory=dict)
    """What was refused, in the server's words."""


def condition(server: Server, clock: Clock) -> Condition:
    """Looks at a server. Its clock is compared with the middle of the time that the question took."""
    before = clock()
    when, info, settings = server.run(door.condition())
    after = clock()
    replies = {"clock": when, "info": info, "settings": settings}
    no = {name: str(reply) for name, reply in replies.items() if isinstance(reply, Exception)}
    return Condition(
        None if "info" in no else door.info_of(info),
        None if "settings" in no else door.settings_of(settings),
        None if "clock" in no else door.time_of(when) - (before + after) / 2,
        (after - before) / 2,
        no,
    )


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user has of what a role needs. `lacks`: of those commands that the server knows; `calls`: scripts whose keys it may not use."""

    role: str
    has: set[Need]
    lacks: list[Need]
    calls: list[str]


def rights(server: Server, queue: str) -> list[Rights] | None:
    """Of each kind of user, what this one has; None where it may not run the script that asks."""
    found: list[Rights] = []
    for role in ROLES:
        wanted = list(needs(role))
        answer = server.run(door.may(wanted, role, queue))[1]
        if isinstance(answer, Exception):
            return None
        told, calls = answer[: len(wanted)], answer[len(wanted) :]
        has = {need for need, one in zip(wanted, told, strict=True) if one == 1}
        lacks = [need for need, one in zip(wanted, told, strict=True) if one == 0]
        found.append(Rights(role.name, has, lacks, [name for name, one in zip(role.scripts, calls, strict=True) if one == 0]))
    return found


@dataclass(frozen=True, slots=True)
class Member:
    """A worker in the registry of a queue, and how many jobs it holds."""

    worker: str
    held: int
    closed: bool
    alive: bool


@dataclass(frozen=True, slots=True)
class Ward:
    """One list of a queue, and who is registered there."""

    seen: Seen
    members: list[Member]


def wards(endpoint: Endpoint, names: Sequence[str], patience: float) -> Iterator[Ward]:
    """Looks at these lists. A worker that says nothing of itself is looked at a second time: one that lives has made progress within `patience`
    seconds. Raises PermissionError where the user may not look."""
    seen = [endpoint.run(door.contents(name)) for name in names]
    told = {each.name: _told(endpoint, each) for each in seen}
    again: dict[str, dict[str, str]] = {}
    if any(text is None and each.workers[worker] != "dead" for each in seen for worker, (text, _) in told[each.name].items()):
        time.sleep(patience)
        again = {each.name: endpoint.run(door.contents(each.name)).workers for each in seen}
    for each in seen:
        now = again.get(each.name, each.workers)
        there = [worker for worker in each.workers if worker in now]  # who has left meanwhile has given back what it held
        yield Ward(each, [_member(worker, *told[each.name][worker], each.workers[worker], now[worker]) for worker in there])


def _told(endpoint: Endpoint, seen: Seen) -> dict[str, tuple[bytes | None, int]]:
    workers = list(seen.workers)
    try:
        return dict(zip(workers, endpoint.run(Sight(seen.name).words(workers)) if workers else (), strict=True))
    except Rejected as error:
        raise PermissionError(str(error)) from None


def _member(worker: str, text: bytes | None, held: int, before: str, now: str) -> Member:
    closed = "dead" in (before, now)
    return Member(worker, held, closed, not closed and (text is not None or now != before))


def lists(endpoint: Endpoint, queues: Sequence[str]) -> list[str]:
    """The lists of these queues, or of all that a worker has ever worked. Raises Rejected where the user may not look."""
    known = endpoint.run(store.lists())
    if not queues:
        return known
    return [name for queue in queues for name in endpoint.run(store.lists_of(queue))]


def unworked(endpoint: Endpoint, known: Sequence[str]) -> list[str]:
    """Lists that look like queues and that no worker has ever worked. Raises Rejected where the user may not look."""
    found: set[str] = set()
    for part in endpoint.parts:
        cursor, more, left = 0, True, PAGES
        while more and left:
            cursor, names = part.run(sight.lists(cursor, PAGE))
            found |= {name for name in names if name not in known}
            more, left = cursor != 0, left - 1
    return sorted(found)


def may_all(server: Server) -> bool:
    """Whether the user may do what nobody needs, as far as it can be asked."""
    answer = server.run(door.may([Need("dbsize")], Role("", "", {}), "-"))[1]
    return not isinstance(answer, Exception) and answer[0] == 1
