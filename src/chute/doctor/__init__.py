"""Looks whether a server is fit for queues, the way to it safe, the user's rights whole, and whether anything lies in queues that nobody comes for.

`look` reads, the others judge; nothing is changed. Blocking; for the command line.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from chute import address, settings
from chute.connection import Endpoint
from chute.doctor import leftovers, look, servers, users, ways
from chute.doctor.look import Clock
from chute.doctor.remark import Remark, unchecked
from chute.endpoint import Server
from chute.errors import Rejected

CANARY = "doctor"
"""The queue whose keys stand for all of them where rights are asked for."""


def examine(endpoint: Endpoint, queues: Sequence[str] = (), *, clock: Clock = time.time) -> Iterator[Remark]:
    """Looks at everything, or of the queues at these. Raises ServerUnavailable."""
    yield from ways.judge(endpoint.address)
    parts = endpoint.parts
    for part in parts:
        about = address.redact(part.address.url) if len(parts) > 1 else ""
        yield from (replace(remark, about=about) for remark in _server(part, (queues or (CANARY,))[0], clock))
    yield from _queues(endpoint, queues)


def _server(part: Server, queue: str, clock: Clock) -> Iterator[Remark]:
    yield from servers.judge(look.condition(part, clock))
    url = part.address.url
    user = "default" if part.address.embedded else address.user_of(url)
    yield from users.judge(user, look.rights(part, queue), full=look.may_all(part) and not part.address.embedded)


def _queues(endpoint: Endpoint, queues: Sequence[str]) -> Iterator[Remark]:
    names: list[str] = list(queues)
    try:
        names = look.lists(endpoint, queues)
    except Rejected as error:
        if not queues:
            yield unchecked(
                "queues", f"which queues there are ({_words(error)})", "name them, or as a user with +smembers: observer, operator"
            )
    try:
        for ward in look.wards(endpoint, names, 1.5 * settings.beat_every()):
            yield from leftovers.judge(ward)
    except PermissionError as error:
        yield unchecked("queues", f"what waits in queues ({_words(error)})", "as observer or operator")
        return
    if not queues:
        yield from _unworked(endpoint, names)


def _unworked(endpoint: Endpoint, names: Sequence[str]) -> Iterator[Remark]:
    try:
        found = look.unworked(endpoint, names)
    except Rejected as error:
        yield unchecked("queues", f"queues that no worker has ever worked ({_words(error)})", "as a user with +scan: operator")
        return
    for ward in look.wards(endpoint, found, 0):
        yield leftovers.unworked(ward.seen.name, ward.seen.ready)


def _words(error: Any) -> str:
    return str(error).removeprefix("the server refused: ").partition(". Nothing was kept")[0]
