"""The public format of a job: a JSON object in, a JSON object out, and every reason to refuse one. Pure; knows no task and no server.

Keys that begin with `@` are ours, `job_id` names the job, every other key is an argument. The checks run in the order of `check`: size, UTF-8,
nesting, JSON, shape, fields. What passes them is handed on as it was pushed; `rewrite` changes our own keys and no other byte.
"""

import json
import math
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from chute.duration import LONGEST
from chute.keys import is_job_id

MAX_BYTES = 1 << 20
READ = 8 << 20
"""Of what is longer, a worker reads only the beginning."""
MAX_DEPTH = 64
MAX_COUNT = 1000
SMALL = 2 * MAX_DEPTH
"""Bytes of which nothing can be nested too deep."""

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
Stamp = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""Milliseconds since 1970, as far as any clock goes: a longer number has no double to reckon with."""


class Refused(Exception):
    """This entry is no job for us. `reason` is one of the public reason codes, `job_id` the valid id where there is one."""

    def __init__(self, reason: str, message: str, job_id: str = "", task: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.job_id = job_id
        self.task = task


class Head(
    msgspec.Struct, rename={name: f"@{name}" for name in ("task", "at", "due", "attempt", "deaths", "expires", "headers", "result_ttl")}
):
    """Our own fields of a job. A missing id or task is None; so an empty string is told from a missing one."""

    job_id: str = None  # type: ignore[assignment]  # defaults are not validated, and null in the JSON is refused
    task: str = None  # type: ignore[assignment]
    at: Stamp = 0
    due: Stamp = 0
    attempt: Count = 0
    deaths: Count = 0
    expires: Stamp = 0
    headers: dict[str, str] = {}
    result_ttl: Annotated[int, msgspec.Meta(ge=0, le=LONGEST)] = -1


class _Headers(msgspec.Struct, rename={"headers": "@headers"}):
    """Of a job, only its headers."""

    headers: dict[str, str] = {}


_PYTHON = {"True": "true", "False": "false", "None": "null"}
_MISTAKES = {
    "Expecting property name": "a name stands in double quotes",
    "Expecting value": "a value is missing, or a text is without its double quotes",
    "Expecting ':'": "a colon is missing between a name and its value",
    "Expecting ','": "a comma is missing, or the end",
    "Extra data": "it goes on behind its end",
    "Unterminated string": "the text that begins here has no end",
    "Invalid control character": r"a line break or tab in a text is written \n or \t",
    "Invalid \\": r"a backslash in a text is written \\",
    "Unexpected UTF-8 BOM": "it begins with a byte order mark",
}
"""What Python's decoder says -> what to say to people."""

OURS = frozenset(Head.__struct_encode_fields__)

_head = msgspec.json.Decoder(Head)
_any = msgspec.json.Decoder()
_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])
_headers = msgspec.json.Decoder(_Headers)
_encoder = msgspec.json.Encoder()


