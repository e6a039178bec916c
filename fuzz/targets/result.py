"""What tasks return: any object becomes the fields of a result within bounds, or a reason why it has none. Nothing that it does can be raised."""

import dataclasses
import enum
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pydantic
from hypothesis import strategies as st

from chute.outcome import MAX_ERROR, MAX_FIELDS, MAX_RESULT, Completed, complete, value_of
from chute.signature import from_plain, to_plain
from json_values import VALUES as OF_JSON

WHAT = "what a task returns: any object -> fields of a result, or a reason why it has none"
VARIED = False


class Speechless(Exception):
    """An error that cannot be told."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class Rude:
    """Raises when it is looked at."""

    def __init__(self, error: BaseException) -> None:
        object.__setattr__(self, "error", error)

    def __getattribute__(self, name: str) -> Any:
        raise object.__getattribute__(self, "error")


class Dumping:
    """Says that it is a model."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def model_dump(self, mode: str) -> Any:
        """What it was given; an error is raised."""
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


class Text(str):
    """A text that is none of JSON's."""

    def isascii(self) -> bool:
        """A lie."""
        raise RuntimeError

    def __len__(self) -> int:
        return 0


class Key:
    """A key that is equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("answer")


class Word(enum.StrEnum):
    """Texts with names."""

    ANSWER = "answer"
    STATUS = "status"


@dataclasses.dataclass
class Data:
    """Any value in a field."""

    answer: Any


class Struct(msgspec.Struct):
    """Any value in a field."""

    answer: Any


class Model(pydantic.BaseModel):
    """Any value in a field."""

    answer: Any


@dataclasses.dataclass
class Deep:
    """So many lists in each other; made when it is wanted, since nobody can print it."""

    levels: int
    inner: Any

    def make(self) -> Any:
        """The outermost."""
        value = self.inner
        for _ in range(self.levels):
            value = [value]
        return value


def _ring() -> Any:
    ring: list[Any] = []
    ring.append({"a": ring})
    return ring


_ERRORS = st.sampled_from(
    [ValueError("a"), Speechless(), SystemExit(1), KeyboardInterrupt(), RecursionError(), MemoryError(), UnicodeError("\ud800")]
)
_LEAVES = st.one_of(
    OF_JSON,
    st.floats(),
    st.text(st.characters(), max_size=20),
    st.binary(max_size=9),
    _ERRORS,
    st.builds(Rude, _ERRORS),
    st.builds(Dumping, _ERRORS | OF_JSON),
    st.sampled_from(Word),
    st.builds(Text, st.text(max_size=9)),
    st.builds(
        lambda text, times: text * times,
        st.sampled_from(["x", "é", "\x00", '"', "[", "\U0001f600"]),
        st.sampled_from([65_537, 262_144, 87_382]),
    ),
    st.sampled_from(
        [-(2**64), uuid.UUID(int=1), Decimal("NaN"), Decimal("1e9999"), datetime(1, 1, 1, tzinfo=UTC), object, object(), 1j, len]
    ),
    st.builds(_ring),
    st.builds(pow, st.just(-10), st.sampled_from([4_000, 4_298, 4_300, 4_500])),
)
_KEYS = st.one_of(
    st.text(max_size=9),
    st.sampled_from(["answer", "status", "completed_at", "error", "@value", "@json", "@queue", "a" * 64, "a" * 65, "a\n", "", "__proto__"]),
    st.sampled_from([Word.ANSWER, Word.STATUS, Text("answer"), Key(), 1, None, 1.5, (1,), b"a"]),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(_KEYS, inner, max_size=5),
        st.builds(Data, inner),
        st.builds(Struct, inner),
        st.builds(Model.model_construct, answer=inner),
        st.builds(Dumping, inner),
        st.tuples(inner, inner),
    ),
    max_leaves=6,
)
VALUES = st.one_of(
    _VALUES,
    st.builds(Deep, st.sampled_from([499, 500, 501, 900, 5_000]), _LEAVES),
    st.builds(lambda value, count: {f"k{n}": value for n in range(count)}, OF_JSON, st.sampled_from([31, 32, 33])),
)


def look(value: Any) -> None:
    """Raises where a value is stored that is out of bounds, or something is raised."""
    value = value.make() if type(value) is Deep else value
    done = complete(value, to_plain)
    assert type(done) is Completed
    assert isinstance(done.error, str)
    assert len(done.error) <= MAX_ERROR
    names, texts = done.fields[::2], done.fields[1::2]
    assert bool(done.error) != bool(names)
    assert len(names) == len(texts) == len(set(names)) <= MAX_FIELDS + 1
    assert {type(each) for each in done.fields} <= {str}
    assert not {"status", "completed_at", "error"} & {*names}
    assert {name for name in names if str(name)[:1] == "@"} <= {"@value", "@json"}
    data = [str(each).encode() for each in done.fields]
    assert sum(map(len, data)) <= MAX_RESULT
    msgspec.msgpack.encode(("result", 1, 3600, *done.fields))
    if data:
        value_of(dict(zip(data[::2], data[1::2], strict=True)), Any, from_plain)
    assert complete(value, to_plain).fields == done.fields, "what was stored before changes it"
