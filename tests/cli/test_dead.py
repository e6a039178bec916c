"""`chute dead`: dead letters are listed, shown, put back and thrown away."""

import base64
import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator

import pytest

from contract.helpers import COMMAND, HERE, Work, chute, environment, letters, lines, push
from servers import Server

SHAPE = {"entry", "at", "job_id", "task", "reason", "error", "attempt", "deaths", "worker", "job"}
BOOM = [{"job_id": f"boom-{n}", "@task": "boom", "word": f"word {n}"} for n in range(3)]
BYTES = b"\xff\xfe no text"


@pytest.fixture
def dead(server: Server) -> Iterator[Server]:
    """A server with three failures and four refused entries: bytes, no JSON, one of an unknown task, one that was cut."""
    for job in (*BOOM, BYTES, "not json", {"job_id": "later", "@task": "not_yet", "question": "?"}, b" " * (1 << 21)):
        push(server.client(), "jobs", job)
    with Work("tasks:jobs", server.url, "--burst", "--concurrency", "1") as work:
        assert work.wait() == 0, work.stderr
    yield server
    server.client().flushall()


def listed(server: Server, *words: str) -> list[dict[str, object]]:
    done = chute("dead", "list", "jobs", "--json", *words, url=server.url)
    assert (done.returncode, done.stderr) == (0, "")
    return lines(done.stdout)


def test_what_is_listed(dead: Server) -> None:
    found = listed(dead)
    assert len(found) == 7
    assert {str(each["entry"]).split("/")[0] for each in found} == {"dead", "refused"}
    for each in found:
        assert set(each) in (SHAPE, SHAPE - {"job"} | {"job_base64"})
        assert re.fullmatch(r"(dead|refused)/\d+-\d+", str(each["entry"]))
    (last_failure,) = [each for each in found if each["job_id"] == "boom-2"]
    assert [last_failure[name] for name in ("task", "reason", "error", "attempt", "deaths")] == [
        "boom",
        "failed",
        "ValueError: word 2",
        1,
        0,
    ]
    (binary,) = [each for each in found if "job_base64" in each]
    assert base64.b64decode(str(binary["job_base64"])) == BYTES
    assert binary["reason"] == "bad_utf8"
    stamps = [tuple(map(int, str(each["entry"]).split("/")[1].split("-"))) for each in found]
    assert stamps == sorted(stamps, reverse=True), "newest first, whichever stream"


def test_fewer_are_listed(dead: Server) -> None:
    assert [each["job_id"] for each in listed(dead, "--reason", "failed", "--limit", "2")] == ["boom-2", "boom-1"]
    assert listed(dead, "--reason", "poison") == []
    text = chute("dead", "list", "jobs", url=dead.url)
    assert (text.returncode, len(text.stdout.splitlines())) == (0, 7)
    assert "ValueError: word 2" in text.stdout
    assert not [character for character in text.stdout if ord(character) < 32 and character != "\n"]


def test_what_is_shown_steers_no_terminal(server: Server) -> None:
    """In the text of the job, in the names that it gives and in the error of a task."""
    push(
        server.client(),
        "jobs",
        b'{"job_id": "\x1b]0;title\x07"',
        '{"question": "?"}\nreason: forged\x9b2J\u202e no',
        {"job_id": "names", "@task": "\x1b[2J\r\nforged"},
        {"job_id": "error", "@task": "boom", "word": "\x1b[2J\rforged\x9b2J\u202e\nmore"},
    )
    with Work("tasks:jobs", server.url, "--burst") as work:
        assert work.wait() == 0
    text = chute("dead", "list", "jobs", url=server.url).stdout
    assert len(text.splitlines()) == 4
    for entry in listed(server):
        text += (shown := chute("dead", "show", "jobs", str(entry["entry"]), url=server.url).stdout)
        assert len([line for line in shown.splitlines() if line.startswith("reason: ")]) == 1
    assert r"\x1b[2J" in text
    assert [each for each in text if not each.isprintable() and each != "\n"] == []


def test_one_is_shown_whole(dead: Server) -> None:
    (letter,) = [each for each in listed(dead, "--reason", "failed") if each["job_id"] == "boom-1"]
    shown = chute("dead", "show", "jobs", str(letter["entry"]), url=dead.url)
    assert shown.returncode == 0
    assert "raise ValueError(word)" in shown.stdout
    assert lines(chute("dead", "show", "jobs", str(letter["entry"]), "--json", url=dead.url).stdout) == [letter]
    assert json.loads(str(letter["job"])) == BOOM[1] if isinstance(letter["job"], str) else letter["job"] == BOOM[1]
    assert chute("dead", "show", "jobs", "dead/1-1", url=dead.url).returncode == 3
    for wrong in ("1-1", "dead/x", "queue/1-1", "dead"):
        assert chute("dead", "show", "jobs", wrong, url=dead.url).returncode == 2


