"""Where a job is and why it does not run: every answer, from what is on the server."""

import json
from typing import Any

import pytest

from chute import connection
from chute.connection import Endpoint
from chute.explain import Answer, explain
from servers import Server

pytestmark = pytest.mark.leaves("workers", "leases", "result", "info")
W = "abcdef0123456789" * 2


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    server.client().sadd("queues", "jobs", "other")
    return connection.endpoint(server.url)


def body(**more: Any) -> str:
    return json.dumps({"job_id": "it", "@task": "answer", **more})


def worked(server: Server, beat: str = "7", **words: Any) -> None:
    """A worker that says something, or nothing."""
    server.client().hset("workers:{queue:jobs}", W, beat)
    if words:
        server.client().set(f"info:{{queue:jobs}}:{W}", json.dumps({"host": "box", "pid": 5, "at": 1_700_000_060, **words}), ex=60)


def held(server: Server) -> None:
    server.client().hset(f"leases:{{queue:jobs}}:{W}", mapping={"1001": body(), "1002": "{}"})


def ask(endpoint: Endpoint, **options: Any) -> Answer:
    return explain(endpoint, "it", **options)


def test_one_that_completed(server: Server, endpoint: Endpoint) -> None:
    server.client().hset("result:it", mapping={"status": "completed", "completed_at": "2026-01-02T03:04:05Z", "@queue": "jobs"})
    answer = ask(endpoint)
    assert (answer.state, answer.queue, answer.since) == ("completed", "jobs", "2026-01-02T03:04:05Z")
    assert answer.why == "it completed at 2026-01-02T03:04:05Z"


@pytest.mark.parametrize(("status", "how"), [("failed", "failed"), ("expired", "expired"), ("cancelled", "was cancelled")])
def test_one_that_failed_with_its_letter(server: Server, endpoint: Endpoint, status: str, how: str) -> None:
    client = server.client()
    fields = {"status": status, "completed_at": "T", "@queue": "jobs", "error": "ValueError: x", "@reason": "failed"}
    client.hset("result:it", mapping=fields)
    assert ask(endpoint).why == f"it {how} at T (failed): ValueError: x"
    client.xadd("dead:{queue:jobs}", {"body": body(), "job_id": "it", "task": "answer", "reason": "failed"}, id="5-1")
    answer = ask(endpoint)
    assert (answer.state, answer.entry, answer.reason, answer.error, answer.task) == (
        status,
        "dead/5-1",
        "failed",
        "ValueError: x",
        "answer",
    )
    assert answer.why.endswith("To run it again: chute dead requeue jobs dead/5-1")


def test_one_that_runs(server: Server, endpoint: Endpoint) -> None:
    worked(server, count=2, running=[["it", "nap", 1_700_000_001, 5001], ["it", "answer", 1_700_000_002, 1001]])
    held(server)
    answer = ask(endpoint)
    assert (answer.state, answer.queue, answer.worker, answer.task, answer.attempt) == ("running", "jobs", W, "answer", 1)
    assert answer.why == "it has been running on worker abcdef01 (process 5 on box) since 2023-11-14T22:13:22Z"


@pytest.mark.parametrize(
    ("beat", "words", "why"),
    [
        ("7", {"count": 0, "running": []}, "had not started at 2023-11-14T22:14:20Z"),
        ("7", {"count": 300, "running": [["other", "nap", 1, 1002]]}, "whether this is one of them is not known"),
        ("7", {}, "worker abcdef01 has it and does not say whether it has started"),
        ("dead", {"count": 1, "running": [["it", "answer", 1, 1001]]}, "was closed; another worker takes over"),
    ],
)
def test_one_that_is_held(server: Server, endpoint: Endpoint, beat: str, words: dict[str, Any], why: str) -> None:
    worked(server, beat, **words)
    held(server)
    answer = ask(endpoint)
    assert (answer.state, answer.worker) == ("held", W)
    assert why in answer.why


def test_one_that_waits_behind_others(server: Server, endpoint: Endpoint) -> None:
    client = server.client()
    worked(server)
    held(server)
    client.delete(f"leases:{{queue:jobs}}:{W}")
    client.hset(f"leases:{{queue:jobs}}:{W}", "1001", "{}")
    client.lpush("queue:jobs", "{}", "{}", body(**{"@attempt": 1}), "{}")
    client.lpush("first:{queue:jobs}", "{}")
    answer = ask(endpoint)
    assert (answer.state, answer.ahead, answer.attempt) == ("queued", 3, 2)
    assert answer.why == "it waits in queue jobs behind 3 others; 1 worker has 1 job of it in hand"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"@paused": "1"}, "it is the next in queue jobs; the queue is paused. To go on: chute resume jobs"),
        ({W: "7", "@paused": "1"}, "it is the next in queue jobs; the queue is paused. To go on: chute resume jobs"),
        ({}, "it is the next in queue jobs; no worker works this queue. Start one: chute work MODULE"),
    ],
)
def test_one_that_nobody_takes(server: Server, endpoint: Endpoint, fields: dict[str, str], why: str) -> None:
    server.client().lpush("queue:jobs", body())
    if fields:
        server.client().hset("workers:{queue:jobs}", mapping=fields)  # type: ignore[arg-type]
    assert (ask(endpoint).state, ask(endpoint).why) == ("queued", why)


