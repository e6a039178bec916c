"""Clients that know nothing of Chute: redis-cli, a bare redis-py and a raw socket put jobs in, read results and take jobs out."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from contract.helpers import Work, push, result, working
from contract.tasks import jobs
from servers import Kind, Server, binary, until


@dataclass
class Stage:
    server: Server
    work: Work
    client: redis.Redis


@pytest.fixture(scope="module", params=["valkey", "redis"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A server of each kind with one worker on it."""
    kind: Kind = request.param
    if kind == "redis" and binary("redis") is None and os.environ.get("CHUTE_REQUIRE_REDIS") != "1":
        pytest.skip("no redis-server in PATH (CHUTE_REQUIRE_REDIS=1 makes this a failure)")
    with Server(kind) as server, working(server, "tasks", "jobs", "alone", options=("--concurrency", "1")) as work:
        yield Stage(server, work, server.client())


def cli(server: Server, *words: str) -> str:
    if shutil.which("redis-cli") is None and os.environ.get("CHUTE_REQUIRE_REDIS") != "1":
        pytest.skip("no redis-cli in PATH (CHUTE_REQUIRE_REDIS=1 makes this a failure)")
    command = ["redis-cli", "-s", server.socket, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.rstrip("\n")


def speak(server: Server, *command: str) -> bytes:
    """One command and the first bytes of its reply, over a socket and without any library."""
    request = f"*{len(command)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(10)
        wire.connect(server.socket)
        wire.sendall(request.encode())
        return wire.recv(65536)


def test_redis_cli_pushes_and_reads_the_result(stage: Stage) -> None:
    assert int(cli(stage.server, "LPUSH", "queue:jobs", '{"job_id": "job_123", "question": "What is RAG?"}')) >= 1
    assert until(lambda: cli(stage.server, "EXISTS", "result:job_123") == "1")
    said = cli(stage.server, "--no-raw", "HGETALL", "result:job_123")
    assert '"answer"' in said
    words = cli(stage.server, "HGETALL", "result:job_123").splitlines()
    fields = dict(zip(words[::2], words[1::2], strict=True))
    assert fields["status"] == "completed"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fields["completed_at"])
    assert fields["answer"] == "Answer to: What is RAG?"
    assert fields["@queue"] == "jobs"
    assert int(fields["@tag"]) >= 1
    assert set(fields) == {"status", "completed_at", "answer", "@queue", "@tag"}
    assert 3500 < int(cli(stage.server, "TTL", "result:job_123")) <= 3600


def test_a_raw_socket_is_enough(stage: Stage) -> None:
    assert speak(stage.server, "LPUSH", "queue:jobs", '{"job_id":"raw-1","question":"größer?"}').startswith(b":")
    assert until(lambda: b"completed" in speak(stage.server, "HGETALL", "result:raw-1"))
    assert "Answer to: größer?".encode() in speak(stage.server, "HGETALL", "result:raw-1")


def test_a_bare_library_pushes_many_in_one_command(stage: Stage) -> None:
    push(stage.client, "jobs", *[{"job_id": f"many-{n}", "question": str(n)} for n in range(200)])
    answers = [result(stage.client, f"many-{n}")["answer"] for n in range(200)]
    assert answers == [f"Answer to: {n}" for n in range(200)]


