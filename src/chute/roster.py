"""Who works a queue, and what each of them runs: what workers say of themselves, beside what they hold. Blocking; for the command line.

A lease tells that a worker has a job, not whether that has started: this only the worker knows, and says with its beats. Of a worker that says
nothing (one of another version) there are its leases.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from chute.connection import Endpoint
from chute.sight import Sight
from chute.store import lists_of, worker_ids

SHOWN = 100
"""Jobs of one worker that are looked at."""


class Words(msgspec.Struct, frozen=True):
    """What a worker says of itself; see `worker.info`. What a version does not say stays empty."""

    at: float = 0.0
    host: str = ""
    pid: int = 0
    started: float = 0.0
    slots: int = 0
    count: int = 0
    running: list[tuple[str, str, float, int]] = []
    """(job id, task, since, lease) of each."""


@dataclass(frozen=True, slots=True)
class Running:
    """A job in a worker's hands. `age`: seconds since it was started, None where it is not known whether it was."""

    job_id: str
    task: str
    age: float | None


@dataclass(frozen=True, slots=True)
class Member:
    """One worker on one queue. `age`, in seconds, `running`, `slots`, `host` and `pid` are as it said last, less what has ended since; None where it
    said nothing. `held` is how many jobs it holds now, started or not."""

    queue: str
    worker: str
    host: str | None
    pid: int | None
    age: float | None
    slots: int | None
    running: int | None
    held: int
    jobs: list[Running]


class _Names(msgspec.Struct, rename={"task": "@task"}):
    job_id: str = ""
    task: str = ""


_names = msgspec.json.Decoder(_Names)
_words = msgspec.json.Decoder(Words)


def words_of(text: bytes | None) -> Words | None:
    """What a worker says, None where that is nothing or cannot be read."""
    try:
        return _words.decode(text) if text else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def members(endpoint: Endpoint, name: str) -> list[Member]:
    """The workers of a queue, the oldest first. One that works its partitions too is one worker."""
    found: dict[tuple[str | None, int | None, str], Member] = {}
    for each in endpoint.run(lists_of(name)):
        for member in _members(endpoint, each):
            place = (member.host, member.pid, "" if member.pid else member.worker)
            found[place] = _together(found[place], member) if place in found else replace(member, queue=name)
    return sorted(found.values(), key=lambda each: -(each.age or 0))


def _together(one: Member, other: Member) -> Member:
    """What a worker has of several lists of a queue."""
    running = None if one.running is None or other.running is None else one.running + other.running
    return replace(one, running=running, held=one.held + other.held, jobs=[*one.jobs, *other.jobs])


def _members(endpoint: Endpoint, name: str) -> list[Member]:
    sight = Sight(name)
    registry, now = endpoint.run(sight.registry())
    workers = worker_ids(registry)
    told = endpoint.run(sight.words(workers)) if workers else []
    found: list[Member] = []
    for worker, (text, held) in zip(workers, told, strict=True):
        silent = Member(name, worker, None, None, None, None, None, held, [])
        if words := words_of(text):
            found.append(_speaking(silent, words, _running(endpoint, sight, worker, words), now))
        else:
            found.append(replace(silent, jobs=list(_by_leases(endpoint, sight, worker)) if held else []))
    return found


def _running(endpoint: Endpoint, sight: Sight, worker: str, words: Words) -> list[tuple[str, str, float, int]]:
    """Of the jobs that a worker named, those that it still has."""
    if not words.running:
        return []
    there = endpoint.run(sight.still_held(worker, [lease for *_, lease in words.running]))
    return [job for job, held in zip(words.running, there, strict=True) if held]


def _speaking(silent: Member, words: Words, running: list[tuple[str, str, float, int]], now: float) -> Member:
    jobs = [Running(job_id, task, _age(now, since)) for job_id, task, since, _ in running]
    count = min(silent.held, words.count - len(words.running) + len(jobs))
    age = _age(now, words.started)
    return replace(silent, host=words.host, pid=words.pid, age=age, slots=words.slots, running=count, jobs=jobs)


def _by_leases(endpoint: Endpoint, sight: Sight, worker: str) -> Iterator[Running]:
    _, pairs = endpoint.run(sight.held(worker, 0, SHOWN))
    for _, body in pairs[:SHOWN]:
        try:
            names = _names.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            names = _Names()
        yield Running(names.job_id, names.task, None)


def _age(now: float, since: float) -> float:
    return round(max(0.0, now - since), 3)
