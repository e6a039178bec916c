"""Keys of a terminal one by one, unseen; whatever happens, the terminal is afterwards as it was."""

import contextlib
import os
import re
import select
from types import TracebackType
from typing import Self

try:
    import termios
    import tty
except ImportError:  # no terminal of this kind, as on Windows
    POSSIBLE = False
else:
    POSSIBLE = True

_KEYS = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.)?|.", re.DOTALL)
_NAMES = {"\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down", "\x1b": "escape"}
END = "q"
"""What a terminal that has gone is taken to say."""


class Keyboard:
    """The keys typed at a terminal, for the time of a with block."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        now = termios.tcgetattr(self._fd)
        now[6][termios.VSUSP] = b"\0"  # suspended, we would leave the shell a screen that is not its own
        termios.tcsetattr(self._fd, termios.TCSANOW, now)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, self._before)

    def read(self, seconds: float) -> list[str]:
        """The keys that were pressed, as soon as there are any, none when the time is up."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return []
        try:
            typed = os.read(self._fd, 1024)
        except OSError:
            typed = b""
        return keys(typed.decode(errors="replace")) if typed else [END]


def keys(typed: str) -> list[str]:
    """The names of keys: an arrow `up` or `down`, else the character; "" for keys that have no name here."""
    return [_NAMES.get(each, each if len(each) == 1 else "") for each in _KEYS.findall(typed)]
