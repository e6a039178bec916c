"""envelope.py: what goes in comes out, and everything that is no job is refused for the reason that the public contract gives."""

import json
import math
import time
import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chute import envelope
from chute.envelope import MAX_BYTES, MAX_DEPTH, OURS, Refused
from json_values import NUMBERS, TEXTS, VALUES, same

ARGUMENTS = st.dictionaries(TEXTS.filter(lambda key: key != "job_id" and not key.startswith("@")), VALUES, max_size=5)


def reason(body: bytes) -> str:
    """Why the entry is refused."""
    with pytest.raises(Refused) as caught:
        envelope.check(body)
    assert str(caught.value)
    return caught.value.reason


def nested(levels: int) -> bytes:
    """A job of that many levels, itself the first."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def sized(size: int) -> bytes:
    """A job of exactly that many bytes."""
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


@given(ARGUMENTS)
@example({"a": 2**64 + 1, "b": -0.0, "c": 5e-324, "d": 1.7976931348623157e308, "e": [], "f": {}})
@example({"": "", "self": 1, "__class__": 2, "null": "null"})
def test_any_object_comes_out_as_it_went_in(arguments: dict[str, Any]) -> None:
    body = envelope.encode(arguments)
    assert same(envelope.check(body), arguments)
    assert same(json.loads(body), arguments), "another program reads something else"


@given(ARGUMENTS)
def test_what_another_program_wrote_comes_out_as_it_meant(arguments: dict[str, Any]) -> None:
    for text in (json.dumps(arguments), json.dumps(arguments, ensure_ascii=False, indent=2)):
        assert same(envelope.check(text.encode()), arguments)


@given(NUMBERS)
def test_a_number_is_exact_or_the_nearest_double(number: float) -> None:
    assert same(envelope.check(b'{"a":%s}' % json.dumps(number).encode())["a"], number)


@pytest.mark.parametrize(
    ("number", "value"),
    [("1e-400", 0.0), ("0.1", 0.1), ("1e308", 1e308), ("123456789012345678.5", 123456789012345680.0), ("18446744073709551617", 2**64 + 1)],
)
def test_a_number_that_was_written_by_hand(number: str, value: float) -> None:
    assert same(envelope.check(b'{"a":%s}' % number.encode())["a"], value)


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "1" * 5_000, "1" * 1_000_000, "+1", "01", "0x1", ".5"]
)
def test_a_number_that_cannot_be_held_is_refused(number: str) -> None:
    assert reason(b'{"a":%s}' % number.encode()) == "bad_json"


NOT_JSON = {
    "empty": b"",
    "spaces": b" \t\n ",
    "cut off": b"{",
    "cut off later": b'{"a": [1, 2',
    "binary zeros": bytes(64),
    "gzip": bytes.fromhex("1f0b0800"),
    "a pickle": b"cos\nsystem\n(S'true'\ntR.",
    "protobuf": b"\x08\x01\x12\x02hi",
    "yaml": b"!!python/object/apply:os.system [x]",
    "xml": b'<?xml version="1.0"?><a/>',
    "byte-order mark": b'\xef\xbb\xbf{"a": 1}',
    "lone surrogate": rb'{"a": "\ud800"}',
    "lone surrogate in a name": rb'{"\udfff": 1}',
    "raw control character": b'{"a": "\x01"}',
    "trailing comma": b'{"a": 1,}',
    "two objects": b'{"a": 1}{"a": 2}',
    "a comment": b'{"a": 1} // no',
    "single quotes": b"{'a': 1}",
    "name that is no string": b'{1: "a"}',
    "unpaired closing": b"]" * 200,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json(body: bytes) -> None:
    assert reason(body) == "bad_json"


NOT_UTF8 = {
    "no character": b'{"a": "\xff\xfe"}',
    "overlong": b'{"a": "\xc0\xaf"}',
    "truncated": b'{"a": "\xe2\x82"}',
    "a surrogate's bytes": b'{"a": "\xed\xa0\x80"}',
    "beyond Unicode": b'{"a": "\xf5\x80\x80\x80"}',
    "in a field of nobody's": b'{"@whatever": "\xff"}',
    "outside the object": b'{"a": 1}\xff',
    "UTF-16 with its mark": '{"a": 1}'.encode("utf-16"),
    "UTF-32 with its mark": '{"a": 1}'.encode("utf-32"),
    "a deep one": b"\xff" + b"[" * 1000,
}


@pytest.mark.parametrize("body", NOT_UTF8.values(), ids=NOT_UTF8.keys())
def test_what_is_not_utf8(body: bytes) -> None:
    assert reason(body) == "bad_utf8"


@pytest.mark.parametrize("body", [b"null", b"true", b"1", b"1.5", b'"x"', b"[]", b"[[]]", b"[{}]", b" [] "])
def test_what_is_no_object(body: bytes) -> None:
    assert reason(body) == "bad_shape"


@pytest.mark.parametrize("levels", [2, 3, 63, 64])
def test_nesting_within_the_limit(levels: int) -> None:
    assert envelope.check(nested(levels))


@pytest.mark.parametrize("levels", [65, 66, 1_000, 100_000])
def test_nesting_beyond_the_limit(levels: int) -> None:
    assert reason(nested(levels)) == "too_deep"


def test_a_megabyte_of_opening_brackets_is_too_deep_before_it_is_no_json() -> None:
    assert reason(b"[" * MAX_BYTES) == "too_deep"
    assert reason(b'[{"a":' * 100_000) == "too_deep"


LEVELS = st.lists(
    st.sampled_from([("[", "]"), ('{"a":', "}"), ('[1, "]", ', ', "["]'), ('{"[{":[], "b":', "}"), ('["\\"[", ', ", {}]")]), max_size=80
)
DECOYS = st.lists(st.sampled_from(["[", "]", "{", "}", "[]", "{}", "\\\\", '\\"', "x", "é"]), max_size=200).map("".join)


@given(LEVELS, DECOYS)
@example([("[", "]")] * 63, "[" * 200)
@example([("[", "]")] * 63, '\\"[' * 100)
@example([("[", "]")] * 64, "")
def test_nesting_is_counted_outside_of_strings(levels: list[tuple[str, str]], decoy: str) -> None:
    inner = f'"{decoy}"'
    body = '{"a":' + "".join(opening for opening, _ in levels) + inner + "".join(closing for _, closing in reversed(levels)) + "}"
    deepest = max(
        [len(levels) + 1, *[place + 3 for place, level in enumerate(levels) if level[0] == '{"[{":[], "b":' or level[1] == ", {}]"]]
    )
    if deepest <= MAX_DEPTH:
        assert envelope.check(body.encode()) == json.loads(body)
    else:
        assert reason(body.encode()) == "too_deep"


def test_a_wide_job_is_not_a_deep_one() -> None:
    assert len(envelope.check(b'{"a":[' + b"[]," * 100_000 + b"[]]}")["a"]) == 100_001


@pytest.mark.parametrize("size", [MAX_BYTES - 1, MAX_BYTES])
def test_a_size_within_the_limit(size: int) -> None:
    assert len(sized(size)) == size
    assert len(envelope.check(sized(size))["a"]) == size - 8


@pytest.mark.parametrize("body", [sized(MAX_BYTES + 1), b"\xff" * (MAX_BYTES + 1), b"[" * (MAX_BYTES + 1)])
def test_a_size_beyond_the_limit_comes_first(body: bytes) -> None:
    assert reason(body) == "too_large"


GOOD_IDS = ["a", "x" * 256, "a:b", "*", "?", "[a]", "../../x", "%s%n", "$jndi:ldap", "__proto__", "constructor", "!", "~", "|", "\\", '"']
BAD_IDS = [
    None,
    "",
    1,
    1.0,
    True,
    ["a"],
    {"a": 1},
    "x" * 257,
    "{x}",
    "}",
    "a b",
    "a\r\n",
    "a\n",
    "\0",
    "\x1b[2J",
    "\x7f",
    "é",
    "😀",
    "${jndi:x}",
    "\u202e",
]


@pytest.mark.parametrize("job_id", GOOD_IDS)
def test_an_id_that_is_one(job_id: str) -> None:
    assert envelope.check(json.dumps({"job_id": job_id}).encode()) == {"job_id": job_id}


@pytest.mark.parametrize("job_id", BAD_IDS, ids=repr)
def test_an_id_that_is_none(job_id: object) -> None:
    with pytest.raises(Refused) as caught:
        envelope.check(json.dumps({"job_id": job_id}).encode())
    assert (caught.value.reason, caught.value.job_id) == ("bad_job_id", "")


@pytest.mark.parametrize("name", ["@at", "@due", "@expires"])
def test_times_are_numbers_that_a_clock_can_have(name: str) -> None:
    """Whoever reckons with one divides it; beyond the largest double that raises."""
    for good in (0, -1, 2**63 - 1, -(2**63)):
        assert envelope.check(json.dumps({name: good}).encode()) == {name: good}
    for bad in (2**63, -(2**63) - 1, 10**400, 1.5, "1", None, True):
        assert reason(json.dumps({name: bad}).encode()) == "bad_field", bad


def test_a_missing_id_is_allowed() -> None:
    assert envelope.check(b"{}") == {}


@pytest.mark.parametrize("name", ["@attempt", "@deaths"])
def test_counters_have_bounds(name: str) -> None:
    for good in (0, 1, 1000):
        assert envelope.check(json.dumps({name: good}).encode()) == {name: good}
    wrong: list[Any] = [-1, 1001, 2**63, 10**300, 1.5, "1", None, True, [], {}]
    for bad in wrong:
        assert reason(json.dumps({name: bad}).encode()) == "bad_field", bad


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("@task", [None, 1, True, [], {}]),
        ("@at", [None, "x", 1.5, True]),
        ("@expires", [None, "x", 1.5, []]),
        ("@headers", [None, "x", [], {"a": 1}, {"a": None}, {"a": {"b": "c"}}]),
        ("@result_ttl", [None, "x", 1.5, 2**70]),
    ],
)
def test_our_own_fields_have_types(name: str, bad: list[object]) -> None:
    assert name in OURS
    for value in bad:
        with pytest.raises(Refused) as caught:
            envelope.check(json.dumps({"job_id": "j", name: value}).encode())
        assert (caught.value.reason, caught.value.job_id) == ("bad_field", "j"), value
        assert name in str(caught.value)


def test_unknown_fields_of_ours_are_kept_and_ignored() -> None:
    job = {"job_id": "j", "@v": 999, "@owner": None, "@epoch": [1], "@": {}, "attempt": -1, "timeout": "x"}
    assert envelope.check(json.dumps(job).encode()) == job


def test_of_a_repeated_key_the_last_counts() -> None:
    assert envelope.check(b'{"a": 1, "job_id": "x", "a": 2, "job_id": "y"}') == {"a": 2, "job_id": "y"}
    assert reason(b'{"job_id": "x", "job_id": ""}') == "bad_job_id"
    assert envelope.check(b'{"job_id": "", "job_id": "y"}') == {"job_id": "y"}


def test_many_keys_and_many_repeated_ones() -> None:
    assert len(envelope.check(b"{" + b",".join(b'"%d":1' % i for i in range(80_000)) + b"}")) == 80_000
    assert envelope.check(b"{" + b",".join(b'"a":%d' % i for i in range(100_000)) + b"}") == {"a": 99_999}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_has_no_json_is_not_sent(value: float) -> None:
    for job in ({"a": value}, {"a": [value]}, {"a": {"b": (1, value)}}, {"a": "null", "b": [None, value]}):
        with pytest.raises(ValueError, match=r"NaN and infinity have no JSON\. Nothing was sent"):
            envelope.encode(job)


@pytest.mark.parametrize("value", ["\ud800", object(), 1j, {1, object()}])
def test_what_cannot_be_encoded_is_not_sent(value: object) -> None:
    with pytest.raises(ValueError, match="Nothing was sent"):
        envelope.encode({"a": value})


def test_a_cycle_is_not_sent() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(ValueError, match="Nothing was sent"):
        envelope.encode({"a": cycle})


def test_what_would_be_refused_is_not_sent() -> None:
    deep: list[Any] = []
    for _ in range(MAX_DEPTH):
        deep = [deep]
    with pytest.raises(ValueError, match=r"nested deeper than 64 levels\. Nothing was sent"):
        envelope.encode({"a": deep})
    assert len(envelope.encode({"a": "x" * (MAX_BYTES - 8)})) == MAX_BYTES
    with pytest.raises(ValueError, match=r"1,048,577 bytes; a job may have 1,048,576\. Nothing was sent"):
        envelope.encode({"a": "x" * (MAX_BYTES - 7)})


PUSHED = rb'{ "b":  1.50, "a": [1e2,  "\u00e9", {"z":1, "y" :18446744073709551617}], "job_id": "j", "@attempt": 1, "@v": {"k" : 1.0} }'
KEPT = [b'"b":1.50', rb'"a":[1e2,  "\u00e9", {"z":1, "y" :18446744073709551617}]', b'"@v":{"k" : 1.0}']


def test_a_rewrite_keeps_every_byte_of_what_was_pushed() -> None:
    again = envelope.rewrite(PUSHED, attempt=2, at=5)
    for part in [*KEPT, b'"job_id":"j"', b'"@attempt":2', b'"@at":5']:
        assert part in again
    assert again.index(b'"b"') < again.index(b'"a"'), "the order of what was pushed changed"
    gone = envelope.rewrite(PUSHED, attempt=None, deaths=None, job_id="other")
    assert b"@attempt" not in gone
    assert envelope.check(gone)["job_id"] == "other"


@given(ARGUMENTS, st.integers(0, 1000))
def test_a_rewrite_changes_our_own_keys_alone(arguments: dict[str, Any], attempt: int) -> None:
    again = envelope.rewrite(json.dumps(arguments).encode(), attempt=attempt)
    assert same(envelope.check(again), arguments | {"@attempt": attempt})


def test_new_ids_are_valid_unique_and_sorted_by_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [envelope.new_job_id() for _ in range(2_000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == len(ids)
    stamps: list[int] = []
    for job_id in ids:
        parsed = uuid.UUID(job_id)
        assert (str(parsed), parsed.version, parsed.variant) == (job_id, 7, uuid.RFC_4122)
        assert envelope.check(json.dumps({"job_id": job_id}).encode())
        stamps.append(parsed.int >> 80)
    assert stamps == sorted(stamps)
    assert before <= stamps[0]
    assert stamps[-1] <= after


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("question=What", " at column 1: a job begins with {"),
        ("", " at column 1: there is nothing"),
        ('{"a": 1', " at column 8: it ends too early"),
        ("{'a': 1}", " at column 2: names and text stand in double quotes, not in single ones"),
        ("{\"a\": 'x'}", " at column 7: names and text stand in double quotes, not in single ones"),
        ('{"a": 1,\n  "b": None}', " at line 2, column 8: JSON has null, not None"),
        ('{"a": True}', " at column 7: JSON has true, not True"),
        ('{"a": False}', " at column 7: JSON has false, not False"),
        ("{a: 1}", " at column 2: a name stands in double quotes"),
        ('{"a": x}', " at column 7: a value is missing, or a text is without its double quotes"),
        ('{"a" 1}', " at column 6: a colon is missing between a name and its value"),
        ('{"a": 1 "b": 2}', " at column 9: a comma is missing, or the end"),
        ('{"a": 1}, {"a": 2}', " at column 9: there is a comma too many"),
        ('{"a": 1} x', " at column 10: it goes on behind its end"),
        ('{"a": "x', " at column 7: the text that begins here has no end"),
        ('{"a": "\t"}', r" at column 8: a line break or tab in a text is written \n or \t"),
        (r'{"a": "\q"}', r" at column 8: a backslash in a text is written \\"),
        ("\ufeff{}", " at column 1: it begins with a byte order mark"),
        ('{"a": -Infinity}', ": JSON has no -Infinity"),
        ('{"a": 1e400}', ": Number out of range"),
        (r'{"a": "\ud800"}', r": an escape such as \ud800 is without its other half"),
    ],
)
def test_what_is_not_json_is_told_in_peoples_words(body: str, says: str) -> None:
    with pytest.raises(Refused) as caught:
        envelope.check(body.encode())
    assert (caught.value.reason, str(caught.value)) == ("bad_json", f"not JSON{says}")


@pytest.mark.parametrize("body", ['{"a": 1,}', '{"a": [1, 2, ]}', "[,1]"])
def test_a_comma_too_many(body: str) -> None:
    """Pythons do not agree on the column."""
    with pytest.raises(Refused, match=r"^not JSON at column \d+: there is a comma too many$"):
        envelope.check(body.encode())


def test_a_field_of_ours_is_told_in_peoples_words() -> None:
    for job, says in (
        ('{"@attempt": -1}', '"@attempt" must be int >= 0'),
        ('{"@attempt": "1"}', '"@attempt" must be int, not str'),
        ('{"@headers": {"a": 1}}', '"@headers[]" must be str, not int'),
    ):
        with pytest.raises(Refused) as caught:
            envelope.check(job.encode())
        assert (caught.value.reason, str(caught.value)) == ("bad_field", says)


def test_headers_are_carried_beside_the_jobs_own() -> None:
    job = b'{"job_id":"a", "n": 1.50, "@headers":{"mine":"kept","traceparent":"own"}}'
    carried = envelope.carry(job, {"traceparent": "ours", "baggage": "b"})
    assert json.loads(carried)["@headers"] == {"traceparent": "own", "baggage": "b", "mine": "kept"}
    assert b"1.50" in carried, "every other byte is as it was"
    assert envelope.carry(job, {"traceparent": "ours"}) == job
    assert envelope.carry(job, {}) == job
    full = b'{"x":"' + b"x" * (envelope.MAX_BYTES - 8) + b'"}'
    assert envelope.carry(full, {"traceparent": "ours"}) == full
