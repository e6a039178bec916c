"""What there is to say of a queue: what lies there and nobody comes for. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from chute.doctor.look import Ward
from chute.doctor.remark import Remark, mend, note, well

LATE = 10.0
"""Seconds after which a job that is due should have been made ready: workers look four times a second."""
DROPPED = 10_000
"""Dead letters of a queue, above which the oldest are dropped."""


def judge(ward: Ward) -> Iterator[Remark]:
    """All that there is to say of one list."""
    said = [*_foreign(ward), *_workers(ward), *_waiting(ward), *_letters(ward)]
    alive = sum(member.alive for member in ward.members)
    counts = f"{ward.seen.ready:,} ready, {ward.seen.scheduled:,} scheduled, {_many(alive, 'worker')}"
    yield from (replace(each, about=f"queue {ward.seen.name}") for each in said or [well("queue", counts)])


def unworked(name: str, ready: int) -> Remark:
    """A list that no worker has ever worked."""
    said = mend(
        "queue",
        f"{_many(ready, 'job')}, and no worker has ever worked it",
        "its name may not be written as the workers write it",
        _start(name),
    )
    return replace(said, about=f"queue {name}")


def _start(name: str) -> str:
    return f"start a worker for it (chute work MODULE), or throw them away (chute clear {name})"


def _foreign(ward: Ward) -> Iterator[Remark]:
    for key in ward.seen.wrong:
        yield mend(
            "keys",
            f"{key} is of another type than it should be",
            "the queue stands still",
            f"look who wrote it; then rename or delete it: DEL {key}",
        )
    if ward.seen.strangers:
        yield mend(
            "keys",
            f"{_many(ward.seen.strangers, 'field')} in {ward.seen.registry} that name no worker",
            "somebody else writes there",
            f"delete them: HDEL {ward.seen.registry} FIELD",
        )


def _workers(ward: Ward) -> Iterator[Remark]:
    gone = [member for member in ward.members if not member.alive]
    jobs, workers = _many(sum(member.held for member in gone), "job"), _many(len(gone), "worker")
    if not gone:
        return
    if not any(member.held for member in gone):
        yield note("queue", f"{workers} went without a word, with no job in hand", "whoever works the queue next forgets it")
    elif any(member.alive for member in ward.members):
        yield note(
            "queue", f"{jobs} in the hands of {workers} that went without a word", "others take over within a minute", "look again then"
        )
    else:
        why = "nobody is there to take over"
        yield mend("queue", f"{jobs} in the hands of {workers} that went without a word", why, "start a worker: chute work MODULE")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _waiting(ward: Ward) -> Iterator[Remark]:
    seen, alive = ward.seen, any(member.alive for member in ward.members)
    if seen.paused:
        yield note("queue", "paused", f"{seen.ready:,} jobs wait", f"to go on: chute resume {seen.name}")
    if seen.ready and not alive:
        yield mend("queue", f"{_many(seen.ready, 'job')}, and no worker", "they wait for ever", _start(seen.name))
    if seen.overdue > LATE:
        yield mend(
            "queue", f"a scheduled job is overdue by {seen.overdue:,.0f} s", "workers make due jobs ready, and " + ("do not" if alive else "none is there"),
            "see the log of the workers" if alive else "start a worker: chute work MODULE",
        )  # fmt: skip


def _letters(ward: Ward) -> Iterator[Remark]:
    letters, name = ward.seen.letters, ward.seen.name
    see = f"see them: chute dead list {name}; then requeue or purge"
    if letters >= 0.9 * DROPPED:
        yield mend("queue", f"{letters:,} dead letters", f"above {DROPPED:,} the oldest are dropped", see)
    elif letters:
        yield note("queue", _many(letters, "dead letter"), "they wait for somebody to decide", see)
