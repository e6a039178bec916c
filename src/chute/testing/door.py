"""The operations that only tests need, as values: to look at what waits, to move it nearer, to empty a server. Sends nothing.

`store` has all that programs and workers send; what stands here must never be sent to a server that is not thrown away afterwards, and so it
stands apart.
"""

from typing import Any

from chute.keys import keys_of
from chute.operation import Operation, accepted
from chute.script import PROMOTE, Command
from chute.store import CHUNK, TIME, seconds_of

SEQUENCE = 16
"""Hex digits in front of a scheduled job's bytes."""
Scheduled = list[tuple[bytes, int]]
"""Members of the scheduled set with when they are due, in ms of the server's clock."""


def ready(name: str) -> Operation[list[bytes]]:
    """The bytes of every job that is ready, in the order in which they will be claimed."""
    on = keys_of(name)
    commands: tuple[Command, ...] = (("LRANGE", on.first, 0, -1), ("LRANGE", on.queue, 0, -1))
    return Operation(commands, lambda replies: [body for reply in replies for body in reversed(accepted(reply))])


def scheduled(name: str) -> Operation[tuple[int, Scheduled]]:
    """The server's clock in ms, and every scheduled job, the next one first."""

    def read(replies: list[Any]) -> tuple[int, Scheduled]:
        now, members = seconds_of(accepted(replies[0])), accepted(replies[1])
        return int(now * 1000), [(member, int(due)) for member, due in members]

    return Operation((TIME, ("ZRANGE", keys_of(name).scheduled, 0, -1, "WITHSCORES")), read)


def reschedule(name: str, members: Scheduled) -> Operation[None]:
    """Gives scheduled jobs another time. One that was promoted meanwhile is not brought back."""
    key = keys_of(name).scheduled
    parts = [members[i : i + CHUNK] for i in range(0, len(members), CHUNK)]
    commands = [("ZADD", key, "XX", *[word for member, due in part for word in (due, member)]) for part in parts]

    def read(replies: list[Any]) -> None:
        for reply in replies:
            accepted(reply)

    return Operation(tuple(commands), read)


def promote(name: str) -> Operation[int]:
    """Moves what is due into the queue, as workers do, at most 1,000 jobs; how many that were."""
    on = keys_of(name)
    command = PROMOTE.on(scheduled=on.scheduled, queue=on.queue)(want=CHUNK)
    return Operation((command,), lambda replies: int(accepted(replies[0])[0]))


def empty() -> Operation[None]:
    """Deletes everything on the server."""
    return Operation((("FLUSHALL",),), lambda replies: accepted(replies[0]) and None)
