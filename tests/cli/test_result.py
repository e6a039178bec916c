"""`chute result`: what a job came to, for people and for programs."""

import json
import threading
import time

import pytest

from contract.helpers import chute, push
from servers import Server, until

AT = "2024-01-15T10:30:00Z"


def store(server: Server, job_id: str, **fields: str) -> None:
    """A result as the contract writes it."""
    server.client().hset(f"result:{job_id}", mapping={"completed_at": AT, "@queue": "jobs", "@tag": "1", **fields})
    server.client().expire(f"result:{job_id}", 3600)


def test_a_dict_is_shown_line_by_line(server: Server) -> None:
    store(server, "r", status="completed", answer="größer 1", score="0.5", none="null", **{"@json": '["score","none"]'})
    done = chute("result", "r", url=server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == ["answer: größer 1", "none: null", "score: 0.5"]


@pytest.mark.parametrize("value", ["null", "true", "[1,2]", '"text"', "18446744073709551617"])
def test_any_other_value_is_shown_as_json(server: Server, value: str) -> None:
    store(server, "r", status="completed", **{"@value": value})
    done = chute("result", "r", url=server.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{value}\n", "")


def test_as_json(server: Server) -> None:
    store(server, "r", status="completed", answer="a", n="1", **{"@json": '["n"]'})
    done = chute("result", "r", "--json", url=server.url)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    assert json.loads(done.stdout) == {
        "job_id": "r",
        "status": "completed",
        "completed_at": AT,
        "result": {"answer": "a", "n": 1},
        "error": None,
    }


@pytest.mark.parametrize("status", ["failed", "cancelled", "expired"])
def test_what_did_not_complete_is_exit_1(server: Server, status: str) -> None:
    store(server, "r", status=status, error="ValueError: no such account", **{"@traceback": "Traceback ...", "@reason": "failed"})
    done = chute("result", "r", url=server.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ValueError: no such account" in done.stderr
    as_json = chute("result", "r", "--json", url=server.url)
    assert as_json.returncode == 1
    told = {"job_id": "r", "status": status, "completed_at": AT, "result": None, "error": "ValueError: no such account"}
    assert json.loads(as_json.stdout) == told


@pytest.mark.leaves("workers")
def test_what_is_not_there_is_exit_3_and_a_queue_that_nobody_works_is_named(server: Server) -> None:
    def said(*words: str) -> str:
        done = chute("result", "nobody", *words, url=server.url)
        assert (done.returncode, done.stdout) == (3, "")
        return done.stderr

    wait, start = "Wait for it: chute result nobody --wait 60", "Start one: chute work MODULE"
    assert said() == f"chute: job nobody has no result, and no worker has ever worked a queue here. {start}. {wait}\n"
    client = server.client()
    client.sadd("queues", "jobs", "mail", "empty")
    push(client, "jobs", "{}", "{}")
    push(client, "mail", "{}")
    client.hset("workers:{queue:mail}", "one", "1")
    assert (
        said("--wait", "0.1") == f"chute: job nobody has no result after 0.1 s, and no worker works queue jobs (2 ready). {start}. {wait}\n"
    )
    client.hset("workers:{queue:jobs}", "one", "1")
    assert said() == f"chute: job nobody has no result (it is pending: waiting, running, or not known). {wait}\n"


def test_what_is_running_is_exit_3(server: Server) -> None:
    store(server, "r", status="running")
    done = chute("result", "r", url=server.url)
    assert (done.returncode, done.stderr) == (3, "chute: job r is still running. Wait for it: chute result r --wait 60\n")


def test_waiting_in_vain_takes_as_long_as_was_said(server: Server) -> None:
    started = time.monotonic()
    done = chute("result", "nobody", "--wait", "1", url=server.url)
    assert (done.returncode, done.stdout) == (3, "")
    assert 1 <= time.monotonic() - started < 5


def test_waiting_ends_with_the_result(server: Server) -> None:
    watching = server.client()

    def finish() -> None:
        until(lambda: watching.info("clients")["tracking_clients"] > 0, 15)
        watching.hset("result:late", mapping={"status": "completed", "completed_at": AT, "@value": '"here"'})

    finisher = threading.Thread(target=finish)
    finisher.start()
    started = time.monotonic()
    done = chute("result", "late", "--wait", "15", url=server.url)
    finisher.join()
    assert (done.returncode, done.stdout, done.stderr) == (0, '"here"\n', "")
    assert time.monotonic() - started < 5
    watching.delete("result:late")


@pytest.mark.parametrize("job_id", ["a b", "", "{x}", "ä", "a" * 257])
def test_an_id_that_is_none_is_wrong_usage(server: Server, job_id: str) -> None:
    done = chute("result", job_id, url=server.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_result_that_could_not_be_stored_is_said(server: Server) -> None:
    store(server, "r", status="completed", **{"@result_error": "the result has 300,000 bytes"})
    done = chute("result", "r", url=server.url)
    assert done.stdout == ""
    assert "300,000" in done.stderr
    told = json.loads(chute("result", "r", "--json", url=server.url).stdout)
    assert (told["status"], told["result"], "300,000" in told["error"]) == ("completed", None, True)


def test_control_characters_of_an_error_do_not_reach_the_terminal(server: Server) -> None:
    store(server, "r", status="failed", error="ValueError: \x1b[2J\x07 gone")
    assert "\x1b" not in chute("result", "r", url=server.url).stderr


def test_no_server_is_exit_4() -> None:
    assert chute("result", "r", "--wait", "1", url="redis://127.0.0.1:1").returncode == 4
