"""What a worker says on stderr: log lines as text or JSON, and on a terminal a status line below them and what tasks print."""

import io
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

import msgspec

CLEAR = "\r\x1b[2K"


class Text(logging.Formatter):
    """10:30:00 WARNING job ... : one event, one line; control characters of anybody's data are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.levelname} {one_line(record.getMessage())}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        fields = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields).decode()


def one_line(text: str) -> str:
    """The text with every character escaped that could end the line or steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Screen(logging.Handler):
    """Writes log lines to stderr and keeps a status line under them, where that is a terminal."""

    def __init__(self, form: str, stream: TextIO | None = None, others: Callable[[], str] = str) -> None:
        super().__init__()
        self._others = others
        """The status line that another process keeps on this terminal."""
        self.stream = stream or sys.stderr
        self.setFormatter(Json() if form == "json" else Text())
        self.live = form != "json" and self.stream.isatty()
        self._status = ""
        self._prints: list[Print] = []

    def take_prints(self) -> None:
        """From now on what the user's code prints to this terminal comes out above the status line."""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if self.live and isinstance(stream, io.TextIOWrapper) and stream.isatty():
                self._prints.append(Print(stream, self.around))
                setattr(sys, name, self._prints[-1])

    def around(self) -> tuple[str, str]:
        """What to write before and after a line, so that the status stays the last one."""
        status = self._status or (self.live and self._others()) or ""
        return (CLEAR, status) if status else ("", "")

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line. A closed or full stderr must not stop the work."""
        before, after = self.around()
        self._write(f"{before}{self.format(record)}\n{after}")

    def status(self, text: str) -> None:
        """Shows what is going on now, in place of what was shown before."""
        if self.live:
            self._status = text
            self._write(f"{CLEAR}{text}")

    def done(self) -> None:
        """Takes the status line away."""
        if self._status:
            self._status = ""
            self._write(CLEAR)
        for each in self._prints:
            each.finish()

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):
            pass


class Print(io.TextIOWrapper):
    """A standard stream that is a terminal, while a status line is shown there: each thread's lines come out whole, once they have ended."""

    def __init__(self, stream: io.TextIOWrapper, around: Callable[[], tuple[str, str]]) -> None:
        super().__init__(stream.buffer, stream.encoding, stream.errors, write_through=True)
        self._around, self._lock = around, threading.RLock()
        self._begun: dict[int, str] = {}
        """The line without an end of each thread."""

    def write(self, text: str) -> int:
        """Takes the text; writes it up to its last end of a line, or all of it where no status line is shown."""
        me = threading.get_ident()
        with self._lock:
            before, after = self._around()
            given = self._begun.pop(me, "") + text
            whole, end, begun = given.rpartition("\n") if before else (given, "", "")
            if begun:
                self._begun[me] = begun
            if whole or end:
                super().write(f"{before}{whole}{end}{after}")
                self.flush()
        return len(text)

    def finish(self) -> None:
        """Writes what never got its end."""
        with self._lock:
            begun, self._begun = self._begun, {}
        for each in begun.values():
            self.write(f"{each}\n")


def start(level: str, form: str, others: Callable[[], str] = str) -> Screen:
    """Sends the log of Chute to the screen. The root logger stays the user's. `others`: the status line of another process."""
    screen = Screen(form, others=others)
    screen.take_prints()
    logger = logging.getLogger("chute")
    logger.setLevel(level.upper())
    logger.addHandler(screen)
    logger.propagate = False
    return screen
