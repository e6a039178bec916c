"""What somebody can do who may LPUSH and nothing else: a table of attacks, and what each comes to. A worker withstands all of them by itself."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from contract.corpus import job
from contract.helpers import Work, chute, letters, lines, push, result, working
from servers import Server, until

MIB = 1 << 20
KINDS = {"queue", "first", "leases", "workers", "info", "tags", "counts", "refused", "dead", "result", "queues", "scheduled"}


@dataclass
class Stage:
    server: Server
    work: Work
    client: redis.Redis


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One server and one worker for all of them."""
    with Server("valkey") as server, working(server, "tasks", "jobs", "alone") as work:
        yield Stage(server, work, server.client())


@pytest.fixture(autouse=True)
def _still_there(stage: Stage) -> Iterator[None]:
    """After each attack the same processes work on, nothing is held, and every key is of a known kind."""
    before = stage.work.children()
    yield
    client = stage.client
    push(client, "jobs", job("afterwards"))
    assert result(client, "afterwards")["status"] == "completed"
    assert stage.work.children() == before
    assert until(lambda: not client.keys("leases:*") and client.llen("queue:jobs") == 0)
    assert {key.decode().split(":")[0] for key in client.keys("*")} <= KINDS
    for pattern in ("result:*", "refused:*", "dead:*"):
        for key in client.keys(pattern):
            client.delete(key)


def test_a_flood_of_rubbish_flushes_no_failure(stage: Stage) -> None:
    client = stage.client
    push(client, "jobs", {"job_id": "real", "@task": "boom", "word": "a real failure"})
    result(client, "real")
    push(client, "jobs", *[b"{%d" % n for n in range(5_000)])
    push(client, "jobs", job("behind"))
    result(client, "behind", 20)
    assert until(lambda: client.xlen("refused:{queue:jobs}") <= 1_200)
    assert [letter["job_id"] for letter in letters(client, "dead", "jobs")] == [b"real"]


def test_the_id_of_another_job_replaces_its_result_and_no_job(stage: Stage) -> None:
    """The result tells whose it is; the other job was run, and is not run less for it."""
    client = stage.client
    push(client, "jobs", job("shared", question="theirs"))
    theirs = result(client, "shared")
    push(client, "alone", {"job_id": "shared", "value": "mine"})
    assert until(lambda: client.hget("result:shared", "@queue") == b"alone")
    mine = result(client, "shared")
    assert theirs["answer"] == "Answer to: theirs"
    assert (theirs["@queue"], mine["@queue"], mine["value"]) == ("jobs", "alone", "mine")
    assert "answer" not in mine, "no field of the other is left"


@pytest.mark.parametrize("word", ["refused", "failed"])
def test_nor_does_one_that_fails(stage: Stage, word: str) -> None:
    client = stage.client
    ended = {"refused": {"job_id": "shared", "nothing": 1}, "failed": {"job_id": "shared", "@task": "boom", "word": "x"}}[word]
    push(client, "jobs", job("shared"), ended, job("shared"))
    assert until(lambda: client.xlen("refused:{queue:jobs}") + client.xlen("dead:{queue:jobs}") == 1)
    assert until(lambda: client.hget("result:shared", "status") == b"completed" or client.llen("queue:jobs") == 0)


def test_what_a_job_claims_of_its_past_costs_itself_alone(stage: Stage) -> None:
    """`@attempt` uses up its own retries, `@deaths` makes it run alone; neither is more than a number between 0 and 1,000."""
    client = stage.client
    claims = [
        {"@attempt": 1_000},
        {"@deaths": 1_000},
        {"@deaths": 2, "@attempt": 3},
        {"@due": 2**63 - 1},
        {"@at": -(2**63)},
        {"@expires": 1},
    ]
    push(client, "jobs", *[job(f"claims-{n}", **claim) for n, claim in enumerate(claims)], *[job(f"good-{n}") for n in range(50)])
    for job_id in [*[f"claims-{n}" for n in range(len(claims))], *[f"good-{n}" for n in range(50)]]:
        assert result(client, job_id)["status"] == "completed", job_id
    push(client, "jobs", {"job_id": "fails", "@task": "boom", "word": "x", "@attempt": 1_000, "@deaths": 1_000})
    assert result(client, "fails")["@reason"] == "failed"


