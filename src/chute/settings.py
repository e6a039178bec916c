"""The environment, read in this one place and nowhere else.

Everything is read when it is asked for, never at import: a program may set its environment after it has imported us.
"""

import os
import re
from pathlib import Path

_HARMLESS = re.compile("(PATH|HOME|LANG|TZ|TMPDIR)$|(LC|LD|DYLD)_")


def server_url() -> tuple[str, str] | None:
    """The server that the environment names, and the variable that named it."""
    for name in ("CHUTE_URL", "REDIS_URL"):
        if url := os.environ.get(name):
            return url, name
    return None


def bare() -> dict[str, str]:
    """What a process needs of the environment that outlives us and is anybody's: nothing that may be a secret."""
    return {name: value for name, value in os.environ.items() if _HARMLESS.match(name)}


def home() -> Path:
    """Where the embedded server keeps its socket, data, log and lock: `CHUTE_HOME`, else the XDG state directory."""
    if chosen := os.environ.get("CHUTE_HOME"):
        return Path(chosen).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser().absolute() / "chute"


def beat_every() -> float:
    """Seconds between two beats of a worker. `CHUTE_BEAT` shortens it in tests."""
    return float(os.environ.get("CHUTE_BEAT") or 5)


def dead_after() -> float:
    """Seconds without progress after which a worker counts as dead. `CHUTE_DEAD_AFTER` shortens it in tests."""
    return float(os.environ.get("CHUTE_DEAD_AFTER") or 30)
