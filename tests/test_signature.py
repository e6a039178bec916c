"""signature.py: which functions can be tasks, what a call becomes, and what a job's bytes become again."""

import datetime
import enum
import functools
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chute import envelope
from chute.envelope import Refused
from chute.signature import Signature, from_plain, to_plain
from json_values import VALUES


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int = 0


class Page(msgspec.Struct):
    url: str
    depth: int = 1


class Model(pydantic.BaseModel):
    name: str
    when: datetime.date


def by_name(signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, as a job has them."""
    bound = signature.bind(args, kwargs)
    return dict(zip(signature.names, bound, strict=True)) if isinstance(bound, tuple) else bound


def answer(question: str, top: int = 3, *, lang: str = "en", strict: bool = False) -> dict[str, str]:
    return {"question": question, "top": str(top), "lang": lang, "strict": str(strict)}


def anything(a, b=None, **more):  # type: ignore[no-untyped-def]  # a task need not be annotated
    return a, b, more


def nothing() -> None: ...


def named(task: str, at: int, job_id: str = "") -> None: ...


def counted(**counts: int) -> int:
    return sum(counts.values())


def with_model(model: Model) -> None: ...


def required(a: int, *, b: int) -> int:
    return a + b


def typed(  # every kind of parameter that JSON can carry
    when: datetime.datetime, gap: datetime.timedelta, key: uuid.UUID, price: Decimal, data: bytes, colour: Colour,
    mode: Literal["a", "b"], point: Point, page: Page, model: Model, small: Annotated[int, msgspec.Meta(le=9)], pair: tuple[int, str],
    tags: set[str], maybe: int | None,
) -> list[Any]:  # fmt: skip
    return [when, gap, key, price, data, colour, mode, point, page, model, small, pair, tags, maybe]


async def asynchronous(n: int) -> int:
    return n


TAKES = "(it takes: question, top, lang, strict)"


def sent(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How the function would be called at the worker."""
    signature = Signature(fn, fn.__name__)
    body = signature.encode({"job_id": "j", **by_name(signature, args, kwargs), "@task": fn.__name__})
    return signature.arguments(signature.decode(body), body)


def refusal(fn: Callable[..., Any], body: bytes | dict[str, Any]) -> Refused:
    """Why the job is refused."""
    signature = Signature(fn, fn.__name__)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refused) as caught:
        signature.arguments(signature.decode(data), data)
    return caught.value


def test_a_call_arrives_as_it_was_made() -> None:
    args, kwargs = sent(answer, "why", top=5, lang="de")
    assert (args, kwargs) == (("why", 5), {"lang": "de", "strict": False})
    assert answer(*args, **kwargs) == {"question": "why", "top": "5", "lang": "de", "strict": "False"}
    assert sent(nothing) == ((), {})
    assert sent(asynchronous, 7) == ((7,), {})


def test_every_type_that_json_can_carry() -> None:
    call = (
        datetime.datetime(2024, 1, 15, 10, 30, tzinfo=datetime.UTC), datetime.timedelta(seconds=90), uuid.UUID(int=7), Decimal("0.10"),
        b"\0\xff", Colour.RED, "b", Point(1, 2), Page("u", 3), Model(name="n", when=datetime.date(2024, 2, 29)), 9, (1, "x"), {"t"}, None,
    )  # fmt: skip
    assert sent(typed, *call)[0] == call


@given(VALUES, VALUES, st.dictionaries(st.sampled_from(["c", "d", "kwargs", "more"]), VALUES))
def test_values_without_annotations_arrive_unchanged(a: Any, b: Any, more: dict[str, Any]) -> None:
    assert sent(anything, a, b, **more) == ((a, b), more)


def test_parameters_may_have_the_names_of_our_own_fields() -> None:
    assert sent(named, "t", 5) == (("t", 5, "j"), {})
    signature = Signature(named, "named")
    body = b'{"job_id": "x", "task": "t", "at": 5, "@task": "named", "@at": 9, "@attempt": 2}'
    job = signature.decode(body)
    assert (job.job_id, job.task, job.at, job.attempt) == ("x", "named", 9, 2)
    assert signature.arguments(job, body) == (("t", 5, "x"), {})


def test_a_job_without_an_id_has_none() -> None:
    signature = Signature(named, "named")
    body = b'{"task": "t", "at": 5}'
    assert signature.arguments(signature.decode(body), body) == (("t", 5, ""), {})
    assert signature.decode(body).task is None


def price(amount: Decimal, more: msgspec.Raw) -> None: ...


def test_unknown_fields_of_ours_change_no_digit() -> None:
    """Where they are taken out, all other values stay as they were pushed."""
    signature = Signature(price, "price")
    for body in (
        b'{"amount": 1.100000000000000000000000001, "more": 1e2}',
        b'{"@v": 1, "amount": 1.100000000000000000000000001, "more": 1e2}',
    ):
        (amount, more), _ = signature.arguments(signature.decode(body), body)
        assert (str(amount), bytes(more)) == ("1.100000000000000000000000001", b"1e2")


