"""What a worker says: the first line, a line for each failure, JSON where it was asked for, and a status line on a terminal only."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from contract.helpers import COMMAND, HERE, Work, environment, lines, push, result, working
from servers import Server, StartServer, until

BOOM = [{"job_id": f"boom-{n}", "@task": "boom", "word": f"word {n}"} for n in range(3)]


@pytest.mark.parametrize(
    ("options", "env", "how"),
    [((), {}, "--url"), (None, {"CHUTE_URL": "URL"}, "CHUTE_URL"), (None, {"REDIS_URL": "URL"}, "REDIS_URL")],
)
def test_the_first_line_says_which_server_and_how_to_choose_another(
    server: Server, options: tuple[str, ...] | None, env: dict[str, str], how: str
) -> None:
    chosen = dict.fromkeys(env, server.url)
    with Work("tasks", None if options is None else server.url, "--burst", **chosen) as work:
        assert work.wait() == 0
        first = work.stderr.splitlines()[0]
    version = re.escape(__import__("chute.release", fromlist=["VERSION"]).VERSION)
    assert re.fullmatch(rf"chute {version} · server {re.escape(server.url)} \({how}\) · another: --url or CHUTE_URL", first), first


@pytest.mark.parametrize(("user", "shown"), [(":canary%21@", ":***@"), ("default:canary%21@", "default:***@")])
def test_a_password_is_not_shown(start_server: StartServer, user: str, shown: str) -> None:
    locked = start_server("valkey", tcp=True)
    locked.client().config_set("requirepass", "canary!")
    with Work("tasks", locked.tcp_url.replace("//", f"//{user}"), "--burst") as work:
        assert work.wait() == 0, work.stderr
        assert "canary" not in work.stderr
        assert locked.tcp_url.replace("//", f"//{shown}") in work.stderr.splitlines()[0]


FAILING = """
import chute
from shop.util import parse

jobs = chute.Queue("jobs")

@jobs.task(retries=0)
async def direct():
    raise ValueError("two\\nlines")

@jobs.task(retries=0)
def threaded():
    return {}["key"]

@jobs.task(retries=0)
async def nested():
    return parse("")

@jobs.task(retries=1, backoff=0)
def again():
    return 1 / 0
"""


def test_a_failure_is_told_with_the_line_of_the_users_code(server: Server, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "tasks.py").write_text(FAILING)
    (tmp_path / "shop" / "util.py").write_text("import json\n\ndef parse(text):\n    return json.loads(text)\n")
    push(
        server.client(),
        "jobs",
        *[{"job_id": name[0], "@task": name} for name in ("direct", "threaded", "nested", "again")],
        {"job_id": "r"},
    )
    with Work("shop.tasks", server.url, cwd=tmp_path) as work:
        for job_id in "dtnar":
            result(server.client(), job_id)
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
        said = [line[9:] for line in work.stderr.splitlines() if re.match(r"\d\d:", line)]
        last = work.stderr.splitlines()[-1]
    kept = "Kept: chute dead list jobs"
    assert [line for line in sorted(said) if "stopping" not in line] == [
        "INFO job a of task again will run again in 0 s: ZeroDivisionError: division by zero at shop/tasks.py:21",
        f"WARNING job a of task again failed for good (failed, run 2): ZeroDivisionError: division by zero at shop/tasks.py:21. {kept}",
        rf"WARNING job d of task direct failed for good (failed, run 1): ValueError: two\nlines at shop/tasks.py:9. {kept}",
        "WARNING job n of task nested failed for good (failed, run 1): JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
        f" at shop/util.py:4. {kept}",
        'WARNING job r of queue jobs was refused (unknown_task): queue jobs has no default task for a job without "@task"'
        f' (it has: direct, threaded, nested, again). A job names its task so: "@task": "direct". {kept}',
        f"WARNING job t of task threaded failed for good (failed, run 1): KeyError: 'key' at shop/tasks.py:13. {kept}",
    ]
    assert re.fullmatch(r"stopped after \d+\.\d s · 0 done · 4 failed · 1 refused · 1 retried · everything else was given back", last), last


def test_a_failure_is_one_warning_and_a_success_is_no_line(server: Server) -> None:
    push(server.client(), "jobs", *BOOM, *[{"job_id": f"ok-{n}", "question": "?"} for n in range(50)])
    with Work("tasks:jobs", server.url, "--burst") as work:
        assert work.wait() == 0
        said = work.stderr.splitlines()
        assert work.stdout == ""
    for n in range(3):
        (line,) = [line for line in said if f"boom-{n}" in line]
        assert "WARNING" in line
        assert f"ValueError: word {n}" in line
    assert not [line for line in said if "ok-" in line]
    assert "\x1b" not in "".join(said)


def test_json_is_one_object_a_line(server: Server) -> None:
    push(server.client(), "jobs", *BOOM, b"\x1b[2J not json\n")
    with Work("tasks:jobs", server.url, "--burst", "--log-format", "json") as work:
        assert work.wait() == 0
        said = [line for line in work.stderr.splitlines() if line.startswith("{")]
    warnings = [line for line in lines("\n".join(said)) if str(line["level"]).lower() == "warning"]
    assert len([line for line in warnings if "boom-" in json.dumps(line)]) == 3
    assert len(warnings) == 4


def test_only_what_was_asked_for(server: Server) -> None:
    push(server.client(), "jobs", *BOOM)
    with Work("tasks:jobs", server.url, "--burst", "--log-level", "error") as work:
        assert work.wait() == 0
        assert "boom-" not in work.stderr


def test_what_jobs_carry_is_not_logged(server: Server) -> None:
    push(server.client(), "jobs", {"job_id": "quiet", "question": "canary-in-a-payload"}, '{"question": "canary-in-a-payload", "x": 1}')
    with Work("tasks:jobs", server.url, "--burst", "--log-level", "info") as work:
        assert work.wait() == 0
        assert "refused" in work.stderr
        assert "canary-in-a-payload" not in work.stderr


@pytest.mark.parametrize("no_colour", ["", "1"])
def test_a_terminal_gets_a_status_line(server: Server, no_colour: str) -> None:
    master, slave = pty.openpty()
    command = [*COMMAND, "work", "tasks:jobs", "--url", server.url]
    env = environment(TERM="xterm", **({"NO_COLOR": no_colour} if no_colour else {}))
    working_one = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=HERE, env=env, start_new_session=True)
    os.close(slave)
    push(server.client(), "jobs", *[{"job_id": f"ok-{n}", "question": "?"} for n in range(7)])
    assert result(server.client(), "ok-6")["status"] == "completed"
    seen = b""
    while b"7 done" not in seen:
        seen += os.read(master, 65536)
    working_one.send_signal(signal.SIGTERM)
    assert working_one.wait(10) == 0
    os.close(master)
    assert not re.search(rb"\x1b\[[0-9;]*m", seen), "no colour was asked for, or none is used"


PRINTS = """
import asyncio, logging, sys, threading
import chute

