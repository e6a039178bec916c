"""running -> stored: outcomes become records, records go out in batches, answers say which lease is gone. Nothing is dropped unanswered.

A record is a msgpack array of strings and small integers (what the server's Lua can read). A finish is idempotent, so a lost one is repeated.
"""

import hashlib
import itertools
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import redis

from chute import outcome
from chute.holdings import Holdings, is_cut
from chute.outcome import Again, Completed, Failed, Outcome, Refused, Released, cut
from chute.script import Command
from chute.worker.held import Ended, Held
from chute.worker.trouble import Trouble

log = logging.getLogger("chute.worker")
KEPT_OF_REFUSED = 64 << 10
FLIGHT_BYTES = 1 << 20
AT_ONCE = 125
"""Outcomes in one command. A thousand results would hold up everybody else at the server for 8 ms, and cost it a tenth more each: its caches."""
REPEAT_AFTER = 1.0
"""Seconds after which a finish that the server refused is sent again."""
_pack = msgspec.msgpack.Encoder().encode


class Record(msgspec.Struct, eq=False):
    """One outcome, packed, with the job that it is of. `job_id` names the result it writes ("" = none); `only`: it writes nothing else."""

    held: Held
    job_id: str
    packed: bytes
    only: bool = False

    @property
    def stored(self) -> "Record":
        """What is left to do of it once its result is stored."""
        return Record(self.held, "", _pack(("drop", self.held.lease)) if self.only else self.packed)


Batch = tuple[Holdings, list[Record]]


class Finisher:
    """Outcomes on their way to the server. `later(seconds, fn)` calls back, `unknown()` makes the scripts known again; `first` stores the
    result of a record elsewhere, and calls back then."""

    def __init__(
        self,
        later: Callable[[float, Callable[[], None]], Any],
        unknown: Callable[[], None],
        first: "Callable[[Record, Callable[[Record], None]], None] | None" = None,
    ) -> None:
        self.waiting: list[Record] = []
        self.unanswered = 0
        self._flying: list[list[Record]] = []
        self._refused: list[list[Record]] = []
        """Those of them that the server refused, until all are sent again, at once."""
        self._shut = False
        """Whether it refuses all: what comes meanwhile waits too, or each new outcome would be one more refusal."""
        self._later, self._unknown, self._first = later, unknown, first
        self._storing: set[Record] = set()
        """Those whose results are being stored."""
        self._trouble = Trouble("the server stores outcomes again")

    def add(self, ended: list[Ended]) -> None:
        """Takes outcomes. One that cannot be written becomes a failure that can: a lease must not be left without an end."""
        at = outcome.now()
        for held, result in ended:
            try:
                new = record(held, result, at)
            except Exception as error:
                log.exception("the outcome of job %s cannot be written", held.job_id, extra=held.named)
                new = record(held, Failed("failed", cut(f"its outcome cannot be written: {error!r}", outcome.MAX_ERROR)), at)
            if self._first and new.job_id:
                self._storing.add(new)
                self.unanswered += 1
                self._first(new, self._stored)
            else:
                self.waiting.append(new)

    def _stored(self, done: Record) -> None:
        """The result of that one is where its caller looks for it: now its lease may go."""
        self._storing.discard(done)
        self.unanswered -= 1
        self.waiting.append(done.stored)

    @property
    def ready(self) -> int:
        """How many outcomes may go out now."""
        return 0 if self._shut else len(self.waiting)

    def batches(self) -> list[Batch]:
        """What is ready, as much as one round trip should carry, by the identity that holds it, some in each command; from now on it is
        unanswered. What is left goes with the next: a write that cannot get through before its answer is due would be repeated for ever."""
        if not self.ready:
            return []
        parts: dict[Holdings, list[Record]] = {}
        size = count = 0
        for each in self.waiting:
            size += len(each.packed)
            if count and size > FLIGHT_BYTES:
                break
            count += 1
            parts.setdefault(each.held.holdings, []).append(each)
        self.unanswered += count
        self.waiting = self.waiting[count:]
        batches = [(holdings, part[i : i + AT_ONCE]) for holdings, part in parts.items() for i in range(0, len(part), AT_ONCE)]
        self._flying += [part for _, part in batches]
        return batches

    def leases(self, holdings: Holdings) -> set[int]:
        """Those of one identity of which the outcome is here or under way."""
        records = [*self.waiting, *self._storing, *itertools.chain.from_iterable(self._flying)]
        return {each.held.lease for each in records if each.held.holdings is holdings}

    def answered(self, batch: list[Record], reply: Any) -> None:
        """What became of a batch; `reply` is a letter for each record, an error, or None when it was lost."""
        lane = batch[0].held.lane
        if isinstance(reply, bytes):
            lane.refused = False
            self._flying.remove(batch)
            self.unanswered -= len(batch)
            if reply.strip(b"1"):
                self._look(batch, reply)
            else:
                self._trouble.ends()
            return
        for each in batch:
            each.held.repeated = True
        if reply is None:
            self._again(batch)
        elif isinstance(reply, redis.exceptions.NoScriptError):
            self._unknown()
            self._again(batch)
        else:
            self._trouble.says(f"the server refuses to store outcomes ({reply}); their jobs keep their leases, trying again")
            self._shut = lane.refused = True
            self._rest(batch)

    def _rest(self, batch: list[Record]) -> None:
        self._refused.append(batch)
        if len(self._refused) == 1:
            self._later(REPEAT_AFTER, self._repeat)

    def _repeat(self) -> None:
        """Each before what waits, but those of queues that are refused behind all others: these may be refused for ever, and would fill each round
        trip."""
        refused, self._refused, self._shut = self._refused, [], False
        for batch in reversed(refused):
            self._again(batch)
        self.waiting.sort(key=lambda each: each.held.lane.refused)

    def _again(self, batch: list[Record]) -> None:
        self._flying.remove(batch)
        self.unanswered -= len(batch)
        self.waiting[:0] = batch

    def _look(self, batch: list[Record], letters: bytes) -> None:
        refused: list[Record] = []
        for each, letter in zip(batch, letters, strict=True):
            if letter == ord("E"):
                refused.append(each)
            elif letter == ord("0") and not each.held.repeated:
                log.warning(
                    "job %s was taken over by another worker while it ran here; what it did here changes nothing",
                    each.held.job_id or each.held.lease,
                    extra=each.held.named,
                )
        if refused:
            self._trouble.says("the server did not accept some outcomes; their jobs keep their leases, trying again")
            self.unanswered += len(refused)
            self._flying.append(refused)
            self._rest(refused)


