"""What the server has in the end: results, dead letters, whatever is still queued, leased or registered. Reads only, by the public key map."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import redis

from chaos import oracle
from leaks import leaks

QUEUE, WORKERS = "queue:jobs", "workers:{queue:jobs}"
SILENT = (redis.RedisError, redis.exceptions.RedisClusterException)
"""What a client says while a server is away."""
Fields = dict[str, str]


@dataclass(slots=True)
class Final:
    """The server's side of the story."""

    results: dict[str, Fields] = field(default_factory=dict)
    dead: dict[str, str] = field(default_factory=dict)
    """Job -> the reason of its dead letter."""
    queued: set[str] = field(default_factory=set)
    """Ready or scheduled."""
    leased: set[str] = field(default_factory=set)
    leaks: list[str] = field(default_factory=list)
    """Keys that a clean stop of all workers must not leave."""


def lists() -> list[str]:
    """The lists of the queue: the plain one, and its partitions where it has some. Their names are the tags of its other keys."""
    return [QUEUE, *[f"{QUEUE}:{n}" for n in range(int(os.environ.get(oracle.PARTITIONS, "0")))]]


def pending(client: Any) -> dict[str, int]:
    """How many jobs are still on their way, by where they are; those places alone that hold some."""
    tags = lists()
    places = {
        "ready": sum(client.llen(tag) for tag in tags),
        "first": sum(client.llen(f"first:{{{tag}}}") for tag in tags),
        "scheduled": sum(client.zcard(f"scheduled:{{{tag}}}") for tag in tags),
        "leased": leases(client),
    }
    return {place: count for place, count in places.items() if count}


def leases(client: Any) -> int:
    """How many jobs are held by registered workers."""
    piped = client.pipeline(transaction=False)
    for tag in lists():
        for worker in client.hkeys(f"workers:{{{tag}}}"):
            piped.hlen(b"leases:{%s}:%s" % (tag.encode(), worker))
    return sum(count for count in piped.execute(raise_on_error=False) if isinstance(count, int))


def read(client: Any) -> Final:
    """Everything at once; to be called when all workers have ended."""
    found = Final()
    keys = [key.decode() for key in client.scan_iter("result:*", count=10_000)]
    piped = client.pipeline(transaction=False)
    for key in keys:
        piped.hgetall(key)
    for key, fields in zip(keys, piped.execute(), strict=True):
        found.results[key.removeprefix("result:")] = {name.decode(): value.decode() for name, value in fields.items()}
    for tag in lists():
        for _, fields in client.xrange(f"dead:{{{tag}}}"):
            found.dead[fields[b"job_id"].decode()] = fields[b"reason"].decode()
        found.queued |= jobs_of(client.lrange(tag, 0, -1)) | jobs_of(client.lrange(f"first:{{{tag}}}", 0, -1))
        found.queued |= jobs_of(member[16:] for member in client.zrange(f"scheduled:{{{tag}}}", 0, -1))
        for key in client.scan_iter(f"leases:{{{tag}}}:*", count=10_000):
            if client.type(key) == b"hash":
                found.leased |= jobs_of(client.hvals(key))
    found.leaks = leaks(client, set())
    return found


def jobs_of(bodies: Iterable[bytes]) -> set[str]:
    """The ids of the jobs in these entries."""
    return {json.loads(body)["job_id"] for body in bodies}
