"""What a worker process and the process that watches it say to each other, one JSON object a line. Data only.

The socket belongs to these two alone; its end is the end of one of them.
"""

from typing import TypeAlias

import msgspec

from chute.policy import Policy

LONGEST = 1 << 24
"""Bytes of one line at most."""


class Start(msgspec.Struct, tag=True):
    """To a child of `chute work`, first of all: what to run and how. `url` is what `--url` said. `first`: it says where it works, and gives up
    when no server is there; one that comes later waits for the server."""

    module: str
    url: str | None
    concurrency: int
    threads: int
    grace: float
    burst: bool
    max_jobs: int | None
    log_level: str
    log_format: str
    first: bool = True


class Manner(msgspec.Struct, frozen=True):
    """A task's policy as far as it concerns a run that took too long."""

    retries: int
    backoff: float
    backoff_cap: float
    timeout: float | None
    result_ttl: int
    retried: bool
    given_up: bool

    @staticmethod
    def of(policy: Policy) -> "Manner":
        """Of a task's policy. Exceptions cannot be told to another process, but what becomes of a TimeoutError can."""
        retried, given_up = issubclass(TimeoutError, policy.retry_on), issubclass(TimeoutError, policy.give_up_on)
        return Manner(policy.retries, policy.backoff, policy.backoff_cap, policy.timeout, policy.result_ttl, retried, given_up)

    def policy(self) -> Policy:
        """A policy that treats a TimeoutError as the task's own does."""
        retry_on, give_up_on = (Exception if self.retried else ()), (TimeoutError if self.given_up else ())
        return Policy(self.retries, self.backoff, self.backoff_cap, retry_on, give_up_on, self.timeout, self.result_ttl)


class Tasks(msgspec.Struct, frozen=True):
    """The tasks of a queue, and which of them runs a job that names none."""

    manners: dict[str, Manner]
    fallback: str | None


class Ready(msgspec.Struct, tag=True):
    """Where the queues are, a URL ("" = the embedded server) and who chose it, and what they are. Said once the server has answered."""

    url: str
    how: str
    queues: dict[str, Tasks]


class Introduced(msgspec.Struct, tag=True):
    """An identity, told before the server knows it: `number` on the board, `lane` = which of the queues."""

    number: int
    lane: int
    queue: str
    worker: str


class Stopping(msgspec.Struct, tag=True):
    """It starts nothing any more, and so many jobs run."""

    running: int


class Counts(msgspec.Struct):
    """What a worker has counted of one queue since its start; see `meter`. A histogram is its counts and the sum."""

    claimed: int
    finished: list[tuple[str, str, int]]
    durations: dict[str, tuple[list[int], float]]
    waits: tuple[list[int], float]
    running: int


class Measured(msgspec.Struct, tag=True):
    """How it is, about once a second. `ready`: it can claim, as far as it knows. `lag`: the longest time by which its loop came late."""

    ready: bool
    lag: float
    errors: dict[str, int]
    queues: dict[str, Counts]


class Left(msgspec.Struct, tag=True):
    """Everything was given back; the process ends. `done`: in a burst, nothing more was ready."""

    done: bool


Said: TypeAlias = Start | Ready | Introduced | Stopping | Measured | Left
_decoder = msgspec.json.Decoder(Said)


def encode(message: Said) -> bytes:
    """One line."""
    return msgspec.json.encode(message) + b"\n"


def decode(line: bytes) -> Said:
    """What a line says."""
    said: Said = _decoder.decode(line)
    return said
