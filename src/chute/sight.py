"""The only door to the server, for who looks closer: reads on one queue as values, in pieces that hold nobody up. Changes nothing.

`store` has what callers and operators do; this has what `roster`, `explain` and `chute top` read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chute import keys, script
from chute.keys import keys_of
from chute.operation import Operation, accepted
from chute.script import Command
from chute.store import TIME, is_paused, seconds_of, worker_ids

Ready = Literal["first", "queue"]
"""Where a job is that can be handed out: before the public list, or in it."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One queue at one moment. `held`: the leases of the workers that were named; `workers`: those that there are; `oldest`: the next body."""

    at: float
    queue: int
    first: int
    scheduled: int
    dead: int
    refused: int
    held: int
    workers: list[str]
    paused: bool
    oldest: bytes | None


def observe(workers: Mapping[str, list[str]]) -> Operation[dict[str, Observed | None]]:
    """Looks at queues in one exchange, one script call each; `workers`: of each queue, those whose leases are to be counted. None: the server
    refused."""
    commands: list[Command] = []
    for name, known in workers.items():
        on = keys_of(name)
        call = script.OBSERVE.on(
            queue=on.queue, first=on.first, scheduled=on.scheduled, dead=on.dead, refused=on.refused, workers=on.workers
        )
        commands.append(call.each([on.leases(worker) for worker in known], []))

    def read(replies: list[Any]) -> dict[str, Observed | None]:
        return {name: _observed(reply) for name, reply in zip(workers, replies, strict=True)}

    return Operation(tuple(commands), read, patient=False)


def _observed(reply: Any) -> Observed | None:
    if isinstance(reply, Exception):
        return None
    at, queue, first, scheduled, dead, refused, held, fields, *oldest = reply
    paused = is_paused(fields)
    return Observed(at / 1000, queue, first, scheduled, dead, refused, held, worker_ids(fields), paused, oldest[0] if oldest else None)


class Sight:
    """The reads on one queue."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._on = keys_of(name)

    def registry(self) -> Operation[tuple[dict[bytes, bytes], float]]:
        """The workers with their beats, `@paused` among them; the server's clock."""
        commands: tuple[Command, ...] = (("HGETALL", self._on.workers), TIME)
        return Operation(commands, lambda replies: (accepted(replies[0]), seconds_of(accepted(replies[1]))))

    def words(self, workers: Sequence[str]) -> Operation[list[tuple[bytes | None, int]]]:
        """Of each worker, what it says of itself and how many jobs it holds."""
        commands = [command for each in workers for command in (("GET", self._on.info(each)), ("HLEN", self._on.leases(each)))]

        def read(replies: list[Any]) -> list[tuple[bytes | None, int]]:
            values = [accepted(reply) for reply in replies]
            return list(zip(values[::2], map(int, values[1::2]), strict=True))

        return Operation(tuple(commands), read)

    def held(self, worker: str, cursor: int, count: int) -> Operation[tuple[int, list[tuple[bytes, bytes]]]]:
        """The next (lease, body) pairs that a worker holds, and the cursor behind them; 0 = that was the last."""

        def read(replies: list[Any]) -> tuple[int, list[tuple[bytes, bytes]]]:
            following, flat = accepted(replies[0])
            return int(following), list(zip(flat[::2], flat[1::2], strict=True))

        return Operation((("HSCAN", self._on.leases(worker), cursor, "COUNT", count),), read)

    def still_held(self, worker: str, leases: Sequence[int]) -> Operation[list[bool]]:
        """Of each of these leases, whether the worker has it."""
        commands = tuple(("HEXISTS", self._on.leases(worker), lease) for lease in leases)
        return Operation(commands, lambda replies: [bool(accepted(reply)) for reply in replies])

    def ready(self, where: Ready, passed: int, count: int, tag: int | None) -> Operation[tuple[int, int, list[bytes]]]:
        """Up to `count` bodies behind the `passed` ones that are handed out before them, the next one first; before them, the tag to give with
        the next piece (None with the first) and how many really stand before these: what was claimed meanwhile has moved them on."""
        call = script.BROWSE.on(list=self._on.first if where == "first" else self._on.queue, tags=self._on.tags)

        def read(replies: list[Any]) -> tuple[int, int, list[bytes]]:
            now, before, bodies = accepted(replies[0])
            return now, before, bodies[::-1]

        return Operation((call(passed=passed, count=count, tag="" if tag is None else tag),), read)

    def due(self, passed: int, count: int) -> Operation[list[tuple[bytes, float]]]:
        """Up to `count` scheduled (body, when in s), the soonest first, behind the `passed` ones."""
        command: Command = ("ZRANGE", self._on.scheduled, passed, passed + count - 1, "WITHSCORES")
        return Operation((command,), lambda replies: [(member[16:], float(score) / 1000) for member, score in accepted(replies[0])])

    def history(self, minutes: Sequence[int]) -> Operation[list[int]]:
        """How many jobs were finished in each of these minutes since 1970."""
        commands = tuple(("HMGET", self._on.counts(each), "completed", "failed") for each in minutes)
        return Operation(commands, lambda replies: [sum(int(count or 0) for count in accepted(reply)) for reply in replies])


def clock() -> Operation[float]:
    """The server's clock, in seconds since 1970."""
    return Operation((TIME,), lambda replies: seconds_of(accepted(replies[0])))


def lists(cursor: int, count: int) -> Operation[tuple[int, list[str]]]:
    """The next names of lists that could be queues, whether a worker ever worked them or not; the cursor behind them, 0 = that was all."""
    prefix = keys.keys_of("-").queue[:-1]

    def read(replies: list[Any]) -> tuple[int, list[str]]:
        following, found = accepted(replies[0])
        names = [name.decode(errors="replace").removeprefix(prefix) for name in found]
        return int(following), [name for name in names if keys.is_queue_name(name)]

    return Operation((("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", count, "TYPE", "list"),), read)
