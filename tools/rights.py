"""Writes the access lists of deploy/ and the tables of docs/permissions.md from `chute.rights`, what each kind of user needs. `make docs` runs it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from chute.rights import KINDS, ROLES, YOUNGER, Role, given, needs

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "permissions.md"
FULL = ROOT / "deploy" / "acl" / "users.acl"
OLDER = ROOT / "deploy" / "acl" / "users-redis-7.0.acl"
MANIFEST = ROOT / "deploy" / "kubernetes" / "base" / "users.acl"
IN_A_CLUSTER = ("worker", "observer", "producer", "operator", "scaler")
"""The users that the manifests have a password for."""
READS = {
    "exists", "get", "hexists", "hget", "hgetall", "hkeys", "hlen", "hmget", "hscan", "lindex", "llen", "lrange", "sismember", "smembers", "xlen",
    "xrange", "xrevrange", "zcard", "zrange", "zrangebyscore",
}  # fmt: skip
MOVES = {"blmove", "hincrby", "incr", "incrby", "lmove"}
"""What reads a key and writes it."""
FOREIGN = {"producer": ("hget", "hmget")}
"""What Chute itself does not send: programs in other languages read single fields of a result so. It shows nothing that HGETALL does not."""
DEFAULT = "user default on nopass resetkeys resetchannels -@all +ping"
SCALER = "user scaler on #scaler resetkeys resetchannels ~queue:* -@all +ping +client|setinfo +eval +type +llen"
HEAD = """\
# Written by tools/rights.py from src/chute/rights.py, which has what each kind of user is seen to need: change that.
# {what}
#
# Nobody has KEYS, FLUSHALL, CONFIG or ACL. What a script calls is checked as well, against who calls it; the keys that are given to one need to be
# free to read and to write. Whoever has +evalsha and +script|load may run Lua: keep the server up to date. A worker may read every job and result.

# Whoever gives no name: probes.
"""
APPLY = """Who may do what: docs/permissions.md. Put the SHA-256 of the password of each user in place of its #name, and leave out whom you do not need; a
# server does not start with a name there. {which}"""
OF_NEWER = "For Valkey, and Redis from 7.2 on; users-redis-7.0.acl is for Redis 7.0."
OF_OLDER = f"For Redis 7.0, which does not know {' and '.join(YOUNGER)}; users.acl is for all others."
OF_MANIFESTS = """Who may do what in Valkey. The init container of valkey.yaml takes the lines that begin with `user`, and puts the hash of the
# password `worker` of the Secret in place of #worker, and so on. The lines are those of deploy/acl/users.acl; for Redis 7.0 take those of
# deploy/acl/users-redis-7.0.acl."""


def access(role: Role) -> dict[str, str]:
    """Of each kind of key: "R" where it is only read, "W" where it is only written, "" for both."""
    open_to_scripts = {kind for name in role.scripts for kind in given(name)}
    ways: dict[str, set[str]] = {}
    for need in needs(role):
        for kind in filter(None, need.kinds.split("+")):
            way = {"R"} if need.command in READS else {"R", "W"} if need.command in MOVES else {"W"}
            ways.setdefault(kind, set()).update({"R", "W"} if kind in open_to_scripts else way)
    return {kind: "" if len(ways[kind]) == 2 else ways[kind].pop() for kind in KINDS.split() if kind in ways}


def pattern(kind: str) -> str:
    """The keys of that kind, of every queue."""
    return {"queue": "queue:*", "result": "result:*", "queues": "queues"}.get(kind, f"{kind}:{{queue:*")


def line(role: Role, without: Iterable[str] = ()) -> str:
    """The user of a role."""
    keys = [f"%{way}~{pattern(kind)}" if way else f"~{pattern(kind)}" for kind, way in access(role).items()]
    commands = [f"+{name}" for name in sorted({*role.needs, *FOREIGN.get(role.name, ())}) if name not in without]
    return " ".join(["user", role.name, "on", f"#{role.name}", "resetkeys", "resetchannels", *keys, "-@all", *commands])


def file(what: str, names: Iterable[str], without: Iterable[str] = ()) -> str:
    """An access list with these users."""
    parts = [f"# {role.does[0].upper()}{role.does[1:]}.\n{line(role, without)}\n" for role in ROLES if role.name in names]
    scaler = " ".join(word for word in SCALER.split() if word[1:] not in without)
    last = f"# KEDA, where it looks at the list itself: the component keda-list.\n{scaler}\n"
    return HEAD.format(what=what) + "\n".join([f"{DEFAULT}\n", *parts, last])


def files() -> dict[Path, str]:
    """Every access list."""
    every = [role.name for role in ROLES]
    return {
        FULL: file(APPLY.format(which=OF_NEWER), every),
        OLDER: file(APPLY.format(which=OF_OLDER), every, YOUNGER),
        MANIFEST: file(OF_MANIFESTS, IN_A_CLUSTER),
    }


def table_of_commands() -> Iterator[str]:
    """Which command is whose."""
    yield f"| command | {' | '.join(role.name for role in ROLES)} |"
    yield "| --- |" + " --- |" * len(ROLES)
    for name in sorted({name for role in ROLES for name in role.needs} | {name for names in FOREIGN.values() for name in names}):
        shown = name.upper().replace("|", " ")
        yield f"| `{shown}` | " + " | ".join("yes" if name in {*role.needs, *FOREIGN.get(role.name, ())} else "" for role in ROLES) + " |"


def table_of_keys() -> Iterator[str]:
    """Which keys are whose."""
    words = {"": "read, write", "R": "read", "W": "write"}
    yield f"| keys | {' | '.join(role.name for role in ROLES)} |"
    yield "| --- |" + " --- |" * len(ROLES)
    for kind in KINDS.split():
        ways = [access(role) for role in ROLES]
        yield f"| `{pattern(kind)}` | " + " | ".join(words[way[kind]] if kind in way else "" for way in ways) + " |"


def table_of_users() -> Iterator[str]:
    """What each is for."""
    yield "| user | what it does |\n| --- | --- |"
    yield from (f"| `{role.name}` | {role.does} |" for role in ROLES)


TABLES = {"users": table_of_users, "keys": table_of_keys, "commands": table_of_commands}


def page(text: str) -> str:
    """The page with its tables made anew."""
    for name, rows in TABLES.items():
        made = f"<!-- {name}: written by tools/rights.py -->\n\n" + "\n".join(rows()) + "\n\n<!-- end -->"
        text = re.sub(rf"<!-- {name}: written by .*?<!-- end -->", lambda _, made=made: made, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
    PAGE.write_text(page(PAGE.read_text()))
