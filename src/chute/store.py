"""The only door to the server, for callers and operators: their operations as values, whole exchanges with how the replies are read.

Every command and every key is built here or, for workers, in `holdings`. Sends nothing; `connection` and `line` do.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

from chute import keys, script
from chute.errors import Rejected, Unconfirmed
from chute.keys import keys_of
from chute.operation import Operation, accepted
from chute.script import Command

CHUNK = 1000
"""Jobs in one command: longer ones would block the server for milliseconds."""

STEPS_TTL = 7 * 86_400
"""Seconds that the steps of a job are remembered after the last one."""
TIME: Command = ("TIME",)
INFO: Command = ("INFO", "server")
TRACKING_ON: Command = ("CLIENT", "TRACKING", "ON")


Confirm: TypeAlias = Literal["memory", "disk", "replica"]
_CONFIRM: dict[Confirm, tuple[Command, ...]] = {"disk": (("WAITAOF", 1, 0, 3000),), "replica": (("WAIT", 1, 3000),)}
REPLICATION: Command = ("INFO", "replication")


def confirmable(queue: str, confirm: Confirm) -> Operation[None]:
    """Whether the server of a queue can confirm at all; Rejected where it cannot."""
    at = keys_of(queue).queue  # asked for first: a node of a Cluster that was deposed sends us on, and is not asked for the rest
    sections: tuple[Command, ...] = (("LLEN", at), ("INFO", "persistence"), REPLICATION, ("COMMAND", "INFO", "WAITAOF"))

    def read(replies: list[Any]) -> None:
        replies = replies[1:]
        info = dict(fields_of_info(accepted(replies[0]))) | dict(fields_of_info(accepted(replies[1])))
        if confirm == "disk" and (info.get("aof_enabled") != "1" or not accepted(replies[2])[0]):
            raise Rejected('confirm="disk" needs a server with WAITAOF (Redis 7.2, Valkey) and appendonly yes. Nothing was sent')
        if confirm == "replica" and info.get("connected_slaves", "0") == "0":
            raise Rejected('confirm="replica" needs a replica, and none is connected. Nothing was sent')

    return Operation(sections, read, confirming=len(sections) - 1, at=at)


def depth_of(lists: Iterable[str]) -> Operation[int]:
    """How many jobs are ready at normal priority in these lists together."""
    commands = tuple(("LLEN", keys_of(name).queue) for name in lists)
    return Operation(commands, lambda replies: sum(int(accepted(reply)) for reply in replies))


def lists() -> Operation[list[str]]:
    """The names of all lists that a worker has ever worked: queues, and partitions of queues."""
    return Operation((("SMEMBERS", keys.QUEUES),), lambda replies: sorted(name.decode() for name in accepted(replies[0])), patient=False)


def queues() -> Operation[list[str]]:
    """The names of all queues that a worker has ever worked."""
    known = lists()
    return Operation(known.commands, lambda replies: sorted({keys.base_of(name) for name in known.read(replies)}))


def lists_of(queue: str) -> Operation[list[str]]:
    """The lists of a queue: its plain one, and the partitions that a worker has ever worked."""
    known = lists()
    return Operation(known.commands, lambda replies: keys.lists_of(queue, known.read(replies)))


def worker_ids(fields: Iterable[bytes]) -> list[str]:
    """The workers in the registry of a queue. Whatever else stands there (`@paused`, or what somebody put there) is none."""
    return [field.decode() for field in fields if field.isascii() and not field.startswith(b"@")]


def is_paused(fields: Iterable[bytes]) -> bool:
    """Whether the registry of a queue says that it hands out nothing."""
    return b"@paused" in fields


def fetch_result(job_id: str) -> Command:
    """Reads a result hash; under tracking, also subscribes to its appearance."""
    return ("HGETALL", keys.result(job_id))


def read_result(job_id: str) -> Operation[dict[bytes, bytes]]:
    """The result hash, empty when there is none (yet)."""
    return Operation((fetch_result(job_id),), _only)


def watch_result(job_id: str) -> Operation[dict[bytes, bytes]]:
    """The result hash; a missing one announces itself on this connection."""
    return Operation((TRACKING_ON, fetch_result(job_id)), lambda replies: _hash(accepted(replies[1])))


def key_of_result(job_id: str) -> str:
    """The key of a result hash."""
    return keys.result(job_id)


def job_of(key: bytes) -> str:
    """The job whose result hash that is."""
    return keys.job_of_result(key.decode())


def server_info() -> Operation[dict[str, str]]:
    """What the server says of itself."""
    return Operation((INFO,), lambda replies: dict(fields_of_info(accepted(replies[0]))))


def memory_info() -> Operation[dict[str, str]]:
    """How full the server is, and what it does when it is."""
    return Operation((("INFO", "memory"),), lambda replies: dict(fields_of_info(accepted(replies[0]))))


def seconds_of(reply: list[bytes]) -> float:
    """The server's clock out of the answer to TIME."""
    return int(reply[0]) + int(reply[1]) / 1e6


