"""Bytes that are pushed: each is a job or is refused, as the JSON decoder of Python says, which knows nothing of ours."""

import json
import math
from decimal import Decimal
from typing import Any, Literal

from hypothesis import strategies as st

from chute import envelope
from chute.envelope import MAX_BYTES, MAX_DEPTH, OURS, Refused
from chute.keys import is_job_id
from chute.signature import Signature
from fuzz.seeds import NEARLY
from json_values import TEXTS, same
from json_values import VALUES as OF_JSON

WHAT = "an entry: bytes -> a job, or the reason why it is none"
VARIED = True
_NAMES = st.sampled_from(["job_id", "question", "more", *sorted(OURS), "@v", "@"]) | TEXTS
_OF_OURS = st.sampled_from([0, -1, 1000, 1001, 2**63, -(2**63) - 1, 10**400, "", "a", "a" * 257, None, 1.5, {}, {"a": "b"}, {"a": 1}, []])
VALUES = st.one_of(
    NEARLY,
    st.dictionaries(_NAMES, _OF_OURS | OF_JSON, max_size=6).map(lambda job: json.dumps(job, ensure_ascii=False).encode()),
    st.builds(lambda value: json.dumps(value).encode(), OF_JSON),
    st.binary(max_size=60),
    st.builds(
        lambda each, times: each * times,
        st.sampled_from([b"[", b'{"a":', b'"[', b"]", b'\\"', b"[]", b'["', b"\xff"]),
        st.sampled_from([1, 63, 64, 65, 129, 200, 5_000]),
    ),
)
REASONS = {"bad_utf8", "bad_json", "bad_shape", "bad_job_id", "bad_field", "too_large", "too_deep", "unknown_task", "bad_arguments"}


def _answer(question: str, more: Literal["a", "b"] | None = None) -> None: ...
def _anything(question: Any = None, more: Decimal = Decimal(0), **rest: list[int] | str) -> None: ...  # type: ignore[misc]


TASKS = [Signature(fn, "task") for fn in (_answer, _anything)]


def look(body: bytes) -> None:
    """Raises where an entry is judged otherwise than the contract says."""
    try:
        job = envelope.check(body)
    except Refused as refused:
        _check_refusal(refused)
        assert _allowed(body, refused.reason), f"{refused.reason}: {refused}"
        job = None
    else:
        assert same(job, _read(body)), "another program reads something else"
        again = envelope.rewrite(body, attempt=7)
        assert same(envelope.check(again), job | {"@attempt": 7})
    for task in TASKS:
        called = _called(task, body)
        if isinstance(called, str):
            assert job is not None or called == _reason(body)
        else:
            assert job is not None
        if job and "@v" not in job and len(body) < MAX_BYTES - 10:
            longer = body.rstrip()[:-1] + b',"@v":[]}'
            assert repr(_called(task, longer)) == repr(called), "a field of ours that nobody knows changes something"


def _check_refusal(refused: Refused) -> None:
    assert refused.reason in REASONS
    assert str(refused).encode("utf-8", "backslashreplace")
    assert refused.job_id == "" or is_job_id(refused.job_id)


def _reason(body: bytes) -> str:
    try:
        envelope.check(body)
    except Refused as refused:
        return refused.reason
    return ""


def _called(task: Signature, body: bytes) -> Any:
    """The arguments of the call, or the reason why there is none."""
    try:
        job = task.decode(body)
        assert job.job_id == "" or is_job_id(job.job_id)
        float(job.at), float(job.due)
        return task.arguments(job, body)
    except Refused as refused:
        _check_refusal(refused)
        return refused.reason


def _allowed(body: bytes, reason: str) -> bool:
    """Whether that may be why. Where it is no JSON, nobody can say how deep it is."""
    if len(body) > MAX_BYTES:
        return reason == "too_large"
    try:
        body.decode()
    except UnicodeDecodeError:
        return reason == "bad_utf8"
    try:
        value = _read(body)
    except (ValueError, RecursionError):
        return reason in ("bad_json", "too_deep")
    if _depth(value) > MAX_DEPTH:
        return reason == "too_deep"
    return reason == "bad_shape" if not isinstance(value, dict) else reason in ("bad_job_id", "bad_field")


def _read(body: bytes) -> Any:
    """What Python reads, without what JSON does not have."""
    value = json.loads(body.decode(), parse_constant=_none, parse_float=_finite, object_pairs_hook=_object)
    json.dumps(value, ensure_ascii=False).encode()  # lone surrogates
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    json.dumps(pairs, ensure_ascii=False).encode()  # also in what a later field of that name hides
    return dict(pairs)


def _none(name: str) -> None:
    raise ValueError(name)


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(digits)
    return number


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth
