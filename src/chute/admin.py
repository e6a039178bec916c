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
from chute.keys import base_of, is_job_id, is_partition, lists_of, partition
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

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """What the lists of a queue add up to: depth, running, scheduled, dead."""
        return self.depth, self.running, self.scheduled, self.dead


def stats(endpoint: Endpoint, name: str) -> Stats:
    """Looks at a queue, with its partitions."""
    return survey(endpoint, [name])[0]


def survey(endpoint: Endpoint, names: Sequence[str] = ()) -> list[Stats]:
    """Looks at these queues, or at all that were ever worked. Which lists there are is asked once: there may be thousands."""
    of_queue: dict[str, list[str]] = {}
    for each in endpoint.run(store.lists()):
        of_queue.setdefault(base_of(each), []).append(each)
    return [_together(endpoint, name, lists_of(name, of_queue.get(name, []))) for name in names or sorted(of_queue)]


def _together(endpoint: Endpoint, name: str, of_lists: list[str]) -> Stats:
    lists = [_stats(endpoint, each) for each in of_lists]
    ages = [each.oldest_age for each in lists if each.oldest_age is not None]
    depth, running, scheduled, dead = (sum(column) for column in zip(*[each.counts for each in lists], strict=True))
    workers, rate, paused = max(each.workers for each in lists), sum(each.rate for each in lists), any(each.paused for each in lists)
    return Stats(name, depth, running, scheduled, dead, workers, round(rate, 3), max(ages, default=None), paused)


def _stats(endpoint: Endpoint, name: str) -> Stats:
    queue = Store(name)
    depth, fields, scheduled, dead, refused, oldest, clock = endpoint.run(queue.overview())
    workers = store.worker_ids(fields)
    now = store.seconds_of(clock)
    running, (this_minute, last_minute) = endpoint.run(queue.activity(workers, int(now // 60)))
    rate = (this_minute + last_minute * (60 - now % 60) / 60) / 60
    age, paused = _age(oldest, now), store.is_paused(fields)
    return Stats(name, depth, running, scheduled, dead + refused, len(workers), rate, age, paused)


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
    """A dead letter: the bytes of the job as they were, and why it died. `list`: the queue, or the partition of one, that it is of."""

    list: str
    stream: str
    id: str
    fields: dict[str, str]
    body: bytes

    @property
    def entry(self) -> str:
        """Its name for people and commands."""
        part = self.list.removeprefix(base_of(self.list))
        return f"{self.stream}/{self.id}{part.replace(':', '@')}"

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
    """Every dead letter of a queue, newest first over both streams and all partitions."""
    piles = [_pile(endpoint, Store(each), stream) for each in endpoint.run(store.lists_of(name)) for stream in STREAMS]
    heads = [next(pile, None) for pile in piles]
    while newest := max((head for head in heads if head), key=lambda head: _place(head.id), default=None):
        at = heads.index(newest)
        heads[at] = next(piles[at], None)
        yield newest


def find(endpoint: Endpoint, name: str, entry: str) -> Letter | None:
    """The letter of that name. Raises ValueError when no letter can be called so."""
    named, _, part = entry.partition("@")
    stream, _, place = named.partition("/")
    time, _, number = place.partition("-")
    if stream not in STREAMS or not time.isdigit() or not number.isdigit() or (part and not is_partition(part)):
        raise ValueError(f"not an entry: {entry}. An entry looks like dead/1700000000000-0; see: chute dead list {name}")
    list_ = partition(base_of(name), int(part)) if part else name
    for id_, fields in endpoint.run(Store(list_).letters(stream, place, 1)):
        if id_.decode() == place:
            return letter_of(list_, stream, id_, fields)
    return None


def requeue(endpoint: Endpoint, letter: Letter) -> bool:
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
    return endpoint.run(
        Store(letter.list).requeue(letter.stream, letter.id, body, job_id if is_job_id(job_id) else "", spread=endpoint.spread)
    )


def requeue_all(endpoint: Endpoint, letters: Sequence[Letter]) -> tuple[int, int]:
    """Puts letters back, the oldest first, given with the newest first; how many that were, and how many cannot be since they were cut."""
    whole = [letter for letter in letters if not letter.cut]
    return sum([requeue(endpoint, letter) for letter in reversed(whole)]), len(letters) - len(whole)


def purge(endpoint: Endpoint, dead: Sequence[Letter]) -> int:
    """Deletes letters for good; how many there still were."""
    gone = 0
    for name, stream in sorted({(letter.list, letter.stream) for letter in dead}):
        ids = [letter.id for letter in dead if (letter.list, letter.stream) == (name, stream)]
        for start in range(0, len(ids), store.CHUNK):
            gone += endpoint.run(Store(name).purge(stream, ids[start : start + store.CHUNK]))
    return gone


def pause(endpoint: Endpoint, name: str) -> bool:
    """From now on no worker gets a job of this queue; False when it was so before."""
    return sum(endpoint.run(Store(each).pause()) for each in endpoint.run(store.lists_of(name))) > 0


def resume(endpoint: Endpoint, name: str) -> bool:
    """Workers get jobs of this queue again; False when it was not paused."""
    return sum(endpoint.run(Store(each).resume()) for each in endpoint.run(store.lists_of(name))) > 0


def ready(endpoint: Endpoint, name: str) -> int:
    """How many jobs of a queue are ready."""
    lists = endpoint.run(store.lists_of(name))
    return endpoint.run(store.depth_of(lists))


def clear(endpoint: Endpoint, name: str) -> int:
    """Empties a queue and what stands before it, not what is scheduled; how many jobs that were."""
    return sum(endpoint.run(Store(each).clear()) for each in endpoint.run(store.lists_of(name)))


def _pile(endpoint: Endpoint, queue: Store, stream: str) -> Iterator[Letter]:
    before = "+"
    while page := endpoint.run(queue.letters(stream, before, PAGE)):
        yield from (letter_of(queue.name, stream, id_, fields) for id_, fields in page)
        before = f"({page[-1][0].decode()}"


def letter_of(name: str, stream: str, id_: bytes, fields: dict[bytes, bytes]) -> Letter:
    """A dead letter as it stands in its stream."""
    text = {name.decode(): value.decode(errors="replace") for name, value in fields.items() if name != b"body"}
    return Letter(name, stream, id_.decode(), text, fields.get(b"body", b""))


def _place(id_: str) -> tuple[int, int]:
    time, _, number = id_.partition("-")
    return int(time), int(number)