def test_first_in_first_out_within_one_push_and_across(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "order"
    word = [json.dumps({"job_id": f"order-{n}", "@task": "note", "path": str(path), "word": str(n)}) for n in range(30)]
    push(stage.client, "jobs", {"@task": "slow", "seconds": 0.3})  # the one slot is taken while these come
    push(stage.client, "jobs", *word[:10])
    for each in word[10:20]:
        push(stage.client, "jobs", each)
    push(stage.client, "jobs", *word[20:])
    tags = [int(result(stage.client, f"order-{n}")["@tag"]) for n in range(30)]
    assert path.read_text().split() == [str(n) for n in range(30)]
    assert tags == sorted(tags)
    assert len(set(tags)) == 30


def test_a_job_without_an_id_runs_and_leaves_no_result(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "ran"
    before = set(stage.client.keys("result:*"))
    push(stage.client, "jobs", {"@task": "note", "path": str(path), "word": "ran"})
    push(stage.client, "jobs", {"job_id": "after-it", "question": "?"})
    result(stage.client, "after-it")
    assert path.read_text() == "ran\n"
    assert set(stage.client.keys("result:*")) - before == {b"result:after-it"}


def test_a_queue_with_one_task_needs_no_name_of_it(stage: Stage) -> None:
    push(stage.client, "alone", {"job_id": "alone-1", "value": [1, {"deep": None}]})
    fields = result(stage.client, "alone-1")
    assert json.loads(fields["value"]) == [1, {"deep": None}]
    assert json.loads(fields["@json"]) == ["value"]


def test_a_failure_is_readable_by_anyone(stage: Stage) -> None:
    push(stage.client, "jobs", {"job_id": "boom-1", "@task": "boom", "word": "no such account"})
    fields = result(stage.client, "boom-1")
    assert fields["status"] == "failed"
    assert fields["error"] == "ValueError: no such account"
    assert "raise ValueError(word)" in fields["@traceback"]
    assert fields["@reason"] == "failed"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fields["completed_at"])
    assert 3500 < stage.client.ttl("result:boom-1") <= 3600


def test_a_foreign_consumer_takes_what_enqueue_put_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTE_URL", server.url)
    from contract.tasks import answer

    first = answer.enqueue("one")
    second = answer.options(headers={"trace": "t-1"}).enqueue("two")
    client = server.client()
    assert client.llen("queue:jobs") == 2 == jobs.depth()
    _, body = client.brpop(["queue:jobs"], timeout=5)
    job = json.loads(body)
    assert isinstance(job.pop("@at"), int)
    assert job == {"job_id": first.id, "question": "one", "@task": "answer"}
    job = json.loads(client.rpop("queue:jobs"))
    del job["@at"]
    assert job == {"job_id": second.id, "question": "two", "@task": "answer", "@headers": {"trace": "t-1"}}
    assert client.llen("queue:jobs") == 0 == jobs.depth()


def test_what_it_pushes_back_is_worked(stage: Stage) -> None:
    """A foreign program may move a job through a list of its own; the bytes are all there is to a job."""
    push(stage.client, "elsewhere", {"job_id": "moved-1", "question": "?", "@at": 1, "@unknown": {"kept": True}})
    stage.client.lmove("queue:elsewhere", "queue:jobs", "RIGHT", "LEFT")
    assert result(stage.client, "moved-1")["status"] == "completed"


def test_foreign_consumers_and_workers_share_one_queue(stage: Stage) -> None:
    sent = [f"share-{n}" for n in range(300)]
    push(stage.client, "jobs", {"job_id": "share-slow", "@task": "slow", "seconds": 0.2})
    push(stage.client, "jobs", *[{"job_id": each, "question": "?"} for each in sent])
    taken = set()
    while (body := stage.client.rpop("queue:jobs")) is not None:
        taken.add(json.loads(body)["job_id"])
        if len(taken) == 100:
            break
    assert taken
    for each in sent:
        if each not in taken:
            result(stage.client, each)
    assert not any(stage.client.exists(f"result:{each}") for each in taken)


def test_a_program_without_this_package_can_ask(stage: Stage) -> None:
    """The whole of a client in another process: only the server's own library is imported."""
    program = (
        "import json, sys, time, redis\n"
        "server = redis.Redis(unix_socket_path=sys.argv[1], decode_responses=True)\n"
        "server.lpush('queue:jobs', json.dumps({'job_id': 'foreign-1', 'question': 'Who?'}))\n"
        "end = time.monotonic() + 10\n"
        "while not (found := server.hgetall('result:foreign-1')) and time.monotonic() < end: time.sleep(0.01)\n"
        "server.close()\n"
        "assert 'chute' not in sys.modules\n"
        "print(found['status'], found['answer'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, stage.server.socket], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.stderr) == ("completed Answer to: Who?\n", "")
