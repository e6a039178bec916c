"""What a worker says on stderr: log lines as text or JSON, and on a terminal a status line below them."""

import logging
import sys
import time
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

    def __init__(self, form: str, stream: TextIO | None = None) -> None:
        super().__init__()
        self.stream = stream or sys.stderr
        self.setFormatter(Json() if form == "json" else Text())
        self.live = form != "json" and self.stream.isatty()
        self._status = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line. A closed or full stderr must not stop the work."""
        self._write(f"{CLEAR if self._status else ''}{self.format(record)}\n{self._status}")

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

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):
            pass


def start(level: str, form: str) -> Screen:
    """Sends the log of Chute to the screen. The root logger stays the user's."""
    screen = Screen(form)
    logger = logging.getLogger("chute")
    logger.setLevel(level.upper())
    logger.addHandler(screen)
    logger.propagate = False
    return screen