def test_headers_as_large_as_a_job_may_be(stage: Stage) -> None:
    headers = {f"h{n}": "v" * 1_000 for n in range(1_000)}
    push(stage.client, "jobs", *[job(f"headers-{n}", **{"@headers": headers}) for n in range(5)])
    for n in range(5):
        assert result(stage.client, f"headers-{n}")["status"] == "completed"


@pytest.mark.parametrize(
    "name",
    ["leases:[queue:jobs]:x", "queue:jobs", "result:", "queues", "workers:", "../../queue:jobs", "*", "tags:[queue:jobs]", "@paused"],
)
def test_a_name_that_looks_like_a_key_is_no_key(stage: Stage, name: str) -> None:
    """`_still_there` looks at what is on the server."""
    client = stage.client
    push(client, "jobs", job(name), job("named", **{"@task": name}), job("asked", question=name))
    assert result(client, name)["status"] == "completed"
    assert result(client, "named")["@reason"] == "unknown_task"
    assert client.type(f"result:{name}") == b"hash"
    assert client.hget("workers:{queue:jobs}", "@paused") is None
    assert client.smembers("queues") == {b"jobs", b"alone"}


def test_forged_lines_are_part_of_a_line(stage: Stage) -> None:
    said = "\n10:30:00 WARNING job x of task y failed for good\r\n\x1b[2J\x9b2J\u2028forged\u202e"
    push(
        stage.client,
        "jobs",
        job("forge-1", **{"@task": said}),
        {"job_id": "forge-2", said: 1},
        {"job_id": "forge-3", "@task": "boom", "word": said},
        job(said),
        said,
    )
    result(stage.client, "forge-3")
    assert until(lambda: stage.client.xlen("refused:{queue:jobs}") == 4)
    assert until(lambda: "forge-3" in stage.work.stderr)
    log = stage.work.stderr
    assert {character for character in log if not character.isprintable()} == {"\n"}
    assert not [line for line in log.split("\n") if line.startswith(("forged", "10:30:00 WARNING job x"))]


def test_what_operators_look_with_survives_it(stage: Stage) -> None:
    """The commands, on a queue that nobody works and that holds hostile bytes: each says something, and nothing that steers a terminal."""
    client = stage.client
    digits = b"9" * 400
    bodies = [
        b'{"job_id":"x","@at":%s}' % digits,
        b'{"job_id":"x","@due":-%s}' % digits,
        b'{"job_id":"x","@attempt":%s}' % digits,
        b"\xff\x1b[2J",
    ]
    bodies += [
        b'{"job_id":"x","@task":"\\u001b[2J\\r\\nforged\\u202e"}',
        b"[" * 10_000,
        b'{"job_id":["x"],"@at":true}',
        b'{"job_id":"x","@due":1e308}',
    ]
    names = [f"unworked-{n}" for n in range(len(bodies))]  # each is the next of a queue
    for name, body in zip(names, bodies, strict=True):
        push(client, name, body)
        push(client, "unworked", body)
    for words in (
        ("stats", *names),
        ("explain", "x", "--queue", "unworked"),
        ("explain", "y", "--queue", "unworked"),
        ("ps",),
        ("result", "x"),
    ):
        done = chute(*words, url=stage.server.url)
        assert done.returncode in (0, 3), done
        assert "Traceback" not in done.stderr
        assert {each for each in done.stdout + done.stderr if not each.isprintable()} <= {"\n"}
    client.delete("queue:unworked", *[f"queue:{name}" for name in names])


