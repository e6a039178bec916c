"""The only door to the server, for `chute doctor`: what it asks beside the reads of others. Changes nothing: a right is asked for, not tried.

A reply may be a refusal: whoever reads these gets it as a value, since a doctor tells what may not be looked at.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from chute.keys import keys_of
from chute.operation import Operation
from chute.rights import Need, Role, calling, sample
from chute.script import Command
from chute.store import TIME, fields_of_info, is_paused, seconds_of, worker_ids

SETTINGS = (
    "appendfsync", "maxmemory-policy", "min-replicas-to-write", "proto-max-bulk-len", "save", "stop-writes-on-bgsave-error", "tcp-keepalive", "timeout",
)  # fmt: skip
_MAY = """#!lua flags=no-writes,allow-stale
-- Which of these commands the caller may send, keys included: each ARGV is one, as msgpack. Runs none of them.
local out = {}
for i, packed in ipairs(ARGV) do
  local known, may = pcall(redis.acl_check_cmd, unpack(cmsgpack.unpack(packed)))
  out[i] = known and (may and 1 or 0) or -1
end
return out
"""
_MAY_SHA = hashlib.sha1(_MAY.encode(), usedforsecurity=False).hexdigest()


def condition() -> Operation[list[Any]]:
    """The server's clock, what it says of itself, and its settings; unread."""
    return Operation((TIME, ("INFO",), ("CONFIG", "GET", *SETTINGS)), list, patient=False)


def info_of(reply: bytes) -> dict[str, str]:
    """What it says of itself."""
    return dict(fields_of_info(reply))


def time_of(reply: list[bytes]) -> float:
    """Its clock."""
    return seconds_of(reply)


def settings_of(reply: Any) -> dict[str, str]:
    """Its settings."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {name.decode(): value.decode(errors="replace") for name, value in pairs}


def may(needs: Sequence[Need], role: Role, queue: str) -> Operation[list[Any]]:
    """Whether the user may send these commands, and call the scripts of a role with their keys: 1, 0, or -1 where the server has no such command."""
    asked = [sample(need, queue) for need in needs] + [calling(name, queue) for name in role.scripts]
    commands: tuple[Command, ...] = (("SCRIPT", "LOAD", _MAY), ("EVALSHA", _MAY_SHA, 0, *map(_packed, asked)))
    return Operation(commands, list, patient=False)


def _packed(command: Command) -> bytes:
    return msgspec.msgpack.encode([str(word) for word in command])


@dataclass(frozen=True, slots=True)
class Seen:
    """One list of a queue at one moment. `overdue`: seconds since the soonest scheduled job was due; `workers`: id → beat; `wrong`: keys that are
    something else than they should be."""

    name: str
    ready: int
    scheduled: int
    letters: int
    overdue: float
    workers: dict[str, str]
    strangers: int
    paused: bool
    wrong: list[str]

    @property
    def registry(self) -> str:
        """The key of its registry of workers, for people."""
        return keys_of(self.name).workers


def contents(name: str) -> Operation[Seen]:
    """Everything that may be left over in one list of a queue. Raises PermissionError where the user may not look."""
    on = keys_of(name)
    commands: tuple[Command, ...] = (
        ("LLEN", on.queue), ("LLEN", on.first), ("ZCARD", on.scheduled), ("XLEN", on.dead), ("XLEN", on.refused), ("HGETALL", on.workers),
        ("ZRANGE", on.scheduled, 0, 0, "WITHSCORES"), TIME,
    )  # fmt: skip

    def read(replies: list[Any]) -> Seen:
        wrong = [str(command[1]) for command, reply in zip(commands, replies, strict=True) if str(reply).startswith("WRONGTYPE")]
        if any(isinstance(reply, Exception) and not str(reply).startswith("WRONGTYPE") for reply in replies):
            raise PermissionError(next(str(reply) for reply in replies if isinstance(reply, Exception)))
        queue, first, scheduled, dead, refused, fields, soonest, _ = [None if isinstance(each, Exception) else each for each in replies]
        fields = fields or {}
        ids = worker_ids(fields)
        workers = {each: fields[each.encode()].decode(errors="replace") for each in ids}
        known = {each: beat for each, beat in workers.items() if beat == "dead" or beat.isdigit()}
        overdue = max(0.0, seconds_of(replies[-1]) - _score(soonest) / 1000) if soonest else 0.0
        strangers = len(fields) - is_paused(fields) - len(known)
        ready, letters = (queue or 0) + (first or 0), (dead or 0) + (refused or 0)
        return Seen(name, ready, scheduled or 0, letters, overdue, known, strangers, is_paused(fields), list(dict.fromkeys(wrong)))

    return Operation(commands, read, patient=False)


def _score(soonest: list[Any]) -> float:
    first = soonest[0] if isinstance(soonest[0], list) else soonest
    return float(first[1])
