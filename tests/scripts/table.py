"""State tables: the whole database as one value that a test writes down, before and after.

Text stands for bytes (UTF-8, and surrogate escapes for what is none), so any body can be written and compared. Knows types, not meanings:
what a key is for is the business of the test that names it.
"""

from dataclasses import dataclass
from typing import Any

import redis

from chute import script
from chute.keys import keys_of
from servers import send

Fields = dict[str, str]


@dataclass(frozen=True)
class Expiring:
    """The value of a key with a TTL."""

    value: Any


class Scored(dict[str, float]):
    """A sorted set: member to score."""


State = dict[str, Any]
"""Key to value: a str, list (left to right), `Fields` of a hash, `Scored`, set, or list of `Fields` of a stream; `Expiring` around it."""

KEYS = keys_of("jobs")
QUEUE, FIRST, WORKERS, TAGS = KEYS.queue, KEYS.first, KEYS.workers, KEYS.tags
SCHEDULED, DEAD, REFUSED = KEYS.scheduled, KEYS.dead, KEYS.refused
LEASES, INFO = KEYS.leases("w"), KEYS.info("w")


def text(reply: Any) -> Any:
    """A reply with every byte string in it as text."""
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "surrogateescape")
    if isinstance(reply, (list, tuple)):
        return [text(part) for part in reply]
    if isinstance(reply, set):
        return {text(part) for part in reply}
    if isinstance(reply, dict):
        return {text(name): text(part) for name, part in reply.items()}
    return reply


def raw(value: str) -> bytes:
    """The bytes that the text stands for."""
    return value.encode("utf-8", "surrogateescape")


class Table:
    """One server that knows the scripts, seen as a state."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        for command in script.LOAD:
            self.call(command)

    def call(self, command: script.Command) -> Any:
        """The reply to a command, as text. An error is raised."""
        return text(send(self.client, *[raw(word) if isinstance(word, str) else word for word in command]))

    def now(self) -> int:
        """The server's clock in ms."""
        seconds, micros = self.client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def fill_memory(self) -> None:
        """From now on the server is above its maxmemory."""
        self.client.config_set("maxmemory", "1")

    def given(self, state: State) -> State:
        """Makes the server's state this one; returns it."""
        self.client.flushdb()
        for key, value in state.items():
            inner = value.value if isinstance(value, Expiring) else value
            for command in _writes(key, inner):
                self.call(command)
            if isinstance(value, Expiring):
                self.client.expire(key, 600)
        return state

    def state(self) -> State:
        """Every key on the server with its value."""
        return {name: self._read(name) for name in sorted(text(self.client.keys()))}

    def letter(self, stream: str) -> str:
        """The id of the oldest entry of a stream."""
        return str(self.call(("XRANGE", stream, "-", "+"))[0][0])

    def _read(self, key: str) -> Any:
        kind = self.call(("TYPE", key))
        value = _READERS[kind](self.call((*_READS[kind][:1], key, *_READS[kind][1:])))
        return Expiring(value) if self.client.ttl(key) >= 0 else value


def _writes(key: str, value: Any) -> list[script.Command]:
    if isinstance(value, str):
        return [("SET", key, value)]
    if isinstance(value, Scored):
        return [("ZADD", key, str(score), member) for member, score in value.items()]
    if isinstance(value, dict):
        return [("HSET", key, *_flat(value))]
    if isinstance(value, set):
        return [("SADD", key, *value)]
    if isinstance(value[0], dict):
        return [("XADD", key, "*", *_flat(entry)) for entry in value]
    return [("RPUSH", key, *value)]


def _flat(fields: Fields) -> list[str]:
    return [word for pair in fields.items() for word in pair]


_READS: dict[str, tuple[str, ...]] = {
    "string": ("GET",),
    "list": ("LRANGE", "0", "-1"),
    "hash": ("HGETALL",),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
    "stream": ("XRANGE", "-", "+"),
}
_READERS: dict[str, Any] = {
    "string": str,
    "list": list,
    "hash": dict,
    "set": set,
    "zset": Scored,
    "stream": lambda entries: [dict(zip(words[::2], words[1::2], strict=True)) for _, words in entries],
}