def test_one_whose_task_no_worker_knows(server: Server, endpoint: Endpoint) -> None:
    worked(server)
    server.client().lpush("queue:jobs", body())
    server.client().xadd("refused:{queue:jobs}", {"body": "{}", "reason": "unknown_task", "task": "answer"})
    assert 'others with "@task": "answer" were refused (unknown_task)' in ask(endpoint).why


def test_one_that_is_scheduled(server: Server, endpoint: Endpoint) -> None:
    client = server.client()
    worked(server)
    client.zadd("scheduled:{queue:jobs}", {f"{1:016x}{body()}": 4_000_000_000_000})
    answer = ask(endpoint)
    assert (answer.state, answer.due, answer.why) == ("scheduled", "2096-10-02T07:06:40Z", "it is scheduled for 2096-10-02T07:06:40Z")
    client.hset("workers:{queue:jobs}", "@paused", 1)
    assert ask(endpoint).why.endswith("; queue jobs is paused")


def test_one_that_waits_for_its_next_run(server: Server, endpoint: Endpoint) -> None:
    server.client().zadd("scheduled:{queue:jobs}", {f"{1:016x}{body(**{'@attempt': 2})}": 4_000_000_000_000})
    answer = ask(endpoint)
    assert (answer.state, answer.attempt) == ("scheduled", 3)
    assert answer.why == "run 2 failed; run 3 is to begin at 2096-10-02T07:06:40Z"


def test_one_that_is_due_and_nobody_is_there(server: Server, endpoint: Endpoint) -> None:
    server.client().zadd("scheduled:{queue:jobs}", {f"{1:016x}{body()}": 1_000_000_000_000})
    assert "no worker works queue jobs, so nobody makes it ready" in ask(endpoint).why


@pytest.mark.parametrize(("stream", "how"), [("dead", "is dead since"), ("refused", "was refused at")])
def test_one_that_is_dead_and_whose_result_has_expired(server: Server, endpoint: Endpoint, stream: str, how: str) -> None:
    fields = {"body": body(), "job_id": "it", "task": "answer", "reason": "poison", "error": "died", "attempt": "2", "worker": W}
    server.client().xadd(f"{stream}:{{queue:jobs}}", fields, id="1700000000000-0")
    answer = ask(endpoint)
    assert (answer.state, answer.entry, answer.reason, answer.error, answer.attempt) == (
        stream,
        f"{stream}/1700000000000-0",
        "poison",
        "died",
        2,
    )
    assert answer.why == (
        f"it {how} 2023-11-14T22:13:20Z (poison): died. To run it again: chute dead requeue jobs {stream}/1700000000000-0"
    )


def test_one_in_a_queue_that_no_worker_ever_worked(server: Server, endpoint: Endpoint) -> None:
    server.client().lpush("queue:unheard-of", body())
    answer = ask(endpoint)
    assert (answer.state, answer.queue, answer.ahead) == ("queued", "unheard-of", 0)


def test_one_that_was_never_seen(server: Server, endpoint: Endpoint) -> None:
    server.client().lpush("queue:jobs", "{}", "not json", '{"job_id": "other", "note": "it"}')
    answer = ask(endpoint)
    assert (answer.state, answer.whole, answer.looked) == ("unknown", True, 3)
    assert "it was never pushed, or it is done and its result has expired" in answer.why
    assert ask(endpoint, queue="other").queue == "other"


def test_a_search_that_goes_no_further_says_so(server: Server, endpoint: Endpoint) -> None:
    server.client().lpush("queue:jobs", *["{}"] * 1_000)
    server.client().lpush("queue:jobs", body())
    answer = ask(endpoint, most=200)
    assert (answer.state, answer.whole) == ("unknown", False)
    assert answer.why == f"not found in the first {answer.looked:,} entries; the search went no further. Name its queue: --queue"


def test_what_is_no_id(endpoint: Endpoint) -> None:
    with pytest.raises(ValueError, match="not a job id"):
        explain(endpoint, "a b")
