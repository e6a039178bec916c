"""Tasks that return everything that a task can return, and that fail in many words. Imported by worker processes and by tests."""

import dataclasses
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
import pydantic

import chute

results = chute.Queue("results")
WHEN = datetime(2024, 1, 15, 10, 30, tzinfo=timezone(timedelta(hours=2)))


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: float
    label: str = "p"


class Record(msgspec.Struct):
    name: str
    tags: list[str]


class Model(pydantic.BaseModel):
    name: str
    when: datetime
    inner: dict[str, int]


class Opaque:
    """Nothing that JSON has."""


def _cycle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def _deep(levels: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(levels):
        nested = [nested]
    return nested


SPREAD: dict[str, Callable[[], Any]] = {
    "number in text": lambda: {"a": "1", "b": 1},
    "dict of 32": lambda: {f"k{n}": n for n in range(32)},
    "key of 64": lambda: {"k" * 64: 1},
    "key with dots": lambda: {"a.b-c_d": 1, "_": 2},
    "-2**70": lambda: {"n": -(2**70)},
    "null and a number": lambda: {"a": None, "b": [1.5, None]},
}
"""Dicts that become a field a key."""
WHOLE: dict[str, Callable[[], Any]] = {
    "dict of 33": lambda: {f"k{n}": n for n in range(33)},
    "empty dict": dict,
    "reserved status": lambda: {"status": "failed", "other": 1},
    "reserved completed_at": lambda: {"completed_at": 0},
    "reserved error": lambda: {"error": "none"},
    "all of them": lambda: {"status": "failed", "completed_at": 0, "ttl": -1, "__proto__": {}},
    "key with a space": lambda: {"a b": 1},
    "key with an at": lambda: {"@value": 1},
    "key with a NUL": lambda: {"a\0": 1},
    "empty key": lambda: {"": 1},
    "key of digits": lambda: {"1a": 1},
    "key of 65": lambda: {"k" * 65: 1},
    "key with a letter": lambda: {"größe": 1},
    "key with a line end": lambda: {"a\n": 1},
    "None": lambda: None,
    "True": lambda: True,
    "zero": lambda: 0,
    "text": lambda: "größer \U0001f600 \0 \x1b",
    "empty text": lambda: "",
    "list": lambda: [1, "a", None, [2.5]],
    "empty list": list,
    "2**63": lambda: 2**63,
    "2**64+1": lambda: 2**64 + 1,
    "tenth": lambda: 0.1,
    "largest": lambda: 1.7976931348623157e308,
    "minus zero": lambda: -0.0,
}
"""What goes whole into one field, and reads as it was."""
UNSTORABLE: dict[str, Callable[[], Any]] = {
    "NaN": lambda: float("nan"),
    "NaN inside": lambda: {"a": [1.0, float("nan")]},
    "NaN in a point": lambda: Point(1, float("nan")),
    "infinity": lambda: [float("inf")],
    "minus infinity": lambda: {"a": float("-inf")},
    "lone surrogate": lambda: "\ud800",
    "lone surrogate in a dict": lambda: {"a": "\udc00"},
    "lone surrogate in a key": lambda: {"\ud800": 1},
    "lone surrogate inside": lambda: {"a": ["\ud800"]},
    "cycle": _cycle,
    "very deep": lambda: _deep(100_000),
    "opaque": Opaque,
    "opaque inside": lambda: {"a": Opaque()},
    "more than 256 KiB": lambda: {"a": "x" * (256 * 1024)},
    "more than 256 KiB in bytes": lambda: {"a": "€" * (90 * 1024)},
    "dict of 100,000": lambda: {f"k{n}": n for n in range(20_000)},
    "100 MB": lambda: "x" * 100_000_000,
}
"""What no result can hold."""
OTHERS: dict[str, Callable[[], Any]] = {
    "dict": lambda: {"answer": "RAG is…", "score": 0.5, "sources": ["a", {"b": None}], "none": None, "yes": True, "text": '"quoted"'},
    "int keys": lambda: {1: "a", 2: "b"},
    "tuple": lambda: (1, (2, 3)),
    "datetime": lambda: WHEN,
    "uuid": lambda: uuid.UUID(int=1),
    "decimal": lambda: Decimal("1.10"),
    "enum": lambda: Colour.RED,
    "point": lambda: Point(1, 2.5),
    "record": lambda: Record("r", ["a"]),
    "model": lambda: Model(name="m", when=WHEN, inner={"a": 1}),
    "models": lambda: [Model(name="m", when=WHEN, inner={})],
    "point in a dict": lambda: {"at": Point(1, 2.0)},
    "set": lambda: {1},
    "bytes": lambda: b"abc",
    "256 KiB": lambda: {"a": "x" * (256 * 1024 - 1)},
}
"""What the tests look at one by one."""
VALUES = SPREAD | WHOLE | UNSTORABLE | OTHERS


@results.task(default=True, retries=0)
def give(kind: str) -> Any:
    return VALUES[kind]()


@results.task(retries=0)
async def when() -> datetime:
    return WHEN


@results.task(retries=0)
async def point() -> Point:
    return Point(1, 2.5)


@results.task(retries=0)
async def record() -> Record:
    return Record("r", ["a"])


@results.task(retries=0)
async def model() -> Model:
    return Model(name="m", when=WHEN, inner={"a": 1})


@results.task(retries=0)
async def models() -> list[Model]:
    return [Model(name="m", when=WHEN, inner={"a": 1})]


@results.task(retries=0)
async def pair() -> tuple[int, str]:
    return 1, "a"


@results.task(retries=0)
async def mapping() -> dict[str, Point]:
    return {"a": Point(1, 2.0)}


@results.task(retries=0)
async def maybe(text: str | None) -> str | None:
    return text


@results.task(retries=0)
async def words(text: str) -> dict[str, str]:
    return {"text": text}


@results.task(retries=0)
async def wrong() -> int:
    return "no int at all"  # type: ignore[return-value]


@results.task(retries=0)
async def nothing() -> None:
    return None


@results.task(retries=0)
def fail(length: int, depth: int = 0) -> None:
    if depth:
        fail(length, depth - 1)
    raise RuntimeError("€" * length)


@results.task(retries=0)
def fail_by_number(n: int, length: int) -> None:
    """A traceback without repeated frames, as long as wanted."""
    try:
        if n:
            fail_by_number(n - 1, length)
        raise ValueError("innermost")
    except Exception as error:
        raise RuntimeError("x" * length) from error


class Rude(Exception):
    def __str__(self) -> str:
        raise ValueError("no text for you")


class Quitting(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


@results.task(retries=0)
def fail_rudely(word: str) -> None:
    raise {
        "rude": Rude(),
        "quitting": Quitting(),
        "surrogate": ValueError("\ud800"),
        "empty": ValueError(),
        "control": ValueError("a\nb\x1b[2J"),
    }[word]


@results.task(retries=0, result_ttl=0)
async def unkept() -> str:
    return "gone"


@results.task(retries=0, result_ttl=60)
async def short() -> str:
    return "short"


@results.task(retries=0)
async def either(ok: bool) -> dict[str, str]:
    if not ok:
        raise ValueError("not ok")
    return {"first": "1", "second": "2"}