def new_job_id() -> str:
    """A UUID of version 7 (RFC 9562): sortable by time, random in its lower 74 bits."""
    return new_job_ids(1, time.time_ns() // 1_000_000)[0]


def new_job_ids(count: int, now: int) -> list[str]:
    """So many at once; `now`: milliseconds since the epoch. The system is asked for chance once, which is most of what an id costs."""
    stamp, chance = f"{now:012x}", secrets.token_hex(10 * count)
    head = f"{stamp[:8]}-{stamp[8:]}-7"
    return [
        f"{head}{chance[i : i + 3]}-{_VARIANT[chance[i + 3]]}{chance[i + 4 : i + 7]}-{chance[i + 7 : i + 19]}"
        for i in range(0, 20 * count, 20)
    ]


def check(body: bytes) -> dict[str, Any]:
    """The job as a dict, or Refused with the first reason that holds."""
    job = decode(body)
    check_head(body, job)
    return job


def decode(body: bytes) -> dict[str, Any]:
    """The JSON object, its fields unchecked, or Refused."""
    check_bytes(body)
    try:
        job = _any.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("bad_json", _malformed(body, error)) from None
    if type(job) is not dict:
        raise Refused("bad_shape", f"a job is a JSON object, this is {_kind(job)}")
    return job


def _malformed(body: bytes, error: Exception) -> str:
    """Where and why bytes are not JSON, in people's words; the decoder's `error` where nobody else finds a mistake."""
    text = body.decode(errors="replace").rstrip()
    try:
        json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as found:
        line = f"line {found.lineno}, " if "\n" in text else ""
        return f"not JSON at {line}column {found.colno}: {_mistake(text, found)}"
    except (ValueError, RecursionError) as found:
        return f"not JSON: {found}"
    if "truncated" in str(error):  # its words for half a pair of surrogates
        return r"not JSON: an escape such as \ud800 is without its other half"
    return f"not JSON: {str(error).partition(' - at ')[0]}"


def _no_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


def _mistake(text: str, error: json.JSONDecodeError) -> str:
    before, rest = text[max(0, error.pos - 20) : error.pos].rstrip(), text[error.pos : error.pos + 20]
    if not rest.strip():
        return "it ends too early" if before else "there is nothing"
    if rest[0] == "'":
        return "names and text stand in double quotes, not in single ones"
    if word := re.match("True|False|None", rest):
        return f"JSON has {_PYTHON[word[0]]}, not {word[0]}"
    if rest[0] == "," or (rest[0] in "}]" and before.endswith(",")):
        return "there is a comma too many"
    if not before and error.msg == "Expecting value":
        return "a job begins with {"
    return next((words for begin, words in _MISTAKES.items() if error.msg.startswith(begin)), error.msg)


def check_bytes(body: bytes) -> None:
    """Size, UTF-8 and nesting: what the JSON decoder does not check, or only after it has gone too deep."""
    if len(body) > MAX_BYTES:
        raise Refused("too_large", f"{len(body):,} bytes{' or more' * (len(body) == READ + 1)}; a job may have {MAX_BYTES:,}")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Refused("bad_utf8", f"not UTF-8: byte {error.start} cannot be read") from None
    if len(body) > SMALL and nested_deeper(body, MAX_DEPTH):
        raise Refused("too_deep", f"nested deeper than {MAX_DEPTH} levels")


def check_head(body: bytes, job: Mapping[str, Any]) -> Head:
    """Our own fields of an object that is valid JSON."""
    job_id = job.get("job_id", "-")
    if not isinstance(job_id, str) or not is_job_id(job_id):
        raise Refused("bad_job_id", "job_id must be 1 to 256 printable ASCII characters without spaces or braces")
    try:
        return _head.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("bad_field", readable(error), job_id if "job_id" in job else "") from None


def encode(job: Mapping[str, Any], encoder: msgspec.json.Encoder = _encoder, hook: Any = None) -> bytes:
    """The bytes of a job; `hook` is the encoder's. Raises ValueError for what a job cannot hold: NaN, infinity, lone surrogates, too much, too
    deep."""
    try:
        body = encoder.encode(job)
    except (TypeError, UnicodeEncodeError, OverflowError, RecursionError) as error:
        raise ValueError(f"cannot be written as JSON: {error}. Nothing was sent") from None
    if b"null" in body and not finite(msgspec.to_builtins(job, enc_hook=hook)):
        raise ValueError("NaN and infinity have no JSON. Nothing was sent")
    if len(body) > SMALL or not body.isascii():
        try:
            check_bytes(body)
        except Refused as refused:
            raise ValueError(f"{refused}. Nothing was sent") from None
    return body


def rewrite(body: bytes, **ours: Any) -> bytes:
    """The job with some of our fields set (None: removed) and every other byte of its values as it was pushed."""
    job: dict[str, Any] = _raw.decode(body)
    for name, value in ours.items():
        key = name if name == "job_id" else f"@{name}"
        if value is None:
            job.pop(key, None)
        else:
            job[key] = value
    return _encoder.encode(job)


def without(body: bytes, names: Iterable[str]) -> bytes:
    """The job without these fields, and every byte of the others' values as it was pushed."""
    job: dict[str, Any] = _raw.decode(body)
    for name in names:
        job.pop(name, None)
    return _encoder.encode(job)


def carry(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The job with these headers beside its own, which win; as it is where they have no room."""
    own = _headers.decode(body).headers
    carrying = rewrite(body, headers={**headers, **own}) if headers.keys() - own.keys() else body
    return carrying if len(carrying) <= MAX_BYTES else body


def finite(value: Any) -> bool:
    """Whether no float in plain data is NaN or infinite (the encoder writes those as null, silently)."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(finite(each) for each in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return all(finite(each) for each in value)
    return True


def nested_deeper(body: bytes, limit: int) -> bool:
    """Whether JSON text is nested deeper than `limit` levels. Cheap for what has few brackets or none; 1 MiB of anything takes some ms.

    No text shorter than two brackets a level can be. Else strings fall out first, then all that is no bracket, and each pass over the rest takes
    the innermost pairs away. What is left over has no partner: it is not JSON, and its openings count as levels.
    """
    if len(body) <= 2 * limit or body.count(b"{") + body.count(b"[") <= limit:
        return False
    outside = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    brackets = outside.translate(_SQUARE, delete=_NO_BRACKETS)
    if b"[" * (limit + 1) in brackets:
        return True
    depth = 0
    while b"[]" in brackets and depth <= limit:
        brackets = brackets.replace(b"[]", b"")
        depth += 1
    return depth + brackets.count(b"[") > limit


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
    return names[type(value)]


def readable(error: BaseException) -> str:
    """msgspec's words -> ours: Expected `int`, got `str` - at `$.top` -> "top" must be int, not str."""
    what, _, where = str(error).partition(" - at `$")
    name = where.rstrip("`").removeprefix(".").replace("[...]", "[]")
    subject = f'"{name}"' if name.strip("[]") else "an argument"
    if what.startswith("Object missing required field"):
        return f'{subject} needs "{what.split("`")[1]}"'
    if expected := re.fullmatch(r"Expected `([^`]+)`( [<>]=? \S+)?(?:, got `([^`]+)`)?", what):
        kind, bound, found = expected.groups("")
        return f"{subject} must be {kind.replace(' | ', ' or ')}{bound}{found and f', not {found}'}"
    return f"{subject} cannot be read: {what}"
