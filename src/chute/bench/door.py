"""The door to the server for what only a bench sends: a look at how busy it is, and the removal of everything that a bench made, by name.

Builds commands as `chute.store` does. Removes nothing that is not of the one queue.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chute import keys
from chute.connection import Endpoint
from chute.holdings import Holdings
from chute.keys import keys_of
from chute.operation import Operation, accepted
from chute.script import Command
from chute.sight import clock
from chute.store import CHUNK, fields_of_info, worker_ids

LEFT_FOR = 600
"""Seconds after which the server itself drops the queue and its results, where nobody could remove them any more."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a server says of itself. `main`: seconds of CPU of the thread that runs commands, `cpu`: of all its threads; bytes and commands since
    it was started; `most`: the bytes that it may use, 0 = no limit."""

    main: float
    cpu: float
    commands: int
    received: int
    sent: int
    used: int
    most: int


@dataclass(frozen=True, slots=True)
class Failures:
    """How many jobs of the queue failed, and what the first of them said."""

    count: int
    first: str


class Door:
    """The queue of one bench. Job ids are its name with a number, so that results can be named without having been listed."""

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        self.endpoint = endpoint
        self.name = name
        self.sent = 0
        """Numbers of jobs that have been given away."""
        self._on = keys_of(name)
        self._began = self._minute()

    def job_id(self) -> str:
        """The id of the next job."""
        self.sent += 1
        return self._id(self.sent)

    def ping(self) -> None:
        """One round trip."""
        self.endpoint.run(Operation((("PING",),), _accept, at=self._on.queue))

    def load(self) -> Load:
        """How busy the server is that has the queue."""
        sections: tuple[Command, ...] = (("INFO", "cpu"), ("INFO", "stats"), ("INFO", "memory"))
        return self.endpoint.run(Operation(sections, _load, at=self._on.queue))

    def try_out(self) -> None:
        """Does once what a worker and the removal do, so that what is not allowed is found before a job is there. Raises Rejected."""
        worker = Holdings(self.name, secrets.token_hex(16))
        claims = (worker.register, worker.claim(1, 1, ""), worker.close, worker.reclaim([]))
        self.endpoint.run(Operation(claims, _accept, at=self._on.queue))
        self.remove()

    def lapse(self) -> None:
        """Has the server drop the queue itself, should this process come to no end of its own."""
        self.endpoint.run(Operation((("EXPIRE", self._on.queue, LEFT_FOR),), _accept))

    def ready(self) -> bool:
        """Whether a worker works the queue."""
        return bool(self._workers())

    def failures(self) -> Failures:
        """What failed for good or was refused."""
        streams = (self._on.dead, self._on.refused)
        looks: list[Command] = [command for key in streams for command in (("XLEN", key), ("XRANGE", key, "-", "+", "COUNT", 1))]

        def read(replies: list[Any]) -> Failures:
            values = [accepted(reply) for reply in replies]
            first = [dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in (*values[1], *values[3])]
            return Failures(values[0] + values[2], first[0].get(b"error", b"").decode(errors="replace") if first else "")

        return self.endpoint.run(Operation(tuple(looks), read))

    def remove(self) -> None:
        """Removes every key of the queue and the results of its jobs. No worker may be there any more."""
        on = self._on
        workers = [key for worker in self._workers() for key in (on.leases(worker), on.info(worker))]
        counts = [on.counts(minute) for minute in range(self._began - 1, self._minute() + 2)]
        names = [on.queue, on.first, on.tags, on.scheduled, on.dead, on.refused, *workers, *counts, *self._of_jobs(), on.workers]
        for start in range(0, len(names), CHUNK):
            unlinks = tuple(("UNLINK", name) for name in names[start : start + CHUNK])
            self.endpoint.run(Operation(unlinks, _accept))
        self.endpoint.run(Operation((("SREM", keys.QUEUES, self.name),), _accept))

    def _id(self, number: int) -> str:
        return f"{self.name}-{number}"

    def _of_jobs(self) -> Iterator[str]:
        for number in range(1, self.sent + 1):
            yield keys.result(self._id(number))
            yield self._on.once(self._id(number))

    def _workers(self) -> list[str]:
        look: Command = ("HKEYS", self._on.workers)
        return self.endpoint.run(Operation((look,), lambda replies: worker_ids(accepted(replies[0]))))

    def _minute(self) -> int:
        """By the server's clock, as workers count."""
        return int(self.endpoint.run(clock()) // 60)


def _accept(replies: list[Any]) -> None:
    for reply in replies:
        accepted(reply)


def _load(replies: list[Any]) -> Load:
    told = {name: value for reply in replies for name, value in fields_of_info(accepted(reply))}
    cpu = float(told["used_cpu_user"]) + float(told["used_cpu_sys"])
    main = [float(told[name]) for name in ("used_cpu_user_main_thread", "used_cpu_sys_main_thread") if name in told]
    counted = ("total_commands_processed", "total_net_input_bytes", "total_net_output_bytes", "used_memory", "maxmemory")
    return Load(sum(main) if main else cpu, cpu, *[int(told.get(name) or 0) for name in counted])
