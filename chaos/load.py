"""Producers: processes that put jobs in until SIGTERM and note how each of them was answered.

    python -m chaos.load KIND NAME SEED RATE LOWEST HIGHEST

`plain` is any program: LPUSH through a client that repeats nothing. `chute` is Chute's own enqueue, singly, delayed and many at once;
`confirmed` is the same, and waits until a replica has them too; `durable`, until the server's disk has them; `delayed` wants each to be run a
second later. Where the queue has partitions, a job's id is its key. The jobs are named NAME-1, NAME-2, ... in the order in which they were
sent, and take LOWEST to HIGHEST milliseconds.
"""

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from chaos import app, oracle
from chute.errors import ChuteError, Rejected, ServerUnavailable, Unconfirmed

TASKS, WEIGHTS = ("work", "threaded", "flaky", "doomed"), (84, 8, 6, 2)
DELAY = 1.0
HOWS: dict[str, dict[str, Any]] = {"confirmed": {"confirm": "replica"}, "durable": {"confirm": "disk"}, "delayed": {"delay": DELAY}}
"""By the kind of producer, what it asks for with each job."""
Jobs = dict[str, dict[str, object]]
_notes = oracle.Notebook("sent")


def note(what: str, jobs: Jobs) -> None:
    """How these were answered."""
    for job in jobs:
        _notes.note(what, job, oracle.now())


def plain(client: redis.Redis) -> Callable[[Jobs, random.Random], None]:
    """Sends as any program does."""

    def send(jobs: Jobs, _: random.Random) -> None:
        try:
            client.connection_pool.release(client.connection_pool.get_connection())
        except redis.RedisError:
            note("rejected", jobs)  # nobody was there to be sent anything
            return
        try:
            client.lpush("queue:jobs", *[json.dumps({"job_id": job, **fields}) for job, fields in jobs.items()])
        except redis.ResponseError:
            note("rejected", jobs)
        except redis.RedisError:
            note("unknown", jobs)
        else:
            note("accepted", jobs)

    return send


def own(how: dict[str, Any], jobs: Jobs, chance: random.Random) -> None:
    """Sends with Chute's own enqueue; how: options of every job."""
    given = {"delay": 0.02 if chance.random() < 0.1 else None, **how}
    spread = oracle.PARTITIONS in os.environ
    calls = [
        app.jobs.tasks[str(fields["@task"])].options(job_id=job, **given, **({"key": job} if spread else {})).bind(fields["ms"])
        for job, fields in jobs.items()
    ]
    try:
        app.jobs.enqueue_many(calls)
    except Unconfirmed:
        note("unknown", jobs)
    except (ServerUnavailable, Rejected) as refusal:
        partly = "were accepted" in " ".join([str(refusal), *getattr(refusal, "__notes__", ())])
        note("unknown" if partly else "rejected", jobs)
    else:
        note("confirmed" if "confirm" in how else "accepted", jobs)
    if chance.random() < 0.1:
        with contextlib.suppress(ChuteError):
            app.jobs.job(next(iter(jobs))).status()


def sender(kind: str) -> Callable[[Jobs, random.Random], None]:
    """How a producer of that kind sends."""
    if kind == "plain":
        return plain(redis.Redis.from_url(app.jobs.endpoint.url(), retry=Retry(NoBackoff(), 0), socket_timeout=2))
    return partial(own, HOWS.get(kind, {}))


def batch(name: str, first: int, size: int, chance: random.Random, lowest: int, highest: int) -> Jobs:
    """The next jobs."""
    return {
        f"{name}-{n}": {"@task": chance.choices(TASKS, WEIGHTS)[0], "ms": chance.randint(lowest, highest)}
        for n in range(first, first + size)
    }


def main() -> None:
    """Sends at the rate, until SIGTERM."""
    kind, name, seed, rate, lowest, highest = sys.argv[1:]
    never = threading.Event()
    ended: list[int] = []  # an Event that is set in a signal handler, while its own thread looks at it, waits for itself
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    chance = random.Random(seed)  # the same jobs for the same seed
    send = sender(kind)
    sent, began = 0, time.monotonic()
    while not ended:
        size = chance.choice((1, 1, 1, 5))
        send(batch(name, sent + 1, size, chance, int(lowest), int(highest)), chance)
        sent += size
        never.wait(max(0.0, began + sent / float(rate) - time.monotonic()))
        began = max(began, time.monotonic() - sent / float(rate) - 1)  # what an outage kept it from is not made up for


if __name__ == "__main__":
    main()