def test_put_back_they_are_worked_again_oldest_first(dead: Server) -> None:
    client = dead.client()
    assert client.hget("result:boom-0", "status") == b"failed"
    done = chute("dead", "requeue", "jobs", "--reason", "failed", url=dead.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3" in done.stdout
    assert [json.loads(body)["job_id"] for body in reversed(client.lrange("queue:jobs", 0, -1))] == ["boom-0", "boom-1", "boom-2"]
    assert client.xlen("dead:{queue:jobs}") == 0
    assert not client.exists("result:boom-0", "result:boom-1", "result:boom-2")
    assert not [body for body in client.lrange("queue:jobs", 0, -1) if "@attempt" in json.loads(body)]


def test_put_back_by_entry_and_by_id(dead: Server) -> None:
    client = dead.client()
    entry = f"dead/{letters(client, 'dead', 'jobs')[0]['entry'].decode()}"
    assert chute("dead", "requeue", "jobs", entry, url=dead.url).returncode == 0
    assert chute("dead", "requeue", "jobs", entry, url=dead.url).returncode == 3, "it is there once"
    assert chute("dead", "requeue", "jobs", "--job-id", "boom-2", url=dead.url).returncode == 0
    assert [json.loads(body)["job_id"] for body in client.lrange("queue:jobs", 0, -1)] == ["boom-2", "boom-0"]
    assert [each["job_id"] for each in letters(client, "dead", "jobs")] == [b"boom-1"]


def test_after_a_deploy_that_knew_a_task_too_late(dead: Server) -> None:
    client = dead.client()
    assert client.hget("result:later", "@reason") == b"unknown_task"
    assert chute("dead", "requeue", "jobs", "--reason", "unknown_task", url=dead.url).returncode == 0
    assert [json.loads(body)["job_id"] for body in client.lrange("queue:jobs", 0, -1)] == ["later"]
    assert not client.exists("result:later")


def test_what_was_cut_cannot_be_put_back(dead: Server) -> None:
    client = dead.client()
    assert chute("dead", "requeue", "jobs", "--reason", "too_large", url=dead.url).returncode == 2
    assert (client.llen("queue:jobs"), client.xlen("refused:{queue:jobs}")) == (0, 4)


def test_throwing_away_asks_first(dead: Server) -> None:
    client = dead.client()
    for words in (("dead", "purge", "jobs", "--all"), ("dead", "purge", "jobs", "--reason", "failed")):
        done = chute(*words, url=dead.url)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--yes" in done.stderr
    assert client.xlen("dead:{queue:jobs}") + client.xlen("refused:{queue:jobs}") == 7
    assert chute("dead", "purge", "jobs", "--job-id", "boom-1", "--yes", url=dead.url).returncode == 0
    assert [each["job_id"] for each in letters(client, "dead", "jobs")] == [b"boom-0", b"boom-2"]
    assert chute("dead", "purge", "jobs", "--reason", "bad_json", "--yes", url=dead.url).returncode == 0
    assert client.xlen("refused:{queue:jobs}") == 3
    assert chute("dead", "purge", "jobs", "--all", "--yes", url=dead.url).returncode == 0
    assert client.xlen("dead:{queue:jobs}") + client.xlen("refused:{queue:jobs}") == 0


@pytest.mark.parametrize(("said", "left"), [("y\n", 0), ("n\n", 3)])
def test_at_a_terminal_it_does_what_was_answered(dead: Server, said: str, left: int) -> None:
    master, slave = pty.openpty()
    command = [*COMMAND, "dead", "purge", "jobs", "--reason", "failed", "--url", dead.url]
    asking = subprocess.Popen(command, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HERE, env=environment())
    os.close(slave)
    os.write(master, said.encode())
    asking.communicate(timeout=20)
    os.close(master)
    assert dead.client().xlen("dead:{queue:jobs}") == left


@pytest.mark.parametrize("action", ["requeue", "purge"])
def test_which_ones_must_be_said_in_one_way(server: Server, action: str) -> None:
    for words in ((), ("--all", "--reason", "failed"), ("dead/1-1", "--all")):
        assert chute("dead", action, "jobs", *words, url=server.url).returncode == 2


def test_no_letters_and_no_server(server: Server) -> None:
    assert listed(server) == []
    assert chute("dead", "list", "jobs", url="redis://127.0.0.1:1").returncode == 4
    assert chute("dead", "list", "a:b", url=server.url).returncode == 2