def test_unknown_fields_of_ours_change_nothing() -> None:
    signature = Signature(answer, "answer")
    body = b'{"question": "q", "@v": 999, "@owner": {"a": [1]}, "@headers": {"a": "b"}}'
    assert signature.decode(body).headers == {"a": "b"}
    assert signature.arguments(signature.decode(body), body) == (("q", 3), {"lang": "en", "strict": False})


def test_of_a_repeated_argument_the_last_counts() -> None:
    signature = Signature(asynchronous, "asynchronous")
    body = b'{"n": "x", "n": 2}'
    assert signature.arguments(signature.decode(body), body) == ((2,), {})


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({}, ' needs "question"'),
        ({"question": 1}, ': "question" must be str, not int'),
        ({"question": None}, ': "question" must be str, not null'),
        ({"question": "q", "top": "3"}, ': "top" must be int, not str'),
        ({"question": "q", "top": 1.5}, ': "top" must be int, not float'),
        ({"question": "q", "top": True}, ': "top" must be int, not bool'),
        ({"question": "q", "strict": 1}, ': "strict" must be bool, not int'),
        ({"question": "q", "self": 1}, f' takes no "self" {TAKES}'),
        ({"question": "q", "__class__": 1}, f' takes no "__class__" {TAKES}'),
        ({"question": "q", "attempt": -1}, f' takes no "attempt" {TAKES}'),
        ({"qestion": "q", "x": 1}, f' takes no "qestion", "x" - did you mean "question"? {TAKES}'),
    ],
)
def test_arguments_that_the_task_does_not_take(job: dict[str, Any], says: str) -> None:
    refused = refusal(answer, {"job_id": "j", **job})
    assert (refused.reason, refused.job_id, refused.task) == ("bad_arguments", "j", "answer")
    assert str(refused) == f"task answer{says}"
    signature = Signature(answer, "answer")
    with pytest.raises(TypeError) as told:
        signature.encode({"job_id": "j", **by_name(signature, (), job)})
    assert str(told.value) == f"task answer{says}. Nothing was sent", "a caller reads the same"


def shapes(
    at: datetime.datetime, point: Point, points: list[Point], low: Literal["a", "b"], maybe: int | None, few: dict[str, int]
) -> None: ...


FITS: dict[str, Any] = {"at": "2024-01-15T10:30:00Z", "point": {"x": 1, "y": 2}, "points": [], "low": "a", "maybe": None, "few": {}}


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ({"at": "noon"}, '"at" cannot be read: Invalid RFC3339 encoded datetime'),
        ({"point": {"y": 1}}, '"point" needs "x"'),
        ({"point": {"x": 1, "y": "2"}}, '"point.y" must be int, not str'),
        ({"points": [{"x": 1, "y": 2}, {"x": None, "y": 2}]}, '"points[1].x" must be int, not null'),
        ({"low": "c"}, "\"low\" cannot be read: Invalid enum value 'c'"),
        ({"maybe": "1"}, '"maybe" must be int or null, not str'),
        ({"few": {"a": "b"}}, '"few[]" must be int, not str'),
    ],
)
def test_the_place_of_a_wrong_value_is_named(argument: dict[str, Any], says: str) -> None:
    assert str(refusal(shapes, FITS | argument)) == f"task shapes: {says}"


def test_a_task_that_takes_more_checks_what_it_takes() -> None:
    assert sent(counted, a=1, b=2) == ((), {"a": 1, "b": 2})
    assert str(refusal(counted, {"a": "x"})) == "task counted: an argument must be int, not str"
    signature = Signature(counted, "counted")
    with pytest.raises(TypeError, match=r"task counted: an argument must be int, not str\. Nothing was sent"):
        signature.encode(by_name(signature, (), {"a": "x"}))


@pytest.mark.parametrize("when", ["2024-02-30", 5, None])
def test_a_model_that_does_not_accept_its_value(when: object) -> None:
    assert refusal(with_model, {"model": {"name": "n", "when": when}}).reason == "bad_arguments"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"x" * (envelope.MAX_BYTES + 1), "too_large"),
        (b'{"question": "\xff"}', "bad_utf8"),
        (b'{"question": ' + b"[" * 70 + b"]" * 70 + b"}", "too_deep"),
        (b'{"question": "q"', "bad_json"),
        (rb'{"question": "\ud800"}', "bad_json"),
        (b'["question"]', "bad_shape"),
        (b'{"question": "q", "job_id": null}', "bad_job_id"),
        (b'{"question": "q", "job_id": "a b"}', "bad_job_id"),
        (b'{"question": 1, "job_id": ""}', "bad_job_id"),
        (b'{"question": "q", "@attempt": 1001}', "bad_field"),
        (b'{"question": 1, "@deaths": -1}', "bad_field"),
        (b'{"question": 1}', "bad_arguments"),
    ],
)
def test_the_first_reason_in_the_order_of_the_checks(body: bytes, reason: str) -> None:
    assert refusal(answer, body).reason == reason


