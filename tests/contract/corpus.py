"""Hostile and broken entries, one case each, with what must become of it: a reason code, or a run and its arguments.

Pure data. Whoever may push can send any of these; none may stop a worker or touch its neighbours.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """An entry. `reason`: the code it is refused with, "" when it runs. `told`: the job id whose result tells a waiter, "" when none may."""

    name: str
    body: bytes
    reason: str = ""
    told: str = ""


def job(job_id: str, **fields: Any) -> bytes:
    """A job for the default task."""
    return json.dumps({"job_id": job_id, "question": "?", **fields}, ensure_ascii=False).encode()


def _with(text: bytes, job_id: str = "") -> bytes:
    """A job that holds exactly this text where an argument's value is."""
    head = b'{"job_id":"' + job_id.encode() + b'",' if job_id else b"{"
    return head + b'"question":"?","more":' + text + b"}"


def _not_json() -> Iterator[Case]:
    for name, body in {
        "empty": b"",
        "spaces": b"   ",
        "an open brace": b"{",
        "binary zeros": b"\0" * 64,
        "pickle of old": b"cos\nsystem\n(S'touch /tmp/x'\ntR.",
        "protobuf": b"\x0a\x07testing\x10\x01",
        "yaml tag": b"!!python/object/apply:os.system ['true']",
        "xml": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        "two objects": b'{"question":"a"}{"question":"b"}',
        "trailing comma": b'{"question":"a",}',
        "single quotes": b"{'question': 'a'}",
        "a comment": b'{"question":"a"} // note',
        "control byte in a string": b'{"question":"a\nb"}',
        "NaN": _with(b"NaN", "nan"),
        "Infinity": _with(b"-Infinity", "inf"),
        "an overflow": _with(b"1e400", "overflow"),
        "hexadecimal": _with(b"0x10"),
        "UTF-16 without a mark": '{"question":"a"}'.encode("utf-16-le"),
        "UTF-32 without a mark": '{"question":"a"}'.encode("utf-32-le"),
        "UTF-8 with a mark": b"\xef\xbb\xbf" + job("bom"),
        "lone surrogate": b'{"job_id":"surrogate","question":"\\ud800"}',
        "lone low surrogate": b'{"job_id":"surrogate","question":"\\udc00x"}',
        "lone surrogate in a field of ours": b'{"job_id":"surrogate","question":"a","@v":"\\ud800"}',
        "lone surrogate in a key": b'{"job_id":"surrogate","question":"a","@\\ud800":1}',
        "overflow in an unknown field of ours": b'{"job_id":"x1","question":"a","@v":1e999}',
        "closing before opening": b"]" * 100,
        "unbalanced, long": b'{"question":[' + b"1," * 200 + b"]",
    }.items():
        yield Case(name, body, "bad_json")


def _not_utf8() -> Iterator[Case]:
    for name, body in {
        "gzip": gzip.compress(job("gz")),
        "pickle of today": b"\x80\x04\x95\x10\x00\x00\x00.",
        "msgpack": b"\x81\xa8question\xa1a",
        "stray bytes": b'{"job_id":"u1","question":"\xff\xfe"}',
        "overlong": b'{"job_id":"u2","question":"\xc0\xaf"}',
        "truncated": b'{"job_id":"u3","question":"\xe2\x82"}',
        "encoded surrogate": b'{"job_id":"u4","question":"\xed\xa0\x80"}',
        "above the last character": b'{"job_id":"u5","question":"\xf4\x90\x80\x80"}',
        "in an unknown field of ours": b'{"job_id":"u6","question":"a","@v":"\xff"}',
        "in the id": b'{"job_id":"\xff","question":"a"}',
        "UTF-16 with a mark": b"\xff\xfe" + '{"question":"a"}'.encode("utf-16-le"),
        "UTF-32 with a mark": b"\xff\xfe\0\0" + '{"question":"a"}'.encode("utf-32-le"),
    }.items():
        yield Case(name, body, "bad_utf8")


def _shape() -> Iterator[Case]:
    for body in (b"null", b"true", b"1", b"-0", b"1.5", b'"x"', b"[]", b"[[]]", b'[{"job_id":"s1","question":"a"}]'):
        yield Case(body.decode(), body, "bad_shape")


