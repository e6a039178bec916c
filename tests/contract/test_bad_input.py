"""Whatever is pushed, no worker stops, the neighbours are unharmed, and the bytes are kept with a reason. One worker takes it all."""

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from chute import Queue, envelope
from contract.corpus import CASES, HOME, TABLE, Case, Given, Name, job, of_group
from contract.helpers import Work, chute, letters, lines, push, result, working
from servers import Server, StartServer, until

KEPT = 64 << 10


@dataclass
class Stage:
    server: Server
    work: Work
    client: redis.Redis
    pids: list[int]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One server and one worker for the whole corpus."""
    with Server("valkey") as server, working(server, "tasks", "jobs", "alone") as work:
        yield Stage(server, work, server.client(), work.children())


@pytest.fixture(autouse=True)
def _clean(stage: Stage) -> None:
    """Each case starts without the last one's results and dead letters."""
    names = [key for pattern in ("result:*", "refused:*", "dead:*") for key in stage.client.keys(pattern)]
    if names:
        stage.client.delete(*names)


def kept_as_listed(client: redis.Redis, case: Case) -> None:
    """Exactly one dead letter, with its reason and its bytes; a result exactly where a waiter can be told."""
    assert until(lambda: client.xlen("refused:{queue:jobs}") > 0, 5), "nothing was refused"
    (letter,) = letters(client, "refused", "jobs")
    assert letter["reason"].decode() == case.reason
    assert letter["body"] == case.body[:KEPT]
    if len(case.body) > KEPT:
        assert int(letter["length"]) == len(case.body)
        digest = hashlib.sha256(case.body).hexdigest() if len(case.body) <= envelope.READ else ""
        assert letter.get("sha256", b"").decode() == digest
    assert client.xlen("dead:{queue:jobs}") == 0
    if case.told:
        fields = result(client, case.told, 2)
        assert (fields["status"], fields["@reason"]) == ("failed", case.reason)
        assert 0 < len(fields["error"].encode()) <= 8 << 10


def told(client: redis.Redis) -> set[str]:
    return {key.decode().removeprefix("result:") for key in client.keys("result:*")}


