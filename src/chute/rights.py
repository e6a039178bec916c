"""What each kind of user needs on the server: commands, and the keys that each of them is sent with. Pure.

The one truth of it: `tools/rights.py` writes the access lists of `deploy/` and the tables of the documentation from here, `chute doctor` asks a
server for it, and `tests/deploy/test_needs.py` compares it with what is really sent, inside of scripts too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chute.keys import QUEUES, keys_of, result
from chute.script import SCRIPTS, Command

KINDS = "queue first leases info workers tags scheduled dead refused unique once counts result queues"
"""Every kind of key; in what is needed, `+` between two stands for a command that takes both."""
YOUNGER = ("client|setinfo", "waitaof")
"""What Redis 7.0 does not know yet. It is used where it is there."""
_CONNECT = {"ping": "", "client|setinfo": ""}
_SCRIPTS = {"evalsha": "", "script|load": ""}
_TRACK = {"client|tracking": ""}
_RESULTS = {"hgetall": "result", **_TRACK}
_CONFIRM = {"info": "", "command|info": "", "wait": "", "waitaof": "", "llen": "queue"}
_OPTIONS = {
    "lpush": "queue first", "rpush": "queue", "llen": "queue", "zadd": "scheduled", "incr": "tags", "get": "unique", "set": "unique", "time": "",
}  # fmt: skip
_SEND = {**_CONNECT, **_SCRIPTS, **_CONFIRM, **_OPTIONS, "sismember": "queues"}
_LOOK = {
    **_CONNECT, **_SCRIPTS, "smembers": "queues", "info": "", "time": "", "llen": "queue first", "lindex": "queue first", "lrange": "queue first",
    "hkeys": "workers", "hgetall": "workers result", "hlen": "leases", "hscan": "leases", "hexists": "leases", "hmget": "counts", "get": "info tags",
    "zcard": "scheduled", "zrange": "scheduled", "xlen": "dead refused", "xrevrange": "dead refused", "client|tracking": "",
}  # fmt: skip
_OPERATE = {
    "scan": "", "sismember": "queues", "del": "queue first result", "exists": "first", "hget": "result", "hsetnx": "workers", "hdel": "workers",
    "lmove": "first+queue", "lpush": "queue", "xdel": "dead refused", "xrange": "dead refused",
}  # fmt: skip
_WORK = {
    "client|id": "", "client|unblock": "", "time": "", "blmove": "queue+first", "lmove": "first+queue", "lpush": "queue", "rpush": "queue",
    "llen": "queue", "lrange": "queue first", "ltrim": "queue first", "exists": "first leases", "del": "info result", "expire": "result once counts",
    "hdel": "leases workers", "hexists": "leases", "hget": "leases workers", "hgetall": "workers", "hincrby": "workers counts", "hkeys": "leases",
    "hlen": "leases", "hmget": "leases workers result", "hset": "leases workers result", "hsetnx": "workers", "incr": "tags", "incrby": "tags",
    "sadd": "queues once", "sismember": "once", "set": "info", "xadd": "dead refused", "xtrim": "dead", "zadd": "scheduled", "zrange": "scheduled",
    "zrangebyscore": "scheduled", "zrem": "scheduled",
}  # fmt: skip


def _joined(*parts: Mapping[str, str]) -> dict[str, str]:
    """All of them: of a command that several have, the keys of each."""
    names = {name: None for part in parts for name in part}
    return {name: " ".join(dict.fromkeys(" ".join(part.get(name, "") for part in parts).split())) for name in names}


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of user. `does`: what it is for; `needs`: each command, and the kinds of keys it is sent with; `scripts`: those it runs."""

    name: str
    does: str
    needs: Mapping[str, str]
    scripts: tuple[str, ...] = ()