class Store:
    """The operations on one queue for callers and operators."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys = keys_of(name)
        on = self.keys
        self._enqueue = script.ENQUEUE.on(queue=on.queue, first=on.first, scheduled=on.scheduled, tags=on.tags, unique=on.unique("-"))

    def enqueue(self, jobs: Sequence[tuple[str, bytes, str, str]], confirm: Confirm = "memory") -> Operation[None]:
        """Puts (job id, body, due, key) in, in their order; due is '' for now, '+n' for in n ms, else server ms. One write for all of them,
        the wait for a confirmation included: it answers for the connection that wrote. Around it the server says whose history it writes: one
        that is deposed and chosen again while we wait counts as confirmed what came after."""
        commands: list[Command] = []
        sizes: list[int] = []
        ready: list[bytes] = []
        for job_id, body, due, *_ in jobs:
            if (due or len(ready) == CHUNK) and ready:
                commands.append(("LPUSH", self.keys.queue, *ready))
                sizes.append(len(ready))
                ready.clear()
            if due:
                commands.append(self._enqueue(body=body, job_id=job_id, due=due, priority="", unique_ttl=""))
                sizes.append(1)
            else:
                ready.append(body)
        if ready:
            commands.append(("LPUSH", self.keys.queue, *ready))
            sizes.append(len(ready))
        if confirm == "memory":
            return Operation(tuple(commands), lambda replies: _all_in(replies, sizes), partial(Unconfirmed, jobs[0][0]))

        def read(replies: list[Any]) -> None:
            before, *written, copies, after = replies
            _all_in(written, sizes)
            _copied(copies, confirm, jobs[0][0])
            _of_one_history(before, after, confirm, jobs[0][0])

        commands = [REPLICATION, *commands, *_CONFIRM[confirm], REPLICATION]
        return Operation(tuple(commands), read, partial(Unconfirmed, jobs[0][0]), confirming=2, at=self.keys.queue, opening=1)

    def depth(self) -> Operation[int]:
        """How many jobs are ready at normal priority: LLEN of the public list."""
        return depth_of((self.name,))

    def known(self) -> Operation[bool]:
        """Whether a worker has ever worked this queue."""
        return Operation((("SISMEMBER", keys.QUEUES, self.name),), lambda replies: bool(accepted(replies[0])))

    def overview(self) -> Operation[list[Any]]:
        """Depth, workers, scheduled, dead, refused, the oldest ready body, the server's clock."""
        on = self.keys
        commands: tuple[Command, ...] = (
            ("LLEN", on.queue),
            ("HKEYS", on.workers),
            ("ZCARD", on.scheduled),
            ("XLEN", on.dead),
            ("XLEN", on.refused),
            ("LINDEX", on.queue, -1),
            TIME,
        )
        return Operation(commands, lambda replies: [accepted(reply) for reply in replies])

    def activity(self, workers: list[str], minute: int) -> Operation[tuple[int, list[int]]]:
        """How many jobs those workers hold; what was finished in that minute and the one before."""
        leases = [("HLEN", self.keys.leases(worker)) for worker in workers]
        minutes = [("HMGET", self.keys.counts(each), "completed", "failed") for each in (minute, minute - 1)]

        def read(replies: list[Any]) -> tuple[int, list[int]]:
            held = sum(int(accepted(reply)) for reply in replies[: len(workers)])
            return held, [sum(int(count or 0) for count in accepted(reply)) for reply in replies[len(workers) :]]

        return Operation((*leases, *minutes), read)

    def letters(self, stream: str, before: str, limit: int) -> Operation[list[tuple[bytes, dict[bytes, bytes]]]]:
        """Dead letters of a stream ('dead' or 'refused'), newest first, from the id `before` ('+' = the newest) downwards."""
        command: Command = ("XREVRANGE", self._stream(stream), before, "-", "COUNT", limit)
        return Operation((command,), lambda replies: [(entry, dict(_pairs(fields))) for entry, fields in accepted(replies[0])])

    def requeue(self, stream: str, entry: str, body: bytes, job_id: str, *, spread: bool = False) -> Operation[bool]:
        """Puts a dead letter back, once: deletes its old result and the letter. False when it was gone. `spread`: the result may be on another
        server, and is deleted there before."""
        letters, result = self._stream(stream), keys.result(job_id)
        call = script.REQUEUE.on(letters=letters, queue=self.keys.queue, result=result if job_id and not spread else letters)
        before = (script.FORGET.on(result=result)(),) if job_id and spread else ()
        return Operation((*before, call(body=body, id=entry)), lambda replies: bool([accepted(reply) for reply in replies][-1]), _unknown)

    def purge(self, stream: str, entries: list[str]) -> Operation[int]:
        """Deletes dead letters; how many there were."""
        return Operation((("XDEL", self._stream(stream), *entries),), lambda replies: int(accepted(replies[0])), _unknown)

    def step_done(self, job_id: str, step: str) -> Operation[bool]:
        """Whether a job has noted that a step of it is done."""
        return Operation((("SISMEMBER", self.keys.once(job_id), step),), lambda replies: bool(accepted(replies[0])))

    def note_step(self, job_id: str, step: str) -> Operation[None]:
        """Notes that a step of a job is done. To note it twice is to note it once, so a lost note is sent again."""
        key = self.keys.once(job_id)
        return Operation((("SADD", key, step), ("EXPIRE", key, STEPS_TTL)), lambda replies: accepted(replies[0]) and None)

    def clear(self) -> Operation[int]:
        """Empties the queue and what stands before it, not what is scheduled; how many jobs that were."""
        on = self.keys
        lengths: tuple[Command, ...] = (("LLEN", on.queue), ("LLEN", on.first))
        deletes: tuple[Command, ...] = (("DEL", on.queue), ("DEL", on.first))
        return Operation((*lengths, *deletes), lambda replies: sum(int(accepted(reply)) for reply in replies[:2]), _unknown)

    def pause(self) -> Operation[bool]:
        """From now on no worker gets a job of this queue; False when it was so before. To pause twice is to pause once, so a lost one is sent
        again."""
        return Operation((script.PAUSE.on(workers=self.keys.workers)(),), lambda replies: bool(accepted(replies[0])))

    def resume(self) -> Operation[bool]:
        """Workers get jobs of this queue again; False when it was not paused."""
        call = script.RESUME.on(workers=self.keys.workers, first=self.keys.first, queue=self.keys.queue)
        return Operation((call(),), lambda replies: bool(accepted(replies[0])))

    def _stream(self, stream: str) -> str:
        return {"dead": self.keys.dead, "refused": self.keys.refused}[stream]


