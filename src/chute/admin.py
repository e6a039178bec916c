"""What an operator does with a queue: look at it, look at its dead letters, put them back or throw them away. Blocking; for the command line.

A dead letter is named by its stream and its place there: `dead/1700000000000-0` (failed) or `refused/...` (malformed).
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from chute import envelope, store
from chute.connection import Endpoint
from chute.envelope import Refused
from chute.keys import is_job_id
from chute.store import Store

STREAMS = ("dead", "refused")
PAGE = 500


@dataclass(frozen=True, slots=True)
class Stats:
    """One queue at one moment. `depth` = LLEN, `running` = leases, `dead` = dead + refused, `rate` = jobs finished per second over the last
    minute, `oldest_age` = seconds that the next job has waited (None: unknown, or nothing waits), `paused`: workers get nothing of it."""

    queue: str
    depth: int
    running: int
    scheduled: int
    dead: int
    workers: int
    rate: float
    oldest_age: float | None
    paused: bool


def stats(endpoint: Endpoint, name: str) -> Stats:
    """Looks at a queue."""
    queue = Store(name)
    depth, fields, scheduled, dead, refused, oldest, clock = endpoint.run(queue.overview())
    workers = store.worker_ids(fields)
    now = store.seconds_of(clock)
    running, (this_minute, last_minute) = endpoint.run(queue.activity(workers, int(now // 60)))
    rate = (this_minute + last_minute * (60 - now % 60) / 60) / 60
    age, paused = _age(oldest, now), store.is_paused(fields)
    return Stats(name, depth, running, scheduled, dead + refused, len(workers), round(rate, 3), age, paused)


def _age(body: bytes | None, now: float) -> float | None:
    """How long a job has waited, where it says when it was due or enqueued."""
    try:
        job = envelope.check(body) if body else {}
    except Refused:
        return None
    at = job.get("@due") or job.get("@at")
    return round(max(0.0, now - at / 1000), 3) if at else None


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the bytes of the job as they were, and why it died."""

    stream: str
    id: str
    fields: dict[str, str]
    body: bytes

    @property
    def entry(self) -> str:
        """Its name for people and commands."""
        return f"{self.stream}/{self.id}"

    @property
    def at(self) -> datetime:
        """When it died."""
        return datetime.fromtimestamp(int(self.id.split("-")[0]) / 1000, UTC)

    @property
    def cut(self) -> bool:
        """Whether only the beginning of its bytes was kept."""
        return "length" in self.fields

    def as_json(self) -> dict[str, Any]:
        """The letter as the command line prints it."""
        shown: dict[str, Any] = {"entry": self.entry, "at": self.at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        shown |= {name: self.fields.get(name, "") for name in ("job_id", "task", "reason", "error")}
        shown |= {name: int(self.fields.get(name) or 0) for name in ("attempt", "deaths")}
        shown["worker"] = self.fields.get("worker", "")
        try:
            shown["job"] = self.body.decode()
        except UnicodeDecodeError:
            shown["job_base64"] = base64.b64encode(self.body).decode()
        return shown


def letters(endpoint: Endpoint, name: str) -> Iterator[Letter]:
    """Every dead letter of a queue, newest first over both streams."""
    piles = [_pile(endpoint, Store(name), stream) for stream in STREAMS]
    heads = [next(pile, None) for pile in piles]
    while newest := max((head for head in heads if head), key=lambda head: _place(head.id), default=None):
        at = heads.index(newest)
        heads[at] = next(piles[at], None)
        yield newest


def find(endpoint: Endpoint, name: str, entry: str) -> Letter | None:
    """The letter of that name. Raises ValueError when no letter can be called so."""
    stream, _, place = entry.partition("/")
    time, _, number = place.partition("-")
    if stream not in STREAMS or not time.isdigit() or not number.isdigit():
        raise ValueError(f"not an entry: {entry}. An entry looks like dead/1700000000000-0; see: chute dead list {name}")
    for id_, fields in endpoint.run(Store(name).letters(stream, place, 1)):
        if id_.decode() == place:
            return letter_of(stream, id_, fields)
    return None


def requeue(endpoint: Endpoint, name: str, letter: Letter) -> bool:
    """Puts a letter back into its queue as if it had never run; False when it was gone. Raises ValueError for one that was cut."""
    if letter.cut:
        raise ValueError(
            f"{letter.entry} cannot be requeued: only the first {len(letter.body):,} of {letter.fields['length']} bytes were kept"
        )
    try:
        body = envelope.rewrite(letter.body, attempt=None, deaths=None, due=None)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        body = letter.body  # not JSON: it goes back as it came
    job_id = letter.fields.get("job_id", "")
    return endpoint.run(Store(name).requeue(letter.stream, letter.id, body, job_id if is_job_id(job_id) else "", spread=endpoint.spread))


def requeue_all(endpoint: Endpoint, name: str, letters: Sequence[Letter]) -> tuple[int, int]:
    """Puts letters back, the oldest first, given with the newest first; how many that were, and how many cannot be since they were cut."""
    whole = [letter for letter in letters if not letter.cut]
    return sum([requeue(endpoint, name, letter) for letter in reversed(whole)]), len(letters) - len(whole)


def purge(endpoint: Endpoint, name: str, dead: list[Letter]) -> int:
    """Deletes letters for good; how many there still were."""
    gone = 0
    for stream in STREAMS:
        ids = [letter.id for letter in dead if letter.stream == stream]
        for start in range(0, len(ids), store.CHUNK):
            gone += endpoint.run(Store(name).purge(stream, ids[start : start + store.CHUNK]))
    return gone


def _pile(endpoint: Endpoint, queue: Store, stream: str) -> Iterator[Letter]:
    before = "+"
    while page := endpoint.run(queue.letters(stream, before, PAGE)):
        yield from (letter_of(stream, id_, fields) for id_, fields in page)
        before = f"({page[-1][0].decode()}"


def letter_of(stream: str, id_: bytes, fields: dict[bytes, bytes]) -> Letter:
    """A dead letter as it stands in its stream."""
    text = {name.decode(): value.decode(errors="replace") for name, value in fields.items() if name != b"body"}
    return Letter(stream, id_.decode(), text, fields.get(b"body", b""))


def _place(id_: str) -> tuple[int, int]:
    time, _, number = id_.partition("-")
    return int(time), int(number)