_PUTS, _LOOKS = ("enqueue",), ("browse", "observe")
_WORKS = ("adopt", "beat", "claim", "close", "count", "enqueue", "finish", "inform", "promote", "reclaim", "register", "store")
ROLES = (
    Role("pusher", "puts jobs in with plain LPUSH", {**_CONNECT, "lpush": "queue"}),
    Role("sender", "puts jobs in with every option, and reads no results", _SEND, _PUTS),
    Role("producer", "puts jobs in with every option, and reads their results", _joined(_SEND, _RESULTS), _PUTS),
    Role("worker", "runs jobs, and puts in what they put in", _joined(_WORK, _SEND, _RESULTS), _WORKS),
    Role(
        "observer",
        "looks, and changes nothing: `metrics`, `stats`, `ps`, `top`, `doctor`",
        _LOOK,
        _LOOKS,
    ),
    Role(
        "operator",
        "looks, and does what people do: requeue, purge, clear, pause, resume",
        _joined(_LOOK, _OPERATE),
        (*_LOOKS, "forget", "pause", "requeue", "resume"),
    ),
)
"""The kinds of users, each with a user in `deploy/acl/users.acl`."""


@dataclass(frozen=True, slots=True)
class Need:
    """One command with one key, or with two that it takes together; "" = it takes none."""

    command: str
    kinds: str = ""

    def __str__(self) -> str:
        return f"{self.command} on {self.kinds.replace('+', ' and ')}" if self.kinds else self.command


def needs(role: Role) -> Iterator[Need]:
    """What a role needs, one by one."""
    for command, kinds in role.needs.items():
        yield from (Need(command, kind) for kind in kinds.split() or [""])


_ALIKE = {"list": ("queue", "first"), "letters": ("dead", "refused")}
_MORE = {"finish": ("result",), "observe": ("leases",)}
_SCRIPTS_BY_NAME = {script.name: script for script in SCRIPTS}


def given(name: str) -> tuple[str, ...]:
    """The kinds of keys that are given to a script: each must be free to read and to write, whatever becomes of it."""
    kinds = [kind for key in _SCRIPTS_BY_NAME[name].keys for kind in _ALIKE.get(key, (key,))]
    return (*kinds, *_MORE.get(name, ()))


def calling(name: str, queue: str) -> Command:
    """A call of a script with all the kinds of keys that it may be given. It is asked for, never run."""
    keys = [key_like(kind, queue) for kind in given(name)]
    return ("evalsha", _SCRIPTS_BY_NAME[name].sha, len(keys), *keys)


def within(role: Role, other: Role) -> bool:
    """Whether the other may do all that this one may, and more."""
    return set(needs(role)) < set(needs(other))


def own(role: Role) -> set[Need]:
    """What of it no other kind of user needs, but those that need all of it; where that is nothing, what it needs beyond those that it includes."""
    mine = set(needs(role))
    others = [other for other in ROLES if other is not role and not within(role, other)]
    return mine.difference(*map(needs, others)) or mine.difference(*[needs(other) for other in others if within(other, role)])


_REST = {
    "client|setinfo": "lib-name chute", "client|tracking": "on", "client|unblock": "1", "command|info": "wait", "evalsha": f"{'0' * 40} 0",
    "script|load": "return", "wait": "1 1", "waitaof": "1 0 1", "scan": "0", "hscan": "0", "blmove": "right left 1", "lmove": "left right",
    "lpush": "x", "rpush": "x", "lrange": "0 1", "ltrim": "0 1", "lindex": "0", "expire": "1", "set": "x", "incrby": "1", "hdel": "x", "hexists": "x",
    "hget": "x", "hincrby": "x 1", "hmget": "x", "hset": "x x", "hsetnx": "x x", "sadd": "x", "sismember": "x", "xadd": "* x x", "xdel": "1-1",
    "xrange": "- +", "xrevrange": "+ -", "xtrim": "maxlen 1", "zadd": "1 x", "zrange": "0 1", "zrangebyscore": "0 1", "zrem": "x",
}  # fmt: skip
"""What follows the keys of a command. It must be whole: a server that is asked about a command with too few words may end by it."""


def sample(need: Need, queue: str) -> Command:
    """The command of a need, whole, with keys of this queue. It is asked for, never run."""
    keys = [key_like(kind, queue) for kind in need.kinds.split("+") if kind]
    return (*need.command.split("|"), *keys, *_REST.get(need.command, "").split())


def key_like(kind: str, queue: str) -> str:
    """A key of that kind, of this queue."""
    on, nobody = keys_of(queue), "0" * 32
    named = {
        "leases": on.leases(nobody), "info": on.info(nobody), "unique": on.unique("-"), "once": on.once("-"), "counts": on.counts(0),
        "result": result("-"), "queues": QUEUES,
    }  # fmt: skip
    return named[kind] if kind in named else str(getattr(on, kind))
