"""outcome.py: a value becomes fields and the fields become what JSON gives back; whatever cannot be stored is said, not lost."""

import json
import math
import re
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chute import outcome
from chute.errors import ResultUnavailable
from chute.outcome import MAX_ERROR, MAX_FIELDS, MAX_RESULT, Completed, Fields, Unstorable, complete, cut, fields_of, value_of
from chute.signature import from_plain, to_plain
from json_values import TEXTS, VALUES, same

NAMES = st.sampled_from(
    ["answer", "a", "_x", "a.b-c", "A9", "status", "completed_at", "error", "@value", "@json", "1", "", "ä", "a" * 64, "a" * 65]
)
DICTS = st.dictionaries(NAMES, VALUES, max_size=5)


@dataclass
class Point:
    x: int
    label: str = "p"


class Page(msgspec.Struct):
    url: str
    depth: int = 1


class Model(pydantic.BaseModel):
    name: str


def stored(fields: Fields) -> dict[bytes, bytes]:
    """The hash as the server gives it back."""
    data = [str(each).encode() for each in fields]
    return dict(zip(data[::2], data[1::2], strict=True))


def back(value: Any, returns: Any = Any) -> Any:
    """What a caller gets of a value that a task returned."""
    return value_of(stored(fields_of(value, to_plain)) | {b"status": b"completed", b"@queue": b"jobs", b"@tag": b"1"}, returns, from_plain)


@given(VALUES | DICTS)
@example({})
@example({"a": None})
@example({"a": ""})
@example({"status": "x"})
@example({"a": 2**70, "b": -0.0, "c": "null", "d": [None, "NaN"]})
def test_a_value_comes_back_as_json_gives_it_back(value: Any) -> None:
    assert same(back(value), json.loads(json.dumps(value)))


@given(VALUES | DICTS)
def test_no_field_of_a_value_is_one_of_ours(value: Any) -> None:
    names = {name.decode() for name in stored(fields_of(value))}
    assert not names & {"status", "completed_at", "error"}
    assert {name for name in names if name.startswith("@")} <= {"@value", "@json"}


def test_a_dict_becomes_fields() -> None:
    assert fields_of({"answer": "RAG is…", "n": 1, "ok": True, "none": None, "list": [1, "a"]}) == [
        "answer", "RAG is…", "n", "1", "ok", "true", "none", "null", "list", '[1,"a"]', "@json", '["n","ok","none","list"]',
    ]  # fmt: skip
    assert fields_of({"answer": "all text"}) == ["answer", "all text"]


@pytest.mark.parametrize(
    "value",
    [
        {}, {"status": "x"}, {"completed_at": 1, "a": 2}, {"error": ""}, {"@x": 1}, {"1": 1}, {"a b": 1}, {"a\0": 1}, {"a\n": 1}, {"ä": 1},
        {"a" * 65: 1}, {"": 1}, {"a": 1, "b/c": 2}, {f"k{i}": i for i in range(MAX_FIELDS + 1)}, None, 1, 1.5, True, "text", [], [{"a": 1}],
    ],
)  # fmt: skip
def test_every_other_value_goes_whole(value: Any) -> None:
    assert fields_of(value) == ["@value", msgspec.json.encode(value).decode()]
    assert same(back(value), value)


def test_as_many_fields_as_are_allowed() -> None:
    assert len(fields_of({f"k{i}": "v" for i in range(MAX_FIELDS)})) == 2 * MAX_FIELDS
    assert "a" * 64 in fields_of({"a" * 64: "v"})


def test_objects_count_as_dicts() -> None:
    assert fields_of(Point(1)) == ["x", "1", "label", "p", "@json", '["x"]']
    assert fields_of(Page("u")) == ["url", "u", "depth", "1", "@json", '["depth"]']
    assert fields_of(Model(name="n"), to_plain) == ["name", "n"]


def test_a_value_is_converted_to_the_annotation() -> None:
    assert back(Point(1), Point) == Point(1)
    assert back(Page("u", 2), Page) == Page("u", 2)
    assert back(Model(name="n"), Model) == Model(name="n")
    assert back((1, 2)) == [1, 2]
    assert back((1, 2), tuple[int, int]) == (1, 2)
    assert back({"b"}, set[str]) == {"b"}
    assert back([Point(1)], list[Point]) == [Point(1)]