jobs = chute.Queue("jobs")
logging.basicConfig(format="%(message)s", level="INFO")


@jobs.task(retries=0)
async def speak(n: int) -> None:
    print("begun", end=" ")
    await asyncio.sleep(0.6)  # a status line is drawn meanwhile
    print("and ended")
    logging.getLogger("app").info("logged")


@jobs.task(retries=0)
def shout(n: int) -> None:
    print(f"out {n}\\nagain {n}", flush=True)
    print(f"err {n}", file=sys.stderr)


@jobs.task(retries=0)
def last() -> None:
    print("no end", end="")
"""
DRAWN = re.compile(r"\d+ done · \d+ failed · [\d,]+/s · \d+ waiting · \d+ running")


def test_what_tasks_print_on_a_terminal_comes_out_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PRINTS)
    master, slave = pty.openpty()
    command = [*COMMAND, "work", "app:jobs", "--url", server.url]
    working_one = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, env=environment(TERM="xterm"), start_new_session=True
    )
    os.close(slave)
    seen = b""
    while b" running" not in seen:
        seen += os.read(master, 65536)
    push(server.client(), "jobs", {"job_id": "s", "@task": "speak", "n": 0})
    push(server.client(), "jobs", *[{"job_id": f"n{n}", "@task": "shout", "n": n} for n in range(50)])
    result(server.client(), "s")
    push(server.client(), "jobs", {"job_id": "l", "@task": "last"})
    while b"52 done" not in seen:
        seen += os.read(master, 65536)
    working_one.send_signal(signal.SIGTERM)
    while b"everything else was given back" not in seen:
        seen += os.read(master, 65536)
    assert working_one.wait(10) == 0
    os.close(master)
    shown = [line.rpartition("\r\x1b[2K")[2] for line in seen.decode().split("\r\n")]
    ours = [line for line in shown if line.startswith(("chute", "queue jobs", "stopped")) or "stopping:" in line]
    printed = [line for line in shown if line not in ours]
    words = [f"{word} {n}" for n in range(50) for word in ("out", "again", "err")]
    assert sorted(filter(None, printed)) == sorted([*words, "begun and ended", "logged", "no end"])
    assert len(DRAWN.findall(seen.decode())) > 3


def test_what_tasks_print_elsewhere_is_left_as_it_is(server: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PRINTS)
    push(server.client(), "jobs", {"job_id": "s", "@task": "shout", "n": 1}, {"job_id": "l", "@task": "last"})
    with Work("app:jobs", server.url, "--burst", "--concurrency", "1", cwd=tmp_path) as work:
        assert work.wait() == 0
        assert work.stdout == "out 1\nagain 1\nno end"
        assert "err 1\n" in work.stderr


def test_a_closed_stderr_stops_nothing(server: Server) -> None:
    client = server.client()
    with working(server, "tasks:jobs", "jobs"):
        command = [*COMMAND, "work", "tasks:jobs", "--url", server.url]
        deaf = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=HERE, env=environment(), start_new_session=True)
        assert deaf.stderr is not None
        deaf.stderr.close()
        assert until(lambda: client.hlen("workers:{queue:jobs}") == 2 or deaf.poll() is not None, 15)
        push(client, "jobs", *BOOM * 20, *[{"job_id": f"ok-{n}", "question": "?"} for n in range(50)])
        for n in range(50):
            result(client, f"ok-{n}")
        assert deaf.poll() is None
        deaf.send_signal(signal.SIGTERM)
        assert deaf.wait(10) == 0