def _structure() -> Iterator[Case]:
    def deep(levels: int) -> bytes:
        return b"[" * levels + b"]" * levels

    yield Case("64 levels", _with(deep(63), "deep-64"), "bad_arguments", "deep-64")
    yield Case("65 levels", _with(deep(64), "deep-65"), "too_deep")
    yield Case("65 levels of objects", _with(b'{"a":' * 64 + b"1" + b"}" * 64, "deep-o"), "too_deep")
    yield Case("1,000 levels", _with(deep(1_000), "deep-1000"), "too_deep")
    yield Case("100,000 levels", _with(deep(100_000), "deep-100000"), "too_deep")
    yield Case("a megabyte of openings", b"[" * 1_000_000, "too_deep")
    yield Case("brackets in a string", job("brackets", question='[{"' * 2_000))
    yield Case("brackets and escapes in a string", job("escapes", question='\\"[' * 2_000))
    yield Case("many flat brackets", _with(b"[" + b"[],{}," * 5_000 + b"[]]", "flat"), "bad_arguments", "flat")
    many = b",".join(b'"k%d":1' % n for n in range(60_000))
    yield Case("60,000 keys", b'{"job_id":"keys","question":"?",' + many + b"}", "bad_arguments", "keys")
    repeated = b",".join(b'"question":"%d"' % n for n in range(50_000))
    yield Case("50,000 times one key", b'{"job_id":"repeated",' + repeated + b"}")
    yield Case("the id twice, the last counts", b'{"job_id":"id-first","question":"?","job_id":"id-last"}')
    yield Case("the id twice, the last is bad", b'{"job_id":"id-good","question":"?","job_id":""}', "bad_job_id")


def _numbers() -> Iterator[Case]:
    yield Case("5,000 digits for text", b'{"job_id":"digits","question":' + b"7" * 5_000 + b"}", "bad_json")
    yield Case("a million digits for text", b'{"job_id":"mdigits","question":' + b"7" * 1_000_000 + b"}", "bad_json")
    yield Case("digits in an unknown field of ours", b'{"job_id":"udigits","question":"?","@v":' + b"7" * 5_000 + b"}", "bad_json")


def _job_ids() -> Iterator[Case]:
    for name, text in {
        "null": "null",
        "no characters": '""',
        "an int": "1",
        "a float": "1.0",
        "a boolean": "true",
        "a list": '["a"]',
        "an object": '{"a":1}',
        "257 characters": f'"{"a" * 257}"',
        "300,000 characters": f'"{"a" * 300_000}"',
        "braces": '"{x}"',
        "an open brace": '"a{"',
        "a closing brace": '"}"',
        "a line end": '"a\\r\\nb"',
        "NUL": '"a\\u0000"',
        "a space": '"a b"',
        "a tab": '"a\\t"',
        "DEL": '"a\\u007f"',
        "colours": '"\\u001b[2J"',
        "braces of a lookup": '"${jndi:ldap://x}"',
        "an emoji": '"\U0001f600"',
        "a letter of another script": '"\u0430"',
    }.items():
        yield Case(name, b'{"job_id":' + text.encode() + b',"question":"?"}', "bad_job_id")
    for good in ("a:b", "*", "?", "[a]", "../../x", "%s%n", "__proto__", "constructor", "~", "|", "!", "a" * 256, "'\"\\"):
        yield Case(f"good: {good[:20]}", job(good))


def _tasks() -> Iterator[Case]:
    names = (
        "os.system",
        "builtins.eval",
        "tasks.answer",
        "__import__",
        "answer.__globals__",
        "__class__",
        "nowhere",
        "",
        " answer",
        "Answer",
    )
    for n, name in enumerate((*names, "x" * 1_000_000)):
        yield Case(name[:30] or "no name", job(f"task-{n}", **{"@task": name}), "unknown_task", f"task-{n}")
    for n, value in enumerate((None, 1, True, ["answer"], {"answer": 1})):
        yield Case(f"no text: {value}", job(f"tasktype-{n}", **{"@task": value}), "bad_field", f"tasktype-{n}")


def _arguments() -> Iterator[Case]:
    for n, name in enumerate(
        ("self", "ctx", "__class__", "p0", "args", "kwargs", "fn", "task", "attempt", "timeout", "job", "quest1on", "", "ÿ")
    ):
        yield Case(f"takes no {name!r}", job(f"arg-{n}", **{name: -1}), "bad_arguments", f"arg-{n}")
    for n, value in enumerate((None, 1, True, ["?"], {"a": "?"})):
        yield Case(f"wrong type: {value}", job(f"type-{n}", question=value), "bad_arguments", f"type-{n}")
    yield Case("nothing given", b'{"job_id":"nothing"}', "bad_arguments", "nothing")
    yield Case("nothing at all", b"{}", "bad_arguments")
    yield Case("an unknown one of 900,000 bytes", job("long-name", **{"x" * 900_000: 1}), "bad_arguments", "long-name")