def _unknown(why: str) -> Unconfirmed:
    """What deletes is not sent again: what came in between would be gone too, and the count would be a lie."""
    return Unconfirmed("", why)


def _only(replies: list[Any]) -> dict[bytes, bytes]:
    return _hash(accepted(replies[0]))


def _hash(reply: Any) -> dict[bytes, bytes]:
    return reply if isinstance(reply, dict) else dict(_pairs(reply))


def _pairs(flat: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def fields_of_info(text: bytes) -> Iterable[tuple[str, str]]:
    """What INFO says, name and value each."""
    for line in text.decode(errors="replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name, value


def _copied(reply: Any, confirm: Confirm, job_id: str) -> None:
    """Raises Unconfirmed unless one copy more than the memory of this server has the jobs."""
    if isinstance(reply, Exception) or (reply[0] if isinstance(reply, list) else reply) < 1:
        raise Unconfirmed(job_id, f'it is in memory, but confirm="{confirm}" was not answered in time ({reply!r})')


def _of_one_history(before: Any, after: Any, confirm: Confirm, job_id: str) -> None:
    """Raises Unconfirmed where another server has been the primary meanwhile: what it never had is gone, whatever was counted. (A server that
    gets its first replica begins a new history too.)"""
    ids = [dict(fields_of_info(reply)).get("master_replid") for reply in (before, after) if isinstance(reply, bytes)]
    if len(ids) < 2 or ids[0] != ids[1]:
        raise Unconfirmed(job_id, f'the server became another one while confirm="{confirm}" was waited for, or its history did')


def _all_in(replies: list[Any], sizes: list[int]) -> None:
    """Raises Rejected unless every command was accepted, and says how many jobs were."""
    refusal = next((reply for reply in replies if isinstance(reply, Exception)), None)
    if refusal is not None:
        inside = sum(size for reply, size in zip(replies, sizes, strict=True) if not isinstance(reply, Exception))
        kept = f"{inside:,} of {sum(sizes):,} jobs were accepted" if inside else "nothing was kept there"
        raise Rejected(f"the server refused: {refusal}; {kept}")
