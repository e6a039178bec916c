"""A call on its way: what the caller says (task, arguments, options) -> the job's bytes -> the queue's operation."""

import itertools
import secrets
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from chute import duration, envelope, trace
from chute.connection import Endpoint, endpoint
from chute.convoy import Convoys, Sendable
from chute.duration import Seconds
from chute.errors import ChuteError
from chute.keys import check_job_id, partition
from chute.result import Job, Told
from chute.signature import Arguments, Signature
from chute.store import Confirm, Store, confirmable

J_co = TypeVar("J_co", covariant=True)
_A_CALL = 'as in enqueue_many([answer.bind("What is RAG?")])'


@dataclass(frozen=True, slots=True)
class Options:
    """What one call wants otherwise than its task: see `Task.options`."""

    job_id: str | None = None
    due: str = ""
    result_ttl: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    confirm: Confirm = "memory"
    key: str = ""


PLAIN = Options()
"""Those of a task that is enqueued as it is."""


def options(
    job_id: str | None,
    when: tuple[Seconds | None, datetime | None],
    result_ttl: Seconds | None,
    headers: Mapping[str, str] | None,
    confirm: Confirm,
    key: str | None,
) -> Options:
    """The options, checked; `when` is the delay and the time. Raises ValueError or TypeError that says which is wrong."""
    delay, at = when
    if job_id is not None:
        check_job_id(job_id)
    if delay is not None and at is not None:
        raise ValueError("delay= and at= say the same thing twice: give one")
    if confirm not in ("memory", "disk", "replica"):
        raise ValueError(f'confirm= is "memory", "disk" or "replica", not {confirm!r}')
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers= maps text to text, not {name!r} to {value!r}")
    if key is not None and (not isinstance(key, str) or not key):
        raise TypeError(f"key= is text that is not empty, not {key!r}")
    ttl = None if result_ttl is None else duration.whole_seconds(result_ttl)
    return Options(job_id, _due(delay, at), ttl, dict(headers or {}), confirm, key or "")


def _due(delay: Seconds | None, at: datetime | None) -> str:
    """When a job is due, as the server is told: '' now, '+n' in n ms of its clock, else ms since the epoch."""
    if at is not None:
        if not isinstance(at, datetime):
            raise TypeError(f"at= is a datetime with a time zone, not {at!r}; seconds from now are delay=")
        if at.tzinfo is None:
            raise ValueError(f"at={at!r} has no time zone: say which, e.g. datetime.now(timezone.utc) + timedelta(minutes=5)")
        return str(max(0, round(at.timestamp() * 1000)))
    if delay is None:
        return ""
    return f"+{round(duration.seconds(delay) * 1000)}" if duration.seconds(delay) else ""


class Call(msgspec.Struct, Generic[J_co], eq=False, gc=False):
    """A call that is bound but not sent: `answer.bind("What is RAG?")`, for `queue.enqueue_many`."""

    # Many are made at once: see `Job`.
    _signature: Signature
    _arguments: Arguments
    _options: Options
    _result_ttl: int
    queue: str
    """The name of the queue whose task it calls."""

    def __repr__(self) -> str:
        return f"<chute.Call of task {self._signature.task!r}>"

    @property
    def returns(self) -> Any:
        """The type of the result."""
        return self._signature.returns

    @property
    def kept(self) -> bool:
        """Whether a result will be stored."""
        ttl = self._options.result_ttl
        return (self._result_ttl if ttl is None else ttl) > 0

    @property
    def confirm(self) -> Confirm:
        """How sure the caller wants to be."""
        return self._options.confirm

    def seal(self, now: int, new_id: str) -> Sendable:
        """The job: its id (`new_id` unless the caller chose one), its bytes, when it is due and what it is to be kept in order with. `now`:
        milliseconds since the epoch."""
        chosen, arguments, signature = self._options, self._arguments, self._signature
        if isinstance(arguments, tuple):
            job_id = chosen.job_id or new_id
            job = signature.blank.copy()
            job["job_id"] = job_id
            for place, name in enumerate(signature.names):
                job[name] = arguments[place]
        else:
            named = arguments.get("job_id")
            job_id = chosen.job_id or (check_job_id(named) if named else new_id)
            job = {"job_id": job_id, **arguments, "@task": signature.task}
            job["job_id"] = job_id  # also over a parameter of that name
        job["@at"] = now
        if chosen is not PLAIN:
            self._note(job, now)
        return job_id, signature.encode(job), chosen.due, chosen.key

    def _note(self, job: dict[str, Any], now: int) -> None:
        """Writes down what this call wants otherwise."""
        chosen = self._options
        if chosen.due:
            job["@due"] = int(chosen.due) + (now if chosen.due[0] == "+" else 0)
        if chosen.headers:
            job["@headers"] = chosen.headers
        if chosen.result_ttl is not None:
            job["@result_ttl"] = chosen.result_ttl


