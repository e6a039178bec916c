"""What running a job came to, and the public format of a result: a value -> hash fields, hash fields -> a value. Pure.

A result hash is read by any program, so a dict's items become fields of their own; what is ours begins with `@`.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, ClassVar, TypeAlias

import msgspec

from chute.envelope import finite, nested_deeper
from chute.errors import ResultUnavailable

MAX_RESULT = 256 << 10
MAX_ERROR = 8 << 10
MAX_TRACEBACK = 32 << 10
MAX_FIELDS = 32
MAX_RESULT_DEPTH = 500
"""Levels that every reader's decoder can go down; some writers' go further."""
MAX_NAMES = 4096
_PLAIN = frozenset((dict, str, int, float, bool, list, type(None)))
"""What is JSON as it is."""
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_RESERVED = frozenset(("status", "completed_at", "error"))

_UNDONE = (CoroutineType, GeneratorType, AsyncGeneratorType)
_ADVICE = "Make it an `async def` that awaits it, or return list(...); a decorator above an `async def` must be one itself and await it"

Fields: TypeAlias = list[str | int]
"""field, value, field, value, ... of a hash."""


class Unstorable(Exception):
    """The value cannot be a result: too large, NaN, or nothing that JSON has."""


class Completed(msgspec.Struct):
    """The task returned. `fields` are those of its value; `error` says why it has none where it could not be stored.

    Almost every outcome is one, so it is a struct: made in a third of the time.
    """

    kind: ClassVar = "completed"
    fields: Fields
    error: str = ""


@dataclass(slots=True)
class Failed:
    """It will not run again by itself: a dead letter. `reason` is a public reason code."""

    kind: ClassVar = "failed"
    reason: str
    error: str
    traceback: str = ""


@dataclass(slots=True)
class Refused:
    """The entry is no job: a dead letter of the other kind. `reason` is a public reason code."""

    kind: ClassVar = "refused"
    reason: str
    error: str


@dataclass(slots=True)
class Again:
    """It runs once more in `delay` ms as `body`: a retry, or a snooze that counts for nothing."""

    kind: ClassVar = "again"
    delay: int
    body: str


@dataclass(slots=True)
class Released:
    """It was claimed and not started: back to the front, uncharged."""

    kind: ClassVar = "released"


Outcome: TypeAlias = Completed | Failed | Refused | Again | Released


def complete(value: Any, hook: Any = None) -> Completed:
    """The outcome of a task that returned `value`. A value that cannot be stored does not undo the run: the outcome says why. Raises TypeError for
    work that is still to be done: the task has not run."""
    try:
        return Completed(fields_of(value, hook))
    except Unstorable as error:
        if issubclass(type(value), _UNDONE):
            raise TypeError(f"the task returned {_an(type(value).__name__)}, of which nothing has run. {_ADVICE}") from None
        return Completed([], str(error))


def _an(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def fields_of(value: Any, hook: Any = None) -> Fields:
    """The hash fields of a value, or Unstorable."""
    try:
        kind = type(value)
        if kind not in _PLAIN and (is_dataclass(value) or isinstance(value, msgspec.Struct) or hasattr(value, "model_dump")):
            value = msgspec.to_builtins(value, enc_hook=hook)
        spread = _spread(value, hook) if type(value) is dict and 0 < len(value) <= MAX_FIELDS else None
        fields = ["@value", _json(value, hook)] if spread is None else spread
    except Unstorable:
        raise
    except BaseException as error:  # a model's own code may raise anything
        raise Unstorable(f"the result cannot be written as JSON: {_words(error)}"[:MAX_ERROR]) from None
    size = 0
    for field in fields:
        size += len(field) if field.isascii() else _length(field)
    _check_size(size)
    return fields  # type: ignore[return-value]


def _words(error: BaseException) -> str:
    """What it says. Its own code may raise here too, and the job must still come to an end."""
    try:
        return str(error)
    except BaseException:
        return "an error whose message cannot be read"


def value_of(fields: Mapping[bytes, bytes], returns: Any, hook: Any) -> Any:
    """The value of a completed result, as JSON gives it back, converted to the annotation `returns` where it can be. Raises ResultUnavailable
    for what no worker of ours has written."""
    try:
        value = _plain(fields)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:  # not written by a worker of ours
        raise ResultUnavailable(f"the result cannot be read: {error}. HGETALL shows what is there") from None
    try:
        return msgspec.convert(value, returns, dec_hook=hook)
    except msgspec.ValidationError:
        return value


def _plain(fields: Mapping[bytes, bytes]) -> Any:
    if (whole := fields.get(b"@value")) is not None:
        return msgspec.json.decode(whole)
    json = frozenset(msgspec.json.decode(fields.get(b"@json", b"[]")))
    value: dict[str, Any] = {}
    for name, text in ((name.decode(), text) for name, text in fields.items()):
        if not name.startswith("@") and name not in _RESERVED:
            value[name] = msgspec.json.decode(text) if name in json else text.decode(errors="replace")
    return value or None


def cut(text: str, limit: int) -> str:
    """The text as the server can hold it: at most `limit` bytes of UTF-8, the middle taken out with a mark."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > limit:
        mark = b" ... [cut] ... "
        half = (limit - len(mark)) // 2
        data = data[:half] + mark + data[-half:]
    return data.decode("utf-8", "ignore")


class _Stamp:
    """The text of the current second, made once for all jobs that finish in it."""

    second, text = 0, ""


def now() -> str:
    """The time for `completed_at`: UTC, to the second."""
    second = int(time.time())
    if second != _Stamp.second:
        _Stamp.text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
        _Stamp.second = second
    return _Stamp.text


_names: set[str] = set()
"""Field names that were found good; the same few come again and again."""


def _is_name(name: str) -> bool:
    if name in _RESERVED or not _FIELD.fullmatch(name):
        return False
    if len(_names) < MAX_NAMES:
        _names.add(name)
    return True


def _spread(value: Mapping[Any, Any], hook: Any) -> list[str] | None:
    """A field for each item, or None when a key cannot be a field's name: then the whole dict is one value."""
    fields: list[str] = []
    json: list[str] = []
    for name, each in value.items():
        if type(name) is not str or (name not in _names and not _is_name(name)):
            return None  # a name of another type may equal a good one and still be written otherwise
        if type(each) is str:
            fields += (name, each)
        else:
            fields += (name, _json(each, hook))
            json.append(name)
    if json:
        fields += ("@json", msgspec.json.encode(json).decode())
    return fields


def _json(value: Any, hook: Any) -> str:
    data = msgspec.json.encode(value, enc_hook=hook)
    _check_size(len(data))  # before it is looked at piece by piece, which would hold everything else up
    if b"null" in data and not finite(msgspec.to_builtins(value, enc_hook=hook)):
        raise ValueError("NaN and infinity have no JSON")
    if nested_deeper(data, MAX_RESULT_DEPTH):
        raise ValueError(f"nested deeper than {MAX_RESULT_DEPTH} levels")
    return data.decode()


def _check_size(size: int) -> None:
    if size > MAX_RESULT:
        raise Unstorable(f"the result has {size:,} bytes; {MAX_RESULT:,} can be stored")


def _length(field: str) -> int:
    try:
        return len(field.encode())
    except UnicodeEncodeError as error:
        raise Unstorable(f"the result cannot be written as UTF-8: {error.reason}") from None
