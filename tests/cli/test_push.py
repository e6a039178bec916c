"""`chute push`: ids out, jobs in, and a code for each way it can go."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.helpers import COMMAND, chute
from contract.proxy import Proxy
from servers import Server, StartServer

BAD = ("{", "not json", "[]", '"text"', "null", '{"a": NaN}', '{"a": 1e400}', '{"job_id": "a b"}', '{"job_id": null}', '{"@attempt": -1}')


def test_a_job_is_sent_and_its_id_printed(server: Server) -> None:
    done = chute("push", "jobs", '{"job_id": "job_123", "question": "größe?", "n": 9007199254740993}', url=server.url)
    assert (done.returncode, done.stdout) == (0, "job_123\n")
    client = server.client()
    assert json.loads(client.lindex("queue:jobs", 0)) == {"job_id": "job_123", "question": "größe?", "n": 9007199254740993}
    assert "no worker has ever worked queue jobs" in done.stderr
    assert client.keys() == [b"queue:jobs"]


def test_an_id_is_added_where_there_is_none(server: Server) -> None:
    server.client().sadd("queues", "jobs")
    done = chute("push", "jobs", '{"question": "?"}', url=server.url)
    (sent,) = server.client().lrange("queue:jobs", 0, -1)
    assert json.loads(sent) == {"job_id": done.stdout.strip(), "question": "?"}
    assert (done.returncode, done.stderr, len(done.stdout) > 10) == (0, "", True)


@pytest.mark.parametrize("job", BAD)
def test_what_is_no_job_is_not_sent(server: Server, job: str) -> None:
    done = chute("push", "jobs", job, url=server.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert not server.client().exists("queue:jobs")


WRITE = 'Nothing was sent. Write: chute push jobs \'{"question": "What is RAG?"}\''


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["question=What"], 'not JSON at column 1: a job begins with {. Nothing was sent. Write: chute push jobs \'{"question": "What"}\''),
        (["{'a': 1}"], f"not JSON at column 2: names and text stand in double quotes, not in single ones. {WRITE}"),
        (["[]"], f"a job is a JSON object, this is an array. {WRITE}"),
        (["{question:", "What is RAG?}"], f"these are 2 words; a shell leaves a job whole in single quotes. {WRITE}"),
        (["{}", "{}", "-"], f"these are 3 words; a shell leaves a job whole in single quotes. {WRITE}"),
        (['{"job_id": 1}'], "job_id must be 1 to 256 printable ASCII characters without spaces or braces. Nothing was sent"),
        (['{"@attempt": -1}'], '"@attempt" must be int >= 0. Nothing was sent'),
    ],
)
def test_what_is_said_of_what_is_no_job(server: Server, words: list[str], says: str) -> None:
    done = chute("push", "jobs", *words, url=server.url)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"chute: {says}\n")
    assert not server.client().exists("queue:jobs")


def test_what_is_said_of_lines_that_are_no_jobs(server: Server) -> None:
    done = chute("push", "jobs", "-", url=server.url, stdin=b'{"a": 1,\n\nquestion=What\n{"job_id": 1}\n\xff\n')
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "chute: line 1 was not sent: not JSON at column 9: it ends too early",
        "chute: line 3 was not sent: not JSON at column 1: a job begins with {",
        "chute: line 4 was not sent: job_id must be 1 to 256 printable ASCII characters without spaces or braces",
        "chute: line 5 was not sent: not UTF-8: byte 0 cannot be read",
    ]


@pytest.mark.parametrize("name", ["a:b", "", "a b", "{x}", "a" * 65, "queue/1"])
def test_a_name_that_is_none_is_wrong_usage(name: str, server: Server) -> None:
    done = chute("push", name, "{}", url=server.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert not server.client().keys()


def test_of_many_lines_the_good_ones_go_and_the_others_are_named(server: Server) -> None:
    server.client().sadd("queues", "jobs")
    good = [f'{{"job_id": "line-{n}"}}' for n in range(3)]
    sent = [good[0], "oops", good[1], *BAD, b"\xff\xfe".decode("latin-1"), good[2]]
    done = chute("push", "jobs", "-", url=server.url, stdin="\n".join(sent).encode())
    assert (done.returncode, done.stdout) == (1, "line-0\nline-1\nline-2\n")
    assert [json.loads(body)["job_id"] for body in server.client().lrange("queue:jobs", 0, -1)] == ["line-2", "line-1", "line-0"]
    numbers = [2, *range(4, 4 + len(BAD)), 4 + len(BAD)]
    for number, line in zip(numbers, done.stderr.splitlines(), strict=True):
        assert f"line {number}" in line


def test_bytes_that_are_no_text_and_lines_that_are_too_large_are_named(server: Server) -> None:
    server.client().sadd("queues", "jobs")
    large = json.dumps({"q": "x" * (1 << 20)}).encode()
    deep = b'{"q":' + b"[" * 100 + b"]" * 100 + b"}"
    done = chute(
        "push", "jobs", "-", url=server.url, stdin=b"\n".join([b'{"q":"\xff"}', large, deep, b"\xef\xbb\xbf{}", b'{"job_id":"ok"}\n'])
    )
    assert (done.returncode, done.stdout) == (1, "ok\n")
    assert [line.split("line ")[1][0] for line in done.stderr.splitlines()] == ["1", "2", "3", "4"]


def test_when_no_line_is_a_job_nothing_was_sent(server: Server) -> None:
    done = chute("push", "jobs", "-", url=server.url, stdin=b"a\nb\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert not server.client().exists("queue:jobs")


def test_many_jobs_go_in_their_order(server: Server) -> None:
    names = [f"many-{n}" for n in range(25_000)]
    done = chute("push", "jobs", "-", url=server.url, stdin="\n".join(f'{{"job_id":"{name}"}}' for name in names).encode())
    assert (done.returncode, done.stdout.split()) == (0, names)
    assert [json.loads(body)["job_id"] for body in reversed(server.client().lrange("queue:jobs", 0, -1))] == names


def test_which_server(server: Server) -> None:
    """--url, then CHUTE_URL, then REDIS_URL."""
    urls = [f"{server.url}?db={n}" for n in range(3)]
    chute("push", "jobs", '{"job_id": "given"}', url=urls[0], CHUTE_URL=urls[1], REDIS_URL=urls[2])
    chute("push", "jobs", '{"job_id": "ours"}', CHUTE_URL=urls[1], REDIS_URL=urls[2])
    chute("push", "jobs", '{"job_id": "theirs"}', REDIS_URL=urls[2])
    for n, name in enumerate(("given", "ours", "theirs")):
        (body,) = server.client(db=n).lrange("queue:jobs", 0, -1)
        assert json.loads(body) == {"job_id": name}


@pytest.mark.parametrize("url", ["http://x", "nonsense", "redis://host:port", ""])
def test_what_is_no_url_is_wrong_usage(url: str) -> None:
    done = chute("push", "jobs", "{}", "--url", url)
    if url:  # an empty one is none: the next choice counts
        assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_no_server_is_exit_4(tmp_path: Path) -> None:
    started = time.monotonic()
    for url in (f"unix://{tmp_path}/nothing", "redis://127.0.0.1:1/0"):
        done = chute("push", "jobs", "{}", url=url)
        assert (done.returncode, done.stdout) == (4, "")
        assert "Traceback" not in done.stderr
    assert time.monotonic() - started < 11


def test_a_wrong_password_is_exit_4_and_never_on_the_screen(start_server: StartServer) -> None:
    locked = start_server("valkey", tcp=True)
    client = locked.client()
    client.config_set("requirepass", "right")
    for password in (":canary%40-7f3a@", "user:canary-7f3a@"):
        url = locked.tcp_url.replace("//", f"//{password}")
        for words in (("push", "jobs", "{}"), ("stats", "jobs"), ("result", "x"), ("dead", "list", "jobs")):
            done = chute(*words, url=url)
            assert (done.returncode, done.stdout) == (4, ""), done
            assert "canary" not in done.stderr
            assert "Traceback" not in done.stderr
    assert chute("push", "jobs", '{"job_id": "x"}', url=locked.tcp_url.replace("//", "//:right@")).returncode == 0


def test_a_full_server_refuses_and_is_exit_4(start_server: StartServer) -> None:
    full = start_server("valkey", "--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
    done = chute("push", "jobs", "{}", url=full.url)
    assert (done.returncode, done.stdout) == (4, "")
    assert "maxmemory" in done.stderr
    assert not full.client().exists("queue:jobs")


def test_a_key_of_another_type_is_refused_and_exit_4(server: Server) -> None:
    server.client().set("queue:jobs", "x")
    done = chute("push", "jobs", "{}", url=server.url)
    assert (done.returncode, done.stdout) == (4, "")
    server.client().delete("queue:jobs")


def test_a_lost_reply_is_exit_5_and_the_job_is_there_once(server: Server) -> None:
    with Proxy(server, lose=b"LPUSH") as proxy:
        done = chute("push", "jobs", '{"job_id": "lost"}', url=proxy.url)
    assert (done.returncode, done.stdout, proxy.lost) == (5, "", 1)
    assert "lost" in done.stderr
    assert server.client().llen("queue:jobs") == 1


def test_usage() -> None:
    assert chute("push").returncode == 2
    assert chute("push", "jobs").returncode == 2
    assert chute("push", "jobs", "{}", "--no-such-option").returncode == 2
    assert chute("no-such-command").returncode == 2
    helped = chute("push", "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "--url" in helped.stdout


def test_it_runs_as_the_installed_command_too() -> None:
    command = Path(COMMAND[0]).with_name("chute")
    if not command.exists():
        pytest.skip("the command is not installed beside this Python")
    done = subprocess.run([str(command), "--version"], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("chute ")


def test_whoever_stops_reading_the_ids_stops_no_job(server: Server, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    jobs.write_text("".join('{"n":%d}\n' % n for n in range(5000)))
    command = f"{sys.executable} -m chute push jobs - --url {server.url} < {jobs} | head -1"
    subprocess.run(["bash", "-c", command], check=True, capture_output=True, timeout=30)
    assert server.client().llen("queue:jobs") == 5000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_ids_that_cannot_be_written_undo_nothing(server: Server) -> None:
    command = f"{sys.executable} -m chute push full '{{}}' --url {server.url} > /dev/full"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, timeout=30, text=True)
    said = "chute: the output cannot be written: No space left on device. What was done before stands\n"
    assert (done.returncode, done.stderr) == (1, said)
    assert server.client().llen("queue:full") == 1