@pytest.mark.parametrize(
    "fields", [{b"@value": b"{"}, {b"@value": b"\xff"}, {b"@value": b"[" * 50_000}, {b"@json": b"5"}, {b"@json": b"[[]]"}, {b"\xff": b""}]
)
def test_what_no_worker_of_ours_wrote_is_no_result(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(ResultUnavailable, match="the result cannot be read: "):
        value_of({b"status": b"completed", **fields}, Any, from_plain)


def test_a_value_that_is_not_of_the_annotation_comes_as_it_is() -> None:
    assert back("text", int) == "text"
    assert back({"x": "no number"}, Point) == {"x": "no number"}


def test_none_comes_back() -> None:
    assert fields_of(None) == ["@value", "null"]
    assert back(None) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "\ud800", object(), 1j, bytes, Exception("x")])
def test_what_cannot_be_stored_does_not_undo_the_run(bad: Any) -> None:
    for value in (bad, [bad], {"a": bad}, {"a": {"b": [bad]}}):
        done = complete(value, to_plain)
        assert done.fields == []
        assert done.error
        with pytest.raises(Unstorable):
            fields_of(value, to_plain)


def test_a_cycle_and_what_is_too_deep_cannot_be_stored() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: Any = 0
    for _ in range(5_000):
        deep = [deep]
    assert complete(cycle).error
    assert complete(deep).error
    while deep:  # taken apart by hand: its destructor would recurse
        deep = deep[0]


class Hostile:
    """A value whose every look at it raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_a_value_that_raises_cannot_be_stored() -> None:
    for value in (Hostile(), [Hostile()], {"a": Hostile()}):
        assert complete(value, to_plain).error


class Speechless(Exception):
    def __str__(self) -> str:
        raise ValueError("no text for you")


class Mute:
    def model_dump(self, mode: str) -> Any:
        raise Speechless


def test_a_value_whose_error_cannot_be_read_cannot_be_stored() -> None:
    """Else its job would never come to an end, and one that must run alone would wait for it for ever."""
    for value in (Mute(), [Mute()], {"a": Mute()}):
        assert complete(value, to_plain).error == "the result cannot be written as JSON: an error whose message cannot be read"


class Name(str):
    """A text of another type, equal to a good field's name."""


def test_what_was_stored_before_does_not_change_what_a_name_is() -> None:
    for _ in range(2):
        assert fields_of({Name("never-seen-before"): "a"}) == ["@value", '{"never-seen-before":"a"}']
        assert fields_of({"never-seen-before": "a"}) == ["never-seen-before", "a"]


def test_the_size_is_counted_in_bytes() -> None:
    room = MAX_RESULT - len("@value") - 2  # the quotes
    assert complete("x" * room) == Completed(["@value", f'"{"x" * room}"'])
    assert complete("x" * (room + 1)).error == "the result has 262,145 bytes; 262,144 can be stored"
    assert complete("é" * (room // 2)).error == ""
    assert complete("é" * (room // 2 + 1)).error
    assert complete({"a": "é" * (MAX_RESULT // 2)}).error
    assert complete({"a": "é" * (MAX_RESULT // 2 - 1)}).error == ""


def test_what_is_too_large_is_not_looked_at_piece_by_piece() -> None:
    """That would hold up every other job of the process: a second and more for these."""

    class Times:
        asked = 0

        def model_dump(self, mode: str) -> Any:
            Times.asked += 1
            return [None] * MAX_RESULT

    assert complete(Times(), to_plain).error.startswith("the result has 1,310,721 bytes")
    assert complete([Times()], to_plain).error.startswith("the result has 1,310,723 bytes")
    assert Times.asked == 2, "asked again for what is too large"


def test_a_long_reason_is_cut() -> None:
    class Long(Exception):
        pass

    def hook(_: Any) -> Any:
        raise TypeError("x" * 100_000)

    assert 0 < len(complete(Long(), hook).error) <= MAX_ERROR


@given(st.text(max_size=200), st.integers(20, 100))
@example("\ud800" * 50, 30)
@example("é" * 50, 31)
@example("a" * 100, 100)
def test_a_cut_text_fits_and_shows_both_ends(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short.encode()) <= limit
    whole = text.encode("utf-8", "backslashreplace").decode()
    if len(whole.encode()) <= limit:
        assert short == whole
    else:
        start, end = short.split(" ... [cut] ... ")
        assert whole.startswith(start)
        assert whole.endswith(end)


@given(TEXTS)
def test_any_text_is_a_field(text: str) -> None:
    assert back({"answer": text}) == {"answer": text}


def test_the_time_is_utc_to_the_second() -> None:
    before = int(time.time())
    text = outcome.now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)
    assert text in {time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second)) for second in range(before, int(time.time()) + 1)}
