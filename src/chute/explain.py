"""Where a job is, and why it does not run: found by `finding`, said here in one sentence. Blocking; for the command line.

The order is the one of a job's way backwards: its end, who has it, what it waits for, why it died.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chute import roster, sight, store
from chute.connection import Endpoint
from chute.finding import MOST, Dead, Due, Held, Job, Queued, Search
from chute.keys import check_job_id
from chute.roster import Words
from chute.sight import Sight
from chute.store import Store, worker_ids

ENDS = ("completed", "failed", "cancelled", "expired")
REFUSALS = 100
"""Refused entries that are looked at for whether workers know a task."""
SCAN = 1000
YEAR_10000 = 253_402_300_800
"""The first second, since 1970, that no calendar here has a day for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a job is. `state`: completed, failed, cancelled, expired, running, held (by a worker, not started), queued, scheduled, dead, refused
    or unknown. `why` says it in words. `since`: when it ended, was started or died; `due`: when it will be ready; `ahead`: how many are handed out
    before it; `attempt`: which run this is or will be; `entry`: its dead letter. `looked`: entries that were looked at, `whole`: whether that is all
    there is. None: does not concern it, or is not known."""

    job_id: str
    state: str
    queue: str | None = None
    task: str | None = None
    why: str = ""
    since: str | None = None
    due: str | None = None
    ahead: int | None = None
    attempt: int | None = None
    worker: str | None = None
    entry: str | None = None
    reason: str | None = None
    error: str | None = None
    looked: int = 0
    whole: bool = True


def explain(endpoint: Endpoint, job_id: str, queue: str | None = None, *, most: int = MOST) -> Answer:
    """Looks for a job everywhere, or on one queue; at `most` entries. Raises ValueError for what is no job id."""
    search = Search(endpoint, check_job_id(job_id), most)
    answer = _ended(endpoint, search, job_id, queue) or _found(endpoint, search, job_id, queue) or _never(job_id, search, queue)
    return replace(answer, looked=search.looked, whole=not search.spent)


def _found(endpoint: Endpoint, search: Search, job_id: str, queue: str | None) -> Answer | None:
    """Everything of each queue; at last once more where a job goes to that moves meanwhile."""
    queues = endpoint.run(store.lists_of(queue) if queue else store.lists())
    looks: tuple[Callable[[str], Held | Queued | Due | Dead | None], ...] = (search.held, search.ready, search.due, search.dead)
    for look, name in itertools.product((*looks, search.held), queues):
        if found := look(name):
            return _say(endpoint, job_id, found)
    if answer := _ended(endpoint, search, job_id, queue):
        return answer
    others = () if queue else _unworked(endpoint, search, set(queues))
    return next((_say(endpoint, job_id, found) for name in others if (found := search.ready(name) or search.due(name))), None)


def _unworked(endpoint: Endpoint, search: Search, known: set[str]) -> Iterator[str]:
    """Queues that no worker has ever worked: only their lists tell of them."""
    for part in endpoint.parts:
        cursor, more = 0, True
        while more and not search.spent:
            cursor, names = part.run(sight.lists(cursor, SCAN))
            more = cursor != 0
            yield from (name for name in names if name not in known)


def _ended(endpoint: Endpoint, search: Search, job_id: str, queue: str | None) -> Answer | None:
    """What its result says."""
    fields = {name.decode(): value.decode(errors="replace") for name, value in endpoint.run(store.read_result(job_id)).items()}
    status, at, where = fields.get("status", ""), fields.get("completed_at"), fields.get("@queue") or queue
    if status not in ENDS:
        return None
    if status == "completed":
        return Answer(job_id, status, where, why=f"it completed at {at}", since=at)
    reason, error = fields.get("@reason"), fields.get("error")
    letter = search.dead(where) if where and reason else None
    how = "was cancelled" if status == "cancelled" else status
    why = f"it {how} at {at}{f' ({reason})' if reason else ''}{f': {error}' if error else ''}"
    answer = Answer(job_id, status, where, why=why, since=at, reason=reason, error=error)
    if letter is None or where is None:
        return answer
    return replace(answer, task=letter.letter.fields.get("task") or None, entry=letter.letter.entry, why=f"{why}. {_put_back(letter)}")


def _say(endpoint: Endpoint, job_id: str, found: Held | Queued | Due | Dead) -> Answer:
    if isinstance(found, Dead):
        return _dead(job_id, found)
    answer = Answer(job_id, "", found.queue, task=_text(found.job.task), attempt=_attempts(found.job) + 1)
    match found:
        case Held():
            return _held(endpoint, answer, found)
        case Queued():
            return _queued(endpoint, answer, found)
        case Due():
            return _due(endpoint, answer, found)


def _held(endpoint: Endpoint, answer: Answer, found: Held) -> Answer:
    ((text, _),) = endpoint.run(Sight(found.queue).words([found.worker]))
    words = roster.words_of(text)
    answer = replace(answer, state="held", worker=found.worker)
    who = _who(found.worker, words)
    if found.closed:
        return replace(answer, why=f"{who} had it, made no progress and was closed; another worker takes over what it held")
    if words is None:
        return replace(answer, why=f"{who} has it and does not say whether it has started")
    for _, task, since, lease in words.running:
        if lease == found.lease:
            return replace(answer, state="running", task=task, since=_time(since), why=f"it has been running on {who} since {_time(since)}")
    if words.count > len(words.running):
        return replace(answer, why=f"{who} has it, and runs more jobs than it names: whether this is one of them is not known")
    return replace(answer, why=f"{who} has it; it had not started at {_time(words.at)}, when that worker said last what runs")


def _queued(endpoint: Endpoint, answer: Answer, found: Queued) -> Answer:
    answer = replace(answer, state="queued", ahead=found.ahead)
    line = f"it waits in queue {found.queue} behind {found.ahead:,} other{'s' * (found.ahead != 1)}" if found.ahead else _next(found.queue)
    return replace(answer, why=f"{line}; {_why_waiting(endpoint, found.queue, answer.task)}")


def _due(endpoint: Endpoint, answer: Answer, found: Due) -> Answer:
    registry, now = endpoint.run(Sight(found.queue).registry())
    runs, at = _attempts(found.job), _time(found.when)
    why = f"run {runs} failed; run {runs + 1} is to begin at {at}" if runs else f"it is scheduled for {at}"
    if found.when < now and not worker_ids(registry):
        why += f", which has passed: no worker works queue {found.queue}, so nobody makes it ready"
    elif store.is_paused(registry):
        why += f"; queue {found.queue} is paused"
    return replace(answer, state="scheduled", due=at, why=why)


def _dead(job_id: str, found: Dead) -> Answer:
    letter = found.letter
    state = "refused" if letter.stream == "refused" else "dead"
    fields = {name: letter.fields.get(name) or None for name in ("task", "reason", "error", "worker")}
    at = letter.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    what = "was refused" if state == "refused" else "is dead since"
    why = f"it {what}{' at' if state == 'refused' else ''} {at} ({fields['reason']}): {fields['error']}. {_put_back(found)}"
    return Answer(
        job_id, state, found.queue, fields["task"], why, since=at, entry=letter.entry, worker=fields["worker"],
        attempt=int(letter.fields.get("attempt") or 1), reason=fields["reason"], error=fields["error"],
    )  # fmt: skip


def _never(job_id: str, search: Search, queue: str | None) -> Answer:
    if search.spent:
        why = f"not found in the first {search.looked:,} entries; the search went no further" + (
            "" if queue else ". Name its queue: --queue"
        )
    else:
        where = f"queue {queue}" if queue else "any queue"
        why = f"not in {where} and without a result: it was never pushed, or it is done and its result has expired (or it keeps none)"
    return Answer(job_id, "unknown", queue, why=why)


def _why_waiting(endpoint: Endpoint, queue: str, task: str | None) -> str:
    """What keeps a ready job from being handed out, the surest reason first."""
    registry, _ = endpoint.run(Sight(queue).registry())
    workers = worker_ids(registry)
    if store.is_paused(registry):
        return f"the queue is paused. To go on: chute resume {queue}"
    if not workers:
        return "no worker works this queue. Start one: chute work MODULE"
    if task and _unknown_task(endpoint, queue, task):
        return f'no worker may know its task: others with "@task": "{task}" were refused (unknown_task). See: chute dead list {queue}'
    held = sum(held for _, held in endpoint.run(Sight(queue).words(workers)))
    return f"{len(workers):,} worker{' has' if len(workers) == 1 else 's have'} {held:,} job{'s' * (held != 1)} of it in hand"


def _unknown_task(endpoint: Endpoint, queue: str, task: str) -> bool:
    """Whether a job with this task was refused of late for its task."""
    for _, fields in endpoint.run(Store(queue).letters("refused", "+", REFUSALS)):
        if fields.get(b"reason") == b"unknown_task" and fields.get(b"task") == task.encode():
            return True
    return False


def _next(queue: str) -> str:
    return f"it is the next in queue {queue}"


def _who(worker: str, words: Words | None) -> str:
    return f"worker {worker[:8]}" + (f" (process {words.pid} on {words.host})" if words and words.pid else "")


def _put_back(found: Dead) -> str:
    return f"To run it again: chute dead requeue {found.queue} {found.letter.entry}"


def _time(seconds: float) -> str:
    if seconds >= YEAR_10000:
        return f"{seconds:,.0f} seconds after 1970"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _attempts(job: Job) -> int:
    return job.attempt if isinstance(job.attempt, int) else 0