def command(batch: Batch) -> Command:
    """The finish of one batch."""
    holdings, records = batch
    return holdings.finish([each.job_id for each in records], [each.packed for each in records])


def record(held: Held, result: Outcome, at: str) -> Record:
    """The outcome as the finish script reads it. `at`: what to say of when."""
    if isinstance(result, Completed):  # almost all are
        if not held.job_id or not held.result_ttl:
            return Record(held, "", _pack(("drop", held.lease)))
        head = ("result", held.lease, held.result_ttl, "status", "completed", "completed_at", at)
        more = _valueless(held, result.error) if result.error else ()
        return Record(held, held.job_id, _pack((*head, *result.fields, *more, "@queue", held.holdings.name, "@tag", str(held.tag))), True)
    match result:
        case Again(delay, body):
            return Record(held, "", _pack(("retry", held.lease, delay, body)))
        case Released():
            return Record(held, "", _pack(("release", held.lease)))
        case Failed(reason, error, traceback):
            letter = (*_letter(held, reason, error), "traceback", traceback)
            return _ended(held, "fail", letter, _fields(at, reason, error, traceback))
        case Refused(reason, error):
            letter = _letter(held, reason, error)
            if len(held.body) > KEPT_OF_REFUSED and not is_cut(held.body):
                letter = (*letter, "sha256", hashlib.sha256(held.body).hexdigest())
            return _ended(held, "refuse", letter, _fields(at, reason, error, ""))


def _valueless(held: Held, why: str) -> tuple[str, str]:
    """What the result of a job says in place of its value."""
    log.warning("job %s of task %s completed, and its result is not kept: %s", held.job_id, held.task, cut(why, 1000), extra=held.named)
    return ("@result_error", cut(why, outcome.MAX_ERROR))


def _ended(held: Held, kind: str, letter: tuple[str, ...], fields: tuple[str, ...]) -> Record:
    keeps = held.job_id if held.result_ttl else ""
    return Record(held, keeps, _pack((kind, held.lease, max(1, held.result_ttl), letter, *fields, *_whose(held))))


def _fields(at: str, reason: str, error: str, traceback: str) -> tuple[str, ...]:
    status = "expired" if reason == "expired" else "failed"
    return ("status", status, "completed_at", at, "error", error, "@reason", reason, "@traceback", traceback)


def _letter(held: Held, reason: str, error: str) -> tuple[str, ...]:
    return (
        "reason", reason, "error", error, "job_id", held.job_id, "task", held.task,
        "attempt", str(held.attempt), "deaths", str(held.deaths), "worker", held.holdings.worker,
    )  # fmt: skip


def _whose(held: Held) -> tuple[str, ...]:
    return ("@queue", held.holdings.name, "@tag", str(held.tag))
