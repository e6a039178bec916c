"""The state machine on the server: loads `scripts/*.lua` and binds their KEYS and ARGV by name. Builds commands, sends nothing.

Each file opens with a head that names its keys and arguments; `...` at the end of a line means that more follow. Scripts are addressed by
their content (SHA-1), so two releases can share a server.
"""

import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files

import hiredis

Command = tuple[str | bytes | int, ...]
"""One command to the server, its name first."""

_HEAD = re.compile(r"^-- (KEYS|ARGV):(.*)$", re.MULTILINE)


def packed(commands: Iterable[Command]) -> list[bytes]:
    """The commands as they are sent."""
    return [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]


_KEYLESS = frozenset(("CLIENT", "COMMAND", "INFO", "PING", "SCAN", "SCRIPT", "TIME", "WAIT", "WAITAOF"))


def key_of(command: Command) -> str | bytes | None:
    """The first key that a command names, which decides where it belongs; None where it names none."""
    if command[0] in _KEYLESS:
        return None
    key = command[3] if command[0] == "EVALSHA" else command[1]
    if not isinstance(key, str | bytes):
        raise TypeError(f"the command {command[0]!r} names {key!r} as its key")
    return key


class Script:
    """One script: its source, its address, and the names of what it takes."""

    def __init__(self, name: str, source: str) -> None:
        head = {kind: [word.strip() for word in names.split(",") if word.strip()] for kind, names in _HEAD.findall(source)}
        self.name = name
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        self.more = head["KEYS"][-1] == "..."
        self.keys = tuple(word for word in head["KEYS"] if word != "...")
        self.args = tuple(word for word in head.get("ARGV", ()) if word != "...")

    def on(self, **keys: str) -> "Call":
        """The script with its keys: `CLAIM.on(first=..., queue=..., ...)`."""
        if set(keys) != set(self.keys):
            raise TypeError(f"script {self.name} takes the keys {', '.join(self.keys)}, not {', '.join(keys)}")
        return Call(self, tuple(keys[name] for name in self.keys))


class Call:
    """A script with its keys; called with its arguments, it is a command."""

    def __init__(self, script: Script, keys: tuple[str, ...]) -> None:
        self.script = script
        self._keys = keys
        self._head: Command = ("EVALSHA", script.sha, len(keys), *keys)

    def __call__(self, *more: str | bytes | int, **args: str | bytes | int) -> Command:
        """`more` is what follows the named arguments where the head ends in `...`."""
        return (*self._head, *[args[name] for name in self.script.args], *more)

    def each(self, keys: list[str], records: list[bytes]) -> Command:
        """The command for a script that takes one more key for each record."""
        return ("EVALSHA", self.script.sha, len(self._keys) + len(keys), *self._keys, *keys, *records)


def _load(name: str) -> Script:
    return Script(name, files("chute").joinpath("scripts", f"{name}.lua").read_text("utf-8"))


ADOPT = _load("adopt")
BEAT = _load("beat")
BROWSE = _load("browse")
CLAIM = _load("claim")
CLOSE = _load("close")
COUNT = _load("count")
ENQUEUE = _load("enqueue")
FINISH = _load("finish")
FORGET = _load("forget")
INFORM = _load("inform")
OBSERVE = _load("observe")
PAUSE = _load("pause")
PROMOTE = _load("promote")
RECLAIM = _load("reclaim")
REGISTER = _load("register")
REQUEUE = _load("requeue")
RESUME = _load("resume")
STORE = _load("store")

SCRIPTS = (
    ADOPT,
    BEAT,
    BROWSE,
    CLAIM,
    CLOSE,
    COUNT,
    ENQUEUE,
    FINISH,
    FORGET,
    INFORM,
    OBSERVE,
    PAUSE,
    PROMOTE,
    RECLAIM,
    REGISTER,
    REQUEUE,
    RESUME,
    STORE,
)
LOAD: tuple[Command, ...] = tuple(("SCRIPT", "LOAD", script.source) for script in SCRIPTS)
"""The commands that make every script known to a server."""
