"""What a worker says on stderr: log lines as text or JSON, and on a terminal a status line below them and what tasks print.

One event is one line, whoever's data is in it. Only a traceback in text follows on lines of its own, indented, so that none can be forged.
"""

import io
import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

import msgspec

from chute.cli import records
from chute.outcome import cut

CLEAR = "\r\x1b[2K"


class Text(logging.Formatter):
    """10:30:00 WARNING job ... : one event, one line; control characters of anybody's data are escaped. In brackets, the job that logs."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        job = {} if _ours(record) else records.job_of(record)  # our own lines name their job in words
        named = f" [{' '.join(f'{name}={_said(value)}' for name, value in job.items())}]" if job else ""
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = _fitted(record, lambda message: one_line(f"{at} {record.levelname}{named} {message}"))
        more = [part for part in (_trace(self, record), record.stack_info) if part]
        return "\n".join([line, *(f"  {one_line(each)}" for part in more for each in part.splitlines())])


class Json(logging.Formatter):
    """One JSON object a line. `extra=` of the caller stands beside our own fields, as far as it is JSON and takes none of their names."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        head = {"at": at, "level": record.levelname.lower(), "logger": _writable(record.name)}
        job = records.job_of(record)
        if _ours(record) and "task" in job:
            job["task"] = cut(job["task"], LONGEST_NAME)
        given = job | {name: value for name, value in records.extra_of(record).items() if name not in _TAKEN}
        more = {name: value for name, value in given.items() if _is_json(name, value)}
        whole = {"exception": _trace(self, record), "stack": _writable(record.stack_info or "")}
        line = _fitted(record, lambda message: _object(head | {"message": message} | more))
        whole = {name: text for name, text in whole.items() if text}
        return f"{line[:-1]},{_object(whole)[1:]}" if whole else line


LONGEST = 2000
"""Bytes of a line of ours at most, whoever's data it tells; a traceback comes besides."""
LONGEST_NAME = 40
"""Bytes of the name of a task in it: one that is longer is none of ours, and each may be written as six."""
LEAST = 100
_TAKEN = {"at", "level", "logger", "message", "exception", "stack"}


def one_line(text: str) -> str:
    """The text with every character escaped that could end the line or steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _object(fields: dict[str, Any]) -> str:
    """One line of JSON without anything that steers a terminal."""
    line = msgspec.json.encode(fields).decode()
    return line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _fitted(record: logging.LogRecord, line: Callable[[str], str]) -> str:
    """The line with the message; of ours, as much of it as there is room for: a character that is escaped takes that of six or more."""
    message = _message(record)
    while _ours(record) and len(message) > LEAST and len(line(message).encode()) > LONGEST:
        message = cut(message, max(LEAST, len(message.encode()) * 3 // 4))
    return line(message)


def _ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "chute"


def _message(record: logging.LogRecord) -> str:
    """What the record says. A mistake in a log call costs its line, not the job."""
    try:
        return _writable(record.getMessage())
    except Exception as error:
        return f"a log line cannot be written: {type(error).__name__} at {record.filename}:{record.lineno}"


def _trace(form: logging.Formatter, record: logging.LogRecord) -> str:
    return _writable(form.formatException(record.exc_info)) if record.exc_info else ""


def _said(value: object) -> str:
    """What a caller gave as the id or the task of a job, whatever that is."""
    try:
        return str(value)
    except Exception as error:
        return f"({type(error).__name__})"


def _writable(text: str) -> str:
    """The text without lone surrogates, which nothing can write."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_json(name: str, value: object) -> bool:
    try:
        msgspec.json.encode({name: value})
    except Exception:  # whatever it is, it is no JSON
        return False
    return True


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


class Guest(logging.Handler):
    """On the root logger, where the user's code put no handler: shows on the screen what no other handler takes."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line, unless a handler of theirs has it."""
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger:
            if any(not isinstance(each, logging.NullHandler | Guest) for each in logger.handlers):
                return
            logger = logger.parent if logger.propagate else None
        self._screen.handle(record)


def take_up(screen: Screen) -> None:
    """Before the user's code is imported: records know their job, and what is logged meanwhile without a handler comes to the screen."""
    logging.lastResort = screen
    records.install()


def settle(screen: Screen, level: str) -> None:
    """Once the user's code is imported: what it logs comes to the screen, from `level` on, as far as it has not been told to go elsewhere.
    Whatever `logging` was told there, records know their job and Chute is heard."""
    records.install()
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(Guest(screen))
        if root.level == logging.WARNING:
            root.setLevel(level.upper())
    for name, each in logging.root.manager.loggerDict.items():
        if name.partition(".")[0] == "chute" and isinstance(each, logging.Logger):
            each.disabled = False  # dictConfig disables what is there already, unless told otherwise