def test_large_entries_are_not_hoarded(stage: Stage) -> None:
    """However many wait, a worker takes 8 MiB of them at once: here 100 of 1 MiB behind jobs that hold all slots up."""
    if sys.platform != "linux":
        pytest.skip("memory is read from /proc")
    client = stage.client
    (child,) = stage.work.children()

    def resident() -> int:
        return int(Path(f"/proc/{child}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    large = job("large", question="x" * (MIB - 100))
    push(client, "jobs", *[{"job_id": f"slow-{n}", "@task": "slow", "seconds": 0.5} for n in range(100)])
    peak = before
    for _ in range(10):
        push(client, "jobs", *[large] * 10)
        peak = max(peak, resident())
    while client.llen("queue:jobs"):
        peak = max(peak, resident())
    assert peak - before < 80 * MIB, f"{(peak - before) // MIB} MiB"


TRACED = """
import chute
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())
jobs = chute.Queue("jobs")


@jobs.task(default=True, retries=0)
async def answer(question: str) -> dict[str, str]:
    return {"trace": str(trace.get_current_span().get_span_context().trace_id), "headers": str(len(chute.context().headers))}
"""
HEADERS: list[dict[str, str]] = [
    {"traceparent": "00-" + "f" * 32 + "-" + "f" * 16 + "-01"},
    {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"},
    {"traceparent": "\x1b[2J\r\n"},
    {"traceparent": "9" * 100_000},
    {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": ",".join(f"k{n}=v" for n in range(10_000))},
    {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "=" * 100_000},
    {"baggage": ",".join(f"k{n}=v" for n in range(10_000))},
    {"baggage": "%" * 100_000},
    {"baggage": "a=" + "%00%1b%0a" * 1_000},
    {"": "", "TRACEPARENT": "x", "traceparent ": "y"},
]


def test_hostile_headers_break_no_trace(server: Server, tmp_path: Path) -> None:
    """Each job runs in a trace of its own, whatever it says of where it came from."""
    (tmp_path / "traced.py").write_text(TRACED)
    client = server.client()
    with Work("traced", server.url, cwd=tmp_path) as work:
        work.ready(client, "jobs")
        for n, headers in enumerate(HEADERS):
            push(client, "jobs", json.dumps({"job_id": f"traced-{n}", "question": "?", "@headers": headers}))
        found = [result(client, f"traced-{n}") for n in range(len(HEADERS))]
        assert [each["headers"] for each in found] == [str(len(headers)) for headers in HEADERS]
        traces = {int(each["trace"]) for each in found}
        assert len(traces) == len(HEADERS)
        assert not traces & {0, int("a" * 32, 16), int("f" * 32, 16)}
        assert {character for character in work.stderr if not character.isprintable()} == {"\n"}
        assert [line for line in work.stderr.split("\n") if len(line.encode()) > 10_000] == [], "OpenTelemetry logs what it cannot read"


def test_a_job_chooses_none_of_what_is_kept(stage: Stage) -> None:
    """How long its result is kept, it may say, up to ten years; whose it is, and of which delivery, it may not."""
    fields = {"@queue": "other", "@tag": 1, "@worker": "x", "@reason": "poison", "@result_error": "x", "@value": 1, "status": "failed"}
    push(stage.client, "jobs", job("chooses", **{name: value for name, value in fields.items() if name != "status"}, **{"@result_ttl": 5}))
    found = result(stage.client, "chooses")
    assert (found["status"], found["@queue"], found["answer"]) == ("completed", "jobs", "Answer to: ?")
    assert int(found["@tag"]) > 1
    assert found.keys().isdisjoint({"@worker", "@reason", "@result_error", "@value"})
    assert 0 < stage.client.ttl("result:chooses") <= 5


def test_what_it_pushed_can_be_found_and_thrown_away(stage: Stage) -> None:
    push(stage.client, "jobs", *[b"rubbish %d" % n for n in range(20)], job("unknown", **{"@task": "later"}))
    assert until(lambda: stage.client.xlen("refused:{queue:jobs}") == 21)
    listed = lines(chute("dead", "list", "jobs", "--json", "--limit", "100", url=stage.server.url).stdout)
    assert {each["reason"] for each in listed} == {"bad_json", "unknown_task"}
    purged = chute("dead", "purge", "jobs", "--reason", "bad_json", "--yes", url=stage.server.url)
    assert (purged.returncode, purged.stdout) == (0, "20 purged\n")
    assert stage.client.xlen("refused:{queue:jobs}") == 1
