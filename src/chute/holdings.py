"""The only door to the server, for workers: their commands on one queue as values. Sends nothing; `line` does, several in one write.

`Holdings` has those of one worker under its id of this boot; the functions are for whoever looks after a queue.
"""

from collections.abc import Iterable, Mapping

from chute import envelope, keys, script
from chute.keys import keys_of
from chute.script import Command

BLOCK = 2
"""Seconds that an idle worker's wait lasts. Short, so that a dead connection is noticed; a push ends it at once."""
CLAIM_BYTES = envelope.READ
"""Of the bodies of one claim together. Of a longer one, which is no job, only so many come, and one more."""
COUNTS_TTL = 8 * 3600
PROMOTED = 250
"""Due jobs that are moved at once: a thousand would hold up everybody else at the server for milliseconds."""
DEAD_LENGTH, DEAD_AGE_MS = 10_000, 90 * 86_400_000


class Holdings:
    """The commands of one worker (by its id of this boot) on one queue."""

    def __init__(self, name: str, worker: str) -> None:
        on = keys_of(name)
        self.name = name
        self.worker = worker
        self.number = 0
        """Its number on the worker's board."""
        self.leases = on.leases(worker)
        self._on = on
        self._claim = script.CLAIM.on(first=on.first, queue=on.queue, leases=self.leases, workers=on.workers, tags=on.tags)
        self._finish = script.FINISH.on(
            leases=self.leases, queue=on.queue, scheduled=on.scheduled, dead=on.dead, refused=on.refused, tags=on.tags
        )
        self._adopt = script.ADOPT.on(leases=self.leases, tags=on.tags)
        self.register: Command = script.REGISTER.on(workers=on.workers)(worker=worker)
        self.beat: Command = beat_of(name, [worker])
        self._close = script.CLOSE.on(workers=on.workers)
        self.close: Command = self._close(worker=worker, seen="")
        self._reclaim = script.RECLAIM.on(queue=on.queue, leases=self.leases, workers=on.workers, info=on.info(worker))
        self._inform = script.INFORM.on(workers=on.workers, info=on.info(worker))
        self.length: Command = length_of(name)
        self.wait: Command = ("BLMOVE", on.queue, on.first, "RIGHT", "LEFT", BLOCK)
        self.held: Command = ("HKEYS", self.leases)
        self.count_held: Command = ("HLEN", self.leases)
        self.who: Command = ("CLIENT", "ID")

    def claim(self, call: int, want: int, deadline: int | str) -> Command:
        """Up to `want` jobs under the leases of call number `call`; nothing once the server's clock (ms) is past `deadline`."""
        return self._claim(worker=self.worker, call=call, want=want, bytes=CLAIM_BYTES, deadline=deadline)

    def adopt(self, leases: Iterable[int | bytes]) -> Command:
        """Takes up leases under new tags: those whose claim was not answered, or of who has died. The first tag, and a body or nil of each."""
        return self._adopt(*leases, bytes=CLAIM_BYTES)

    def peek(self, lease: bytes) -> Command:
        """The body that is held under a lease, in a list; nil where there is none."""
        return ("HMGET", self.leases, lease)

    def inform(self, text: bytes, ttl: int) -> Command:
        """Writes down what this worker says of itself, for so many seconds; nothing once it is closed."""
        return self._inform(worker=self.worker, text=text, ttl=ttl)

    def closing(self, seen: bytes) -> Command:
        """Closes this worker on behalf of a judge who saw its beat stand at `seen`; nothing happens when it has moved."""
        return self._close(worker=self.worker, seen="" if seen == b"dead" else seen)

    def reclaim(self, jobs: Iterable[tuple[bytes, bytes]]) -> Command:
        """Gives back leases of a closed worker with the bodies that go back, youngest first, at most 1,000 of them; forgets the worker once it
        holds nothing. What was cut on the way here goes back as it is held."""
        return self._reclaim(*[part for lease, body in jobs for part in (lease, b"" if is_cut(body) else body)], worker=self.worker)

    def finish(self, job_ids: list[str], records: list[bytes]) -> Command:
        """Stores outcomes: packed records, and the job whose result each writes, or ''."""
        return self._finish.each([keys.RESULT + job_id if job_id else self.leases for job_id in job_ids], records)

    def store(self, job_id: str, tag: int, record: bytes) -> Command:
        """Writes the result that a record holds, for the finish of that record without it."""
        return script.STORE.on(result=keys.result(job_id))(queue=self.name, tag=tag, record=record)

    def count(self, minute: int, counts: Mapping[str, int]) -> Command:
        """Adds to what was finished in a minute since the epoch."""
        return script.COUNT.on(counts=self._on.counts(minute))(*[word for pair in counts.items() for word in pair], ttl=COUNTS_TTL)


def is_cut(body: bytes) -> bool:
    """Whether that is only the beginning of what was pushed."""
    return len(body) > CLAIM_BYTES


NOTED_AT = keys.QUEUES
"""The key that decides which server knows the names of all queues."""


def note(queue: str) -> Command:
    """Writes down that a queue is worked, so that it is known where nobody names it."""
    return ("SADD", NOTED_AT, queue)


def place_of(queue: str) -> str:
    """The key that decides which server has everything of a queue."""
    return keys_of(queue).queue


def beat_of(queue: str, workers: list[str]) -> Command:
    """Raises the beats of several workers of a queue; answers those that are fenced."""
    return script.BEAT.on(workers=keys_of(queue).workers)(*workers)


def length_of(queue: str) -> Command:
    """How many jobs of normal priority are ready."""
    return ("LLEN", keys_of(queue).queue)


def promote(queue: str) -> Command:
    """Moves what is due into the queue; answers how many jobs, and the ms until the next one is due or -1."""
    on = keys_of(queue)
    return script.PROMOTE.on(scheduled=on.scheduled, queue=on.queue)(want=PROMOTED)


def workers_of(queue: str) -> Command:
    """The workers of a queue with their beats."""
    return ("HGETALL", keys_of(queue).workers)


def trim(queue: str, now_ms: int) -> list[Command]:
    """Bounds the dead letters by number and by age; each answers how many it dropped."""
    dead = keys_of(queue).dead
    return [("XTRIM", dead, "MAXLEN", DEAD_LENGTH), ("XTRIM", dead, "MINID", max(0, now_ms - DEAD_AGE_MS))]


def unblock(client: int) -> Command:
    """Ends the blocking wait of another connection."""
    return ("CLIENT", "UNBLOCK", client)
