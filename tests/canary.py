"""A password that is found wherever it is shown: raw, escaped, as a `repr`, shortened or in part. One search finds all of it."""

import contextlib
import gc
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

NEEDLE = "c4n4ry"
"""Stands between any two characters of the password that need escaping, so that each part of it is found as well."""
PASSWORD = NEEDLE.join(["", "/", "@", ":", "#", "?", "%", "&", "'", '"', "\\", "é", ""])
ESCAPED = quote(PASSWORD, safe="")
_LOGIN = re.compile(r"(?:[a-z+]+://)[^/?#@]*@")


def found(*texts: str | bytes) -> list[str]:
    """The lines that show it, or a part of it."""
    lines = [line for text in texts for line in (text if isinstance(text, str) else text.decode(errors="replace")).splitlines()]
    return [line[-300:] for line in lines if NEEDLE in line.lower()]


def found_below(folder: Path) -> list[str]:
    """The files in a folder that show it, and the lines."""
    shown = []
    for path in sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names):  # it passes over folders that have gone
        with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
            shown += [f"{path.name}: {line}" for line in (found(path.read_bytes()) if path.is_file() else ())]
    return shown


def found_in_processes(pids: Sequence[int], *, environment: bool = True) -> list[str]:
    """What the system tells of processes to who may look: their names and words, and to their user their environment."""
    shown = []
    for path in [Path(f"/proc/{pid}/{what}") for pid in pids for what in ("cmdline", "comm", *["environ"] * environment)]:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            shown += [f"{path}: {line}" for line in found(path.read_bytes().replace(b"\0", b"\n"))]
    return shown


def found_in_objects() -> list[str]:
    """The objects of Chute and of redis-py in this process that show it to who prints them."""
    ours = [each for each in gc.get_objects() if str(type(each).__module__).partition(".")[0] in ("chute", "redis")]
    shown = ((each, repr(each), "" if isinstance(each, str) else str(each)) for each in ours)
    return [f"{type(each).__qualname__}: {line}" for each, *texts in shown for line in found(*texts)]


def given(url: str) -> str:
    """A URL with the password in it, where it names none: a server that wants none takes any."""
    if _LOGIN.match(url) or "password=" in url:
        return url
    scheme, _, rest = url.partition("://")
    if scheme != "unix":
        return f"{scheme}://:{ESCAPED}@{rest}"
    return f"{url}{'&' if '?' in url else '?'}password={ESCAPED}"
