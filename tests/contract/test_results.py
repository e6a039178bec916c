"""What tasks may return and how it reads, in the hash and in the caller's hands; what cannot be stored; how failures read."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from chute.errors import JobFailed, ResultUnavailable
from contract import returning
from contract.helpers import push, result, working
from servers import Server, until

OURS = {"status", "completed_at", "@queue", "@tag"}


@dataclass
class Stage:
    server: Server
    client: redis.Redis


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Server("valkey") as server, working(server, "returning", "results"):
        yield Stage(server, server.client())


@pytest.fixture(autouse=True)
def _server_of_callers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTE_URL", stage.server.url)
    stage.client.delete("result:r")


def given(stage: Stage, kind: str) -> dict[str, str]:
    """The fields of the result of a value, without those that every result has."""
    push(stage.client, "results", {"job_id": "r", "kind": kind})
    fields = result(stage.client, "r")
    assert fields["status"] == "completed"
    assert fields["completed_at"]
    assert (fields["@queue"], int(fields["@tag"]) > 0) == ("results", True)
    return {name: value for name, value in fields.items() if name not in OURS}


def test_a_dict_becomes_a_field_a_key(stage: Stage) -> None:
    fields = given(stage, "dict")
    assert sorted(json.loads(fields.pop("@json"))) == ["none", "score", "sources", "yes"]
    assert json.loads(fields.pop("sources")) == ["a", {"b": None}]
    assert fields == {"answer": "RAG is…", "score": "0.5", "none": "null", "yes": "true", "text": '"quoted"'}
    assert returning.give.job("r").result(5) == returning.VALUES["dict"]()


@pytest.mark.parametrize("kind", returning.SPREAD)
def test_these_dicts_are_spread(stage: Stage, kind: str) -> None:
    value = returning.VALUES[kind]()
    fields = given(stage, kind)
    assert "@value" not in fields
    assert set(fields) - {"@json"} == set(value)
    assert returning.give.job("r").result(5) == value


@pytest.mark.parametrize("kind", returning.WHOLE)
def test_every_other_value_goes_whole(stage: Stage, kind: str) -> None:
    value = returning.VALUES[kind]()
    fields = given(stage, kind)
    assert set(fields) == {"@value"}
    assert json.loads(fields["@value"]) == value
    read = returning.give.job("r").result(5)
    assert (read, repr(read)) == (value, repr(value))


def as_json(kind: str) -> Any:
    """What JSON makes of the values that it does not know."""
    return {
        "tuple": [1, [2, 3]],
        "datetime": "2024-01-15T10:30:00+02:00",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "decimal": "1.10",
        "enum": "red",
        "models": [{"name": "m", "when": "2024-01-15T10:30:00+02:00", "inner": {}}],
    }[kind]


@pytest.mark.parametrize("kind", ["tuple", "datetime", "uuid", "decimal", "enum", "models"])
def test_without_an_annotation_a_value_reads_as_its_json(stage: Stage, kind: str) -> None:
    assert json.loads(given(stage, kind)["@value"]) == as_json(kind)
    assert returning.give.job("r").result(5) == as_json(kind)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("point", {"x": 1, "y": 2.5, "label": "p"}),
        ("record", {"name": "r", "tags": ["a"]}),
        ("model", {"name": "m", "when": "2024-01-15T10:30:00+02:00", "inner": {"a": 1}}),
        ("point in a dict", {"at": {"x": 1, "y": 2.0, "label": "p"}}),
    ],
)
def test_records_of_all_kinds_count_as_dicts(stage: Stage, kind: str, expected: dict[str, Any]) -> None:
    fields = given(stage, kind)
    assert "@value" not in fields
    listed = set(json.loads(fields.get("@json", "[]")))
    assert {name: json.loads(value) if name in listed else value for name, value in fields.items() if name != "@json"} == expected
    assert returning.give.job("r").result(5) == expected


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (returning.when, returning.WHEN),
        (returning.point, returning.Point(1, 2.5)),
        (returning.record, returning.Record("r", ["a"])),
        (returning.model, returning.Model(name="m", when=returning.WHEN, inner={"a": 1})),
        (returning.models, [returning.Model(name="m", when=returning.WHEN, inner={"a": 1})]),
        (returning.pair, (1, "a")),
        (returning.mapping, {"a": returning.Point(1, 2.0)}),
        (returning.nothing, None),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_an_annotation_brings_the_type_back(task: Any, expected: Any) -> None:
    job = task.enqueue()
    read = job.result(10)
    assert read == expected
    assert type(read) is type(expected)
    assert task.job(job.id).result(5) == expected


@pytest.mark.parametrize("text", ["", "null", "1", '{"a": 1}', "größer", "a\0b", "\ufeff", "\u2028", None])
def test_text_is_never_taken_for_something_else(text: str | None) -> None:
    assert returning.maybe.enqueue(text).result(10) == text
    if text is not None:
        assert returning.words.enqueue(text).result(10) == {"text": text}


def test_a_value_that_is_not_what_was_annotated_is_given_as_it_is() -> None:
    assert returning.wrong.enqueue().result(10) == "no int at all"


@pytest.mark.parametrize("kind", returning.UNSTORABLE)
def test_what_cannot_be_stored_is_said_and_not_run_again(stage: Stage, kind: str) -> None:
    before = stage.client.info("memory")["used_memory"]
    fields = given(stage, kind)
    assert set(fields) == {"@result_error"}
    assert 0 < len(fields["@result_error"].encode()) <= 8 << 10
    with pytest.raises(ResultUnavailable, match="r"):
        returning.give.job("r").result(5)
    assert returning.give.job("r").status() == "completed"
    assert not stage.client.exists("scheduled:{queue:results}", "dead:{queue:results}", "queue:results")
    assert stage.client.info("memory")["used_memory"] - before < 4 << 20


@pytest.mark.parametrize("kind", ["bytes", "set"])
def test_what_has_a_json_form_in_the_encoder_or_none_ends_either_way(stage: Stage, kind: str) -> None:
    """Bytes and sets are no JSON; whichever way they go, the job is completed and a waiter is told."""
    fields = given(stage, kind)
    assert set(fields) in ({"@value"}, {"@result_error"})


def test_the_limit_is_exact(stage: Stage) -> None:
    fields = given(stage, "256 KiB")
    assert len(fields["a"]) == 256 * 1024 - 1
    assert returning.give.job("r").result(5) == {"a": fields["a"]}


def test_a_failure_is_told_and_cut(stage: Stage) -> None:
    job = returning.fail_by_number.enqueue(30, 20_000)
    with pytest.raises(JobFailed) as caught:
        job.result(10)
    fields = result(stage.client, job.id)
    assert (fields["status"], fields["@reason"]) == ("failed", "failed")
    assert fields["error"].startswith("RuntimeError: xxx")
    assert 8_000 < len(fields["error"].encode()) <= 8 << 10
    assert 32_000 < len(fields["@traceback"].encode()) <= 32 << 10
    assert "cut" in fields["error"]
    assert "cut" in fields["@traceback"]
    assert (caught.value.job_id, caught.value.error, caught.value.traceback) == (job.id, fields["error"], fields["@traceback"])
    assert job.status() == "failed"


@pytest.mark.parametrize("length", [2_700, 2_740, 3_000, 100_000])
def test_the_cut_goes_between_characters(stage: Stage, length: int) -> None:
    job = returning.fail.enqueue(length)
    with pytest.raises(JobFailed):
        job.result(10)
    fields = result(stage.client, job.id)
    assert len(fields["error"].encode()) <= 8 << 10
    assert "\ufffd" not in fields["error"]


@pytest.mark.parametrize("word", ["rude", "surrogate", "empty", "control"])
def test_an_error_that_cannot_be_shown_is_a_failure_like_another(stage: Stage, word: str) -> None:
    job = returning.fail_rudely.enqueue(word)
    with pytest.raises(JobFailed):
        job.result(10)
    assert result(stage.client, job.id)["error"].startswith("Rude" if word == "rude" else "ValueError")


def test_an_error_whose_text_would_end_the_worker_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server("valkey") as server, working(server, "returning", "results", options=("--grace", "1")) as work:
        monkeypatch.setenv("CHUTE_URL", server.url)
        job = returning.fail_rudely.enqueue("quitting")
        assert until(lambda: job.status() == "failed", 5), f"{work.process.poll()} {work.stderr}"
        assert returning.short.enqueue().result(5) == "short"
        assert work.process.poll() is None


def test_a_recursion_without_end_is_a_failure(stage: Stage) -> None:
    job = returning.fail.enqueue(1, 100_000)
    with pytest.raises(JobFailed, match="RecursionError"):
        job.result(10)
    assert len(result(stage.client, job.id)["@traceback"].encode()) <= 32 << 10


def test_a_task_that_keeps_no_result(stage: Stage) -> None:
    job = returning.unkept.enqueue()
    started = time.monotonic()
    with pytest.raises(ResultUnavailable):
        job.result(10)
    assert time.monotonic() - started < 1
    returning.short.enqueue().result(10)
    assert until(lambda: stage.client.llen("queue:results") == 0)
    assert not stage.client.exists(f"result:{job.id}")


def test_a_call_that_keeps_no_result(stage: Stage) -> None:
    job = returning.short.options(result_ttl=0).enqueue()
    with pytest.raises(ResultUnavailable):
        job.result(10)
    returning.short.enqueue().result(10)
    assert not stage.client.exists(f"result:{job.id}")


def test_results_live_as_long_as_the_task_or_the_call_says(stage: Stage) -> None:
    kept = {
        returning.short.enqueue(): 60,
        returning.short.options(result_ttl=120).enqueue(): 120,
        returning.unkept.options(result_ttl=30).enqueue(): 30,
        returning.nothing.enqueue(): 3_600,
        returning.nothing.options(result_ttl=0.5).enqueue(): 1,
    }
    for job, ttl in kept.items():
        job.result(10)
        assert 0 < stage.client.pttl(f"result:{job.id}") <= ttl * 1000
        if ttl > 1:
            assert stage.client.pttl(f"result:{job.id}") > (ttl - 10) * 1000


def test_a_rerun_leaves_no_field_of_the_last_one(stage: Stage) -> None:
    push(stage.client, "results", {"job_id": "r", "@task": "either", "ok": True})
    assert set(result(stage.client, "r")) == {*OURS, "first", "second"}
    push(stage.client, "results", {"job_id": "r", "@task": "either", "ok": False})
    assert until(lambda: stage.client.hget("result:r", "status") == b"failed")
    assert set(result(stage.client, "r")) == {*OURS, "error", "@traceback", "@reason"}
    push(stage.client, "results", {"job_id": "r", "@task": "give", "kind": "list"})
    assert until(lambda: stage.client.hget("result:r", "status") == b"completed")
    assert set(result(stage.client, "r")) == {*OURS, "@value"}
    stage.client.delete("result:r")
    stage.client.lpush("result:r", "a key of another type")
    push(stage.client, "results", {"job_id": "r", "@task": "either", "ok": True})
    assert until(lambda: stage.client.type("result:r") == b"hash")
    assert result(stage.client, "r")["first"] == "1"