def test_each_file_has_a_verdict() -> None:
    """And each case of the table its file, or the parts of which it is made."""
    files = {path.relative_to(HOME).as_posix() for path in HOME.rglob("*") if path.is_file()}
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert files == {case.name for case in CASES if not case.made} | {"verdicts.json"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_alone_and_in_the_middle_of_a_good_batch(stage: Stage, case: Case) -> None:
    client = stage.client
    push(client, "jobs", case.body)
    if case.reason:
        kept_as_listed(client, case)
        assert told(client) == ({case.told} if case.told else set())
    else:
        assert until(lambda: bool(told(client)), 5), "it did not run"
        assert result(client, told(client).pop())["status"] == "completed"
    _clean_again(client)
    good = [job(f"good-{n}") for n in range(49)]
    push(client, "jobs", *good[:25], case.body, *good[25:])
    for n in range(49):
        assert result(client, f"good-{n}")["status"] == "completed"
    if case.reason:
        kept_as_listed(client, case)
        assert told(client) - {f"good-{n}" for n in range(49)} == ({case.told} if case.told else set())
    else:
        assert until(lambda: len(told(client)) == 50, 5)
        assert client.xlen("refused:{queue:jobs}") == 0
    assert stage.work.process.poll() is None
    assert stage.work.children() == stage.pids


def _clean_again(client: redis.Redis) -> None:
    names = [*client.keys("result:*"), *client.keys("refused:*")]
    client.delete(*names)


def test_the_text_that_arrives_is_the_text_that_was_pushed(stage: Stage) -> None:
    for case in of_group("encodings"):
        if case.reason:
            continue
        push(stage.client, "jobs", case.body)
        sent = json.loads(case.body)
        assert result(stage.client, sent["job_id"])["answer"] == f"Answer to: {sent['question']}"


def test_of_a_repeated_key_the_last_counts(stage: Stage) -> None:
    push(stage.client, "jobs", b'{"job_id":"a-first","question":"one","question":"two","job_id":"a-last"}')
    assert result(stage.client, "a-last")["answer"] == "Answer to: two"
    assert told(stage.client) == {"a-last"}


def test_an_id_that_another_job_has_is_another_delivery(stage: Stage) -> None:
    push(stage.client, "jobs", job("twin", question="one"))
    first = result(stage.client, "twin")
    push(stage.client, "jobs", job("twin", question="two"))
    assert until(lambda: stage.client.hget("result:twin", "answer") == b"Answer to: two")
    assert int(result(stage.client, "twin")["@tag"]) > int(first["@tag"])


def outcome_of(client: redis.Redis, number: str) -> str:
    """The JSON of a number that a task got and gave back; "" when it was refused."""
    push(client, "alone", b'{"job_id":"number","value":' + number.encode() + b"}")
    assert until(lambda: client.exists("result:number") == 1 or client.xlen("refused:{queue:alone}") == 1, 5)
    fields = client.hgetall("result:number")
    client.delete("result:number", "refused:{queue:alone}")
    return fields.get(b"value", b"").decode() if fields.get(b"status") == b"completed" else ""


@pytest.mark.parametrize("number", TABLE.integers, ids=lambda number: number[:25])
def test_integers_are_exact_or_refused(stage: Stage, number: str) -> None:
    given = outcome_of(stage.client, number)
    assert given == "" or int(given) == int(number)
    if abs(int(number)) < 1 << 63:
        assert given, "every language has integers of 64 bits"


@pytest.mark.parametrize("number", TABLE.decimals, ids=lambda number: number[:25])
def test_decimals_are_the_nearest_double(stage: Stage, number: str) -> None:
    given = outcome_of(stage.client, number)
    assert repr(float(given)) == repr(float(number))


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_whole_corpus_at_once(server: Server, form: str) -> None:
    """Everything in one command: refused and run entry by entry, and each is one line of the log that steers no terminal."""
    bodies = [(case.body, case.reason) for case in CASES]
    refused = sorted((body[:KEPT], reason) for body, reason in bodies if reason)
    with working(server, "tasks:jobs", "jobs", options=("--log-format", form)) as work, server.new_client() as client:
        pids = work.children()
        push(client, "jobs", *[body for body, _ in bodies], job("behind-them"))
        assert result(client, "behind-them", 20)["status"] == "completed"
        assert until(lambda: client.xlen("refused:{queue:jobs}") >= len(refused), 20)
        found = sorted((letter["body"], letter["reason"].decode()) for letter in letters(client, "refused", "jobs"))
        assert found == refused
        assert until(lambda: client.llen("queue:jobs") == 0 and not client.keys("leases:*"))
        assert work.children() == pids
        said = work.stderr
    assert len([line for line in said.split("\n") if "was refused" in line]) == len(refused)
    assert_tame(said)
    if form == "json":
        assert all(lines(line) for line in said.split("\n") if line.startswith("{"))


def assert_tame(log: str) -> None:
    """No line is longer than 2 kB, and nothing in them steers a terminal."""
    assert [line for line in log.split("\n") if len(line.encode()) > 2_000] == []
    assert {character for character in log if not character.isprintable()} <= {"\n"}


def test_a_server_can_be_told_to_take_no_larger_entry(start_server: StartServer) -> None:
    """By default it takes half a gigabyte in one, and a worker has to be sent that before it can refuse it."""
    server = start_server("valkey", "--proto-max-bulk-len", "2mb")
    client = server.client()
    with working(server, "tasks:jobs", "jobs") as work, socket.socket(socket.AF_UNIX) as raw:
        raw.connect(server.url.removeprefix("unix://"))
        raw.settimeout(5)
        raw.sendall(b"*3\r\n$5\r\nLPUSH\r\n$10\r\nqueue:jobs\r\n$536870912\r\n")
        assert raw.recv(100).startswith(b"-ERR Protocol error: invalid bulk length")
        assert raw.recv(100) == b""
        for case in of_group("sizes"):
            if len(case.body) < 2 << 20:
                push(client, "jobs", case.body)
        push(client, "jobs", job("behind"))
        assert result(client, "behind")["status"] == "completed"
        assert work.process.poll() is None


def test_ten_thousand_entries_of_one_byte_leave_a_bounded_pile(stage: Stage) -> None:
    push(stage.client, "jobs", {"job_id": "real", "@task": "boom", "word": "a real failure"})
    result(stage.client, "real")
    push(stage.client, "jobs", *[b"x"] * 10_000)
    push(stage.client, "jobs", job("behind-them"))
    result(stage.client, "behind-them", 20)
    assert until(lambda: stage.client.llen("queue:jobs") == 0)
    assert until(lambda: stage.client.xlen("refused:{queue:jobs}") <= 1_200)
    assert [letter["job_id"] for letter in letters(stage.client, "dead", "jobs")] == [b"real"]


def test_the_logs_hold_one_line_an_event_and_no_control_byte(stage: Stage) -> None:
    """Reads what all tests before it on this worker have written."""
    push(
        stage.client,
        "jobs",
        b'{"job_id":"\\u001b[2J\\r\\nforged","question":"?"}',
        b"\x1b[31m\x07not json",
        job("log", **{"@task": "a\nb\x1b[0m"}),
    )
    push(stage.client, "jobs", *[case.body for case in of_group("arguments", "task-name")])
    push(stage.client, "jobs", {"job_id": "log-boom", "@task": "boom", "word": "two\nlines \x1b[2J"})
    result(stage.client, "log-boom")
    assert until(lambda: "log-boom" in stage.work.stderr)
    log = stage.work.stderr
    assert_tame(log)
    assert not [line for line in log.splitlines() if line.startswith(("forged", "lines"))]


def test_what_was_refused_can_be_read_with_the_command(stage: Stage) -> None:
    push(stage.client, "jobs", b"\xff\xfe not text", b"null", b" " * (1 << 21))
    assert until(lambda: stage.client.xlen("refused:{queue:jobs}") == 3)
    done = chute("dead", "list", "jobs", "--json", url=stage.server.url)
    large, null, binary = lines(done.stdout)
    assert [each["reason"] for each in (large, null, binary)] == ["too_large", "bad_shape", "bad_utf8"]
    assert null["job"] == "null"
    assert binary["job_base64"] == "//4gbm90IHRleHQ="
    assert "job" not in binary
    shown = chute("dead", "show", "jobs", large["entry"], url=stage.server.url)
    assert shown.returncode == 0
    refused = chute("dead", "requeue", "jobs", large["entry"], url=stage.server.url)
    assert refused.returncode == 2
    assert stage.client.xlen("refused:{queue:jobs}") == 3


def test_nothing_is_imported_or_opened_or_run() -> None:
    """Whatever is pushed, Python's audit events are those of good jobs: none at all."""
    with Server("valkey") as server, Work("watched", server.url, CHUTE_BEAT="0.2") as work, server.new_client() as client:
        work.ready(client, "watched")
        assert until(work.children)  # the process that beats for it is started once, before anything is pushed
        push(client, "watched", job("warm-1"), {"job_id": "warm-2", "@task": "nowhere"}, {"job_id": "start", "@task": "watch", "on": True})
        result(client, "start")
        push(client, "watched", *[case.body for case in CASES])
        assert until(lambda: client.xlen("refused:{queue:watched}") > len([case for case in CASES if case.reason]), 20)
        push(client, "watched", {"job_id": "hostile", "@task": "noticed"})
        assert json.loads(result(client, "hostile")["@value"]) == []
        push(client, "watched", {"job_id": "reach", "@task": "reach"})
        result(client, "reach")
        push(client, "watched", {"job_id": "reached", "@task": "noticed"})
        seen = {each.split()[0] for each in json.loads(result(client, "reached")["@value"])}
        assert seen >= {"import", "exec", "compile", "open", "os.system", "subprocess.Popen", "socket.connect", "pickle.find_class"}
        push(client, "watched", {"job_id": "stop", "@task": "watch", "on": False})
        result(client, "stop")


@pytest.mark.parametrize("given", TABLE.queues, ids=lambda given: repr(str(given))[:30])
def test_what_may_name_a_queue(given: Name) -> None:
    name = str(given)
    if given.good:
        assert Queue(name).name == name
        return
    with pytest.raises(ValueError, match="not a queue name"):
        Queue(name)


@pytest.mark.parametrize("words", [("push", "NAME", "{}"), ("stats", "NAME"), ("dead", "list", "NAME")], ids=lambda words: words[0])
def test_no_command_takes_another_name(words: tuple[str, ...]) -> None:
    for name in ("jobs:dead", "leases:{queue:jobs}:x", "\x1b[2J\njobs"):
        done = chute(*[name if word == "NAME" else word for word in words])
        assert (done.returncode, done.stdout) == (2, "")
        assert "not a queue name" in done.stderr
        assert_tame(done.stderr)


@pytest.mark.parametrize("given", TABLE.results, ids=lambda given: given.case)
def test_what_a_task_gives_back_collides_with_nothing(stage: Stage, given: Given) -> None:
    """A value chooses neither the status of its job nor how long it is kept, and no field of ours."""
    push(stage.client, "alone", {"job_id": "value", "@task": "give_back", "value": given.value})
    fields = result(stage.client, "value")
    ours = {"status", "completed_at", "@queue", "@tag"}
    assert sorted(fields.keys() - ours) == given.fields
    assert (fields["status"], fields["@queue"]) == ("completed", "alone")
    assert 0 < stage.client.ttl("result:value") <= 3600
    if given.fields == ["@value"]:
        assert json.loads(fields["@value"]) == given.value


@pytest.mark.parametrize("name", ["answer", "echo"])
def test_a_hostile_batch_costs_its_neighbours_little(stage: Stage, name: str) -> None:
    """The slowest entries to look at, with a good job right behind them."""
    slow = [case for case in CASES if case.reason and len(case.body) > 50_000]
    for case in slow:
        body = case.body
        started = time.monotonic()
        push(stage.client, "jobs", body, job(f"{name}-behind"))
        result(stage.client, f"{name}-behind")
        assert time.monotonic() - started < 1, case.name
        stage.client.delete(f"result:{name}-behind")