def seal_plain(job: Mapping[str, Any]) -> Sendable:
    """A job that names its own arguments, as any language pushes it; gets an id where it has none. Raises ValueError when it is no job."""
    if not isinstance(job, Mapping):
        raise ValueError(  # noqa: TRY004 - one error for all that is no job
            f'a job is a dict such as {{"question": "What is RAG?"}}, not {type(job).__name__}. Nothing was sent'
        )
    complete = {**job} if "job_id" in job else {"job_id": envelope.new_job_id(), **job}
    body = envelope.encode(complete)
    try:
        envelope.check(body)
    except envelope.Refused as refused:
        raise ValueError(f"{refused}. Nothing was sent") from None
    return complete["job_id"], body, "", ""


def seal_one(call: Call[Any]) -> Sendable:
    """The job of a call. Raises as `Signature.encode`."""
    now = time.time_ns() // 1_000_000
    return call.seal(now, envelope.new_job_ids(1, now)[0])


def seal_all(queue: str, calls: list[Call[Any]]) -> list[Sendable]:
    """The jobs of many calls for that queue. Raises as `Signature.encode`, and TypeError for what is no call of a task of it."""
    if {*map(type, calls)} != {Call}:
        other = next(each for each in calls if type(each) is not Call)
        sent = ": its job has been sent already. Nothing more was sent" if isinstance(other, Job) else ". Nothing was sent"
        raise TypeError(f"enqueue_many takes calls, {_A_CALL}, not {type(other).__name__}{sent}")
    if {each.queue for each in calls} != {queue}:
        other = next(each for each in calls if each.queue != queue)
        raise TypeError(f"{other!r} belongs to queue {other.queue}, and not to {queue}, whose enqueue_many this is. Nothing was sent")
    now = time.time_ns() // 1_000_000
    return [each.seal(now, new_id) for each, new_id in zip(calls, envelope.new_job_ids(len(calls), now), strict=True)]


def chunks(jobs: Iterable[Any], size: int) -> Iterable[list[Any]]:
    """The jobs in lists of at most `size`. Raises TypeError where there are not many."""
    if not isinstance(jobs, Iterable):
        raise TypeError(f"enqueue_many takes many calls, {_A_CALL}, not {type(jobs).__name__}. Nothing was sent")
    left = iter(jobs)
    while chunk := list(itertools.islice(left, size)):
        yield chunk


@dataclass(frozen=True, slots=True)
class Instead:
    """What takes the jobs of every queue where no server is to: the seam for `chute.testing.inline`, and for nothing else.

    `send` and `asend` get the queue and its sealed jobs; `told` is asked for results.
    """

    send: Callable[[Any, list[Sendable]], None]
    asend: Callable[[Any, list[Sendable]], Awaitable[None]]
    told: Told