KEYS = st.sampled_from(["question", "top", "lang", "x", "job_id", "@task", "@attempt", "@deaths", "@headers", "@result_ttl", "@at", "@x"])
FITTING = st.sampled_from(["q", 1, 0, -1, 1001, {"a": "b"}, True, None, "a b", 1.0])
JOBS = st.dictionaries(KEYS, FITTING | VALUES, max_size=6).map(lambda job: json.dumps(job).encode())
BROKEN = st.builds(lambda body, at, new: body[:at] + new + body[at + len(new) :], JOBS, st.integers(0, 60), st.binary(max_size=3))


SIGNATURE = Signature(answer, "answer")


def verdict(decode: Callable[[bytes], Any], body: bytes) -> tuple[Any, str]:
    """What was read, or why it is refused."""
    try:
        return decode(body), ""
    except Refused as refused:
        return None, refused.reason


@given(JOBS | BROKEN | st.binary(max_size=80))
@example(b'{"question": "q", "job_id": "a", "job_id": "b"}')
@example(b'{"question": "q", "x": 1e400}')
def test_it_refuses_what_the_envelope_refuses_and_for_the_same_reason(body: bytes) -> None:
    job, seen = verdict(envelope.check, body)
    head, reason = verdict(SIGNATURE.decode, body)
    if seen:
        assert reason == seen
    elif reason:
        assert (reason, refusal(answer, body).job_id) == ("bad_arguments", job.get("job_id", ""))
    else:
        arguments = {key for key in job if not key.startswith("@") and key != "job_id"}
        assert "question" in arguments <= {"question", "top", "lang", "strict"}
        assert SIGNATURE.arguments(head, body)[0] == (job["question"], job.get("top", 3))


def lonely(one: int) -> None: ...


def identified(job_id: str, n: int) -> None: ...


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "says"),
    [
        (answer, (), {}, ' needs "question"'),
        (answer, ("q", 1, 2), {}, ' takes 2 arguments by place ("question", "top"), 3 are given'),
        (lonely, (1, 2), {}, ' takes 1 argument by place ("one"), 2 are given'),
        (nothing, (1,), {}, " takes 0 arguments by place, 1 is given"),
        (answer, ("q",), {"question": "q"}, ' gets "question" twice, by place and by name'),
        (answer, (), {"qestion": 1}, f' takes no "qestion" - did you mean "question"? {TAKES}'),
        (answer, ("q",), {"top": 1, "wrong": 1}, f' takes no "wrong" {TAKES}'),
        (required, (1,), {}, ' needs "b"'),
        (named, (), {}, ' needs "task", "at"'),
        (identified, (), {"n": 1}, ' needs "job_id"'),
    ],
)
def test_a_call_that_python_would_refuse_is_refused_when_it_is_bound(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError) as caught:
        Signature(fn, fn.__name__).bind(args, kwargs)
    assert str(caught.value) == f"task {fn.__name__}{says}. Nothing was sent"


def test_values_that_the_worker_would_refuse_are_not_sent() -> None:
    signature = Signature(answer, "answer")
    with pytest.raises(ValueError, match=r'^task answer: "top" cannot be written as JSON: object has no JSON\. Nothing was sent$'):
        signature.encode({"question": "q", "top": object()})
    with pytest.raises(ValueError, match="Nothing was sent"):
        signature.encode({"question": "x" * envelope.MAX_BYTES})


def outer() -> list[Callable[..., Any]]:
    free = 1

    def closure() -> int:
        return free

    def variadic(*values: int) -> int:
        return sum(values)

    def custom(thing: Callable[[], int]) -> int:
        return thing()

    def plain_class(thing: object, other: functools.partial[int]) -> int:
        return other()

    def unreadable(thing: "NoSuchThing") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def two_structs(thing: Page | Point) -> None: ...

    return [lambda x: x, closure, variadic, custom, plain_class, unreadable, two_structs]


@pytest.mark.parametrize("fn", outer(), ids=lambda fn: fn.__name__)
def test_a_function_that_cannot_be_a_task(fn: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="cannot be registered"):
        Signature(fn, fn.__name__)


def traced(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def around(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return around


def test_a_decorated_function_is_what_it_wraps() -> None:
    signature = Signature(traced(answer), "answer")
    assert signature.names == ("question", "top", "lang", "strict")
    assert signature.returns == dict[str, str]


def test_what_a_result_is_converted_to() -> None:
    assert Signature(answer, "a").returns == dict[str, str]
    assert Signature(asynchronous, "a").returns is int
    assert Signature(nothing, "a").returns is type(None)
    assert Signature(anything, "a").returns is Any


def test_models_pass_both_ways() -> None:
    model = Model(name="n", when=datetime.date(2024, 2, 29))
    assert to_plain(model) == {"name": "n", "when": "2024-02-29"}
    assert from_plain(Model, to_plain(model)) == model
    with pytest.raises(TypeError, match="object has no JSON"):
        to_plain(object())