def _fields() -> Iterator[Case]:
    counts: tuple[Any, ...] = (-1, 1_001, 2**63, 2**64 + 1, 1.5, "1", True, None, [], {})
    for field in ("@attempt", "@deaths"):
        for n, value in enumerate(counts):
            job_id = f"{field[1:]}-{n}"
            yield Case(f"{field} {value}", job(job_id, **{field: value}), "bad_field", job_id)
    wrong: dict[str, tuple[Any, ...]] = {
        "@at": ("x", None, [], 1.5),
        "@headers": ([], "x", {"a": 1}, {"a": None}, None),
        "@result_ttl": ("x", None, []),
    }
    for field, values in wrong.items():
        for n, value in enumerate(values):
            job_id = f"{field[1:]}-{n}"
            yield Case(f"{field} {value}", job(job_id, **{field: value}), "bad_field", job_id)
    yield Case("attempts up to the limit", job("attempt-max", **{"@attempt": 1_000}))
    unknown: dict[str, Any] = {
        "@v": 999,
        "@did": 1,
        "@owner": "x",
        "@epoch": -1,
        "@priority": 2**63,
        "@": None,
        "@@": [[]],
        "@not_before": "9999",
    }
    yield Case("unknown fields of ours", job("unknown", **unknown))
    for field in ("result_ttl", "tag", "queue", "worker", "lease"):
        yield Case(f"{field} without its mark", job(f"plain-{field}", **{field: 1}), "bad_arguments", f"plain-{field}")


def _texts() -> Iterator[Case]:
    texts = {
        "NUL in text": "a\0b",
        "right to left": "\u202egnp.exe",
        "composed": "\u00e9",
        "decomposed": "e\u0301",
        "beyond the first plane": "\U0001f469\u200d\U0001f52c",
        "last character": "\U0010ffff",
        "colours": "\x1b[31mred\x1b[0m\x07",
        "line ends": "a\r\nb\u2028c\x85d",
        "format strings": "%s%n%(x)s {0} {__class__} ${jndi:ldap://x}",
        "markup": "<script>alert(1)</script>[red]bold[/red]",
        "100,000 characters of one kind": "a" * 100_000 + "!",
    }
    for n, (name, text) in enumerate(texts.items()):
        yield Case(name, job(f"text-{n}", question=text))
    yield Case("escaped pair", b'{"job_id":"pair","question":"\\ud83d\\ude00"}')
    yield Case("spaces around", b' \t\r\n{ "job_id" : "around" , "question" : "?" } \n')


def _sizes() -> Iterator[Case]:
    def sized(job_id: str, size: int) -> bytes:
        return job(job_id, question="x" * (size - len(job(job_id, question=""))))

    yield Case("one byte below 1 MiB", sized("size-1", MIB - 1))
    yield Case("1 MiB", sized("size-2", MIB))
    yield Case("one byte above 1 MiB", sized("size-3", MIB + 1), "too_large")
    yield Case("5 MiB", sized("size-4", 5 * MIB), "too_large")
    yield Case("2 MiB of spaces", b" " * (2 * MIB), "too_large")
    yield Case("2 MiB of zeros", b"\0" * (2 * MIB), "too_large")
    yield Case("a small job behind 1 MiB of spaces", b" " * MIB + job("spaces"), "too_large")


GROUPS = {
    "json": _not_json,
    "utf8": _not_utf8,
    "shape": _shape,
    "structure": _structure,
    "numbers": _numbers,
    "job_id": _job_ids,
    "task": _tasks,
    "arguments": _arguments,
    "fields": _fields,
    "texts": _texts,
    "sizes": _sizes,
}
INTEGERS = (
    "0",
    "-0",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551617",
    "-9223372036854775809",
    "9" * 400,
)
"""Exact or refused."""
DECIMALS = ("-0.0", "0.1", "1e308", "1.7976931348623157e308", "5e-324", "1e-400", "123456789.123456789", "2.5e0", "1" * 300 + ".5")
"""The nearest double."""
CORPUS = {group: list(cases()) for group, cases in GROUPS.items()}