class Sender:
    """Sends sealed jobs to one queue, in blocking and in asyncio code; finds the server at first use."""

    instead: ClassVar[Instead | None] = None

    def __init__(self, name: str, url: str | None, queue: Any = None, partitions: int = 0) -> None:
        self.store = Store(name)
        self.queue = queue
        """The Queue that this sends for."""
        self._url = url
        self._stores = [Store(partition(name, number)) for number in range(partitions)] or [self.store]
        self._convoys = {store: Convoys(store) for store in self._stores}
        self._turn = itertools.count(secrets.randbelow(len(self._stores)))  # where many programs send, not all begin with the first

    @property
    def endpoint(self) -> Endpoint:
        """The server. Asked for at each use: the command line may name another before the first."""
        return endpoint(self._url)

    def send(self, jobs: list[Sendable], confirm: Confirm = "memory") -> Endpoint:
        """Enqueues the jobs; the server that has them. Raises Rejected, Unconfirmed or ServerUnavailable."""
        server, sent = self.endpoint, 0
        with trace.sending(self.store.name, jobs) as carrying:
            if Sender.instead:
                Sender.instead.send(self.queue, carrying)
                return server
            try:
                for store, part in self._shared_out(carrying):
                    if confirm != "memory":
                        server.run(confirmable(store.name, confirm))
                    server.run(store.enqueue(part, confirm))
                    sent += len(part)
            except ChuteError as error:
                _say_what_was_sent(error, sent)
                raise
        return server

    async def asend(self, jobs: list[Sendable], confirm: Confirm = "memory") -> Endpoint:
        """As `send`, for asyncio code."""
        server, sent = self.endpoint, 0
        with trace.sending(self.store.name, jobs) as carrying:
            if Sender.instead:
                await Sender.instead.asend(self.queue, carrying)
                return server
            try:
                for store, part in self._shared_out(carrying):
                    if confirm == "memory" and len(part) == 1 and not part[0][2]:
                        await self._convoys[store].of(server).enqueue(part[0])
                    else:
                        if confirm != "memory":
                            await server.arun(confirmable(store.name, confirm))
                        await server.arun(store.enqueue(part, confirm))
                    sent += len(part)
            except ChuteError as error:
                _say_what_was_sent(error, sent)
                raise
        return server

    def _shared_out(self, jobs: list[Sendable]) -> Iterable[tuple[Store, list[Sendable]]]:
        """The jobs by the lists that they go to, in their order there: those with a key to that of the key, the others in turn."""
        stores = self._stores
        if len(stores) == 1:
            return [(stores[0], jobs)]
        parts: dict[int, list[Sendable]] = {}
        for job in jobs:
            key = job[3]
            number = (zlib.crc32(key.encode()) if key else next(self._turn)) % len(stores)
            parts.setdefault(number, []).append(job)
        return [(stores[number], part) for number, part in sorted(parts.items())]

    def job(self, job_id: str, returns: Any = Any, kept: bool = True, server: Endpoint | None = None) -> Job[Any]:
        """The handle of a job of this queue. `server`: that which has it, where it has just been sent."""
        told = Sender.instead.told if Sender.instead else None
        return Job(job_id, self.store.name, server or self.endpoint, returns, kept, told)

    def jobs(self, calls: list[Call[Any]], sealed: list[Sendable], server: Endpoint) -> list[Job[Any]]:
        """The handles of many calls that have been sent."""
        told, name = Sender.instead.told if Sender.instead else None, self.store.name
        return [Job(job[0], name, server, call.returns, call.kept, told) for call, job in zip(calls, sealed, strict=True)]


def _say_what_was_sent(error: ChuteError, sent: int) -> None:
    """Adds to an error what other partitions have accepted of the same exchange."""
    if sent:
        error.add_note(f"{sent:,} other jobs of this exchange were accepted, in other partitions.")


@contextmanager
def taken(instead: Instead | None) -> Iterator[None]:
    """For the time of a with block, `instead` takes the jobs of every queue of this process; None: a server does, as ever."""
    before, Sender.instead = Sender.instead, instead
    try:
        yield
    finally:
        Sender.instead = before
