"""What a worker says: the first line, a line for each failure, JSON where it was asked for, and a status line on a terminal only."""

import json
import logging
import os
import pty
import random
import re
import signal
import subprocess
from pathlib import Path

import pytest
import redis

from chute.cli.logs import Json, Text
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


LOGS = """
import asyncio, logging, threading
import chute

jobs = chute.Queue("jobs")
log = logging.getLogger("shop")
{configure}


def helper(where):
    logging.getLogger("shop.deep").info("in %s", where, extra={{"where": where, "odd": object(), "level": "x"}})


@jobs.task
async def tell() -> None:
    log.info("begun")
    helper("a function")
    await asyncio.create_task(aside())
    await asyncio.to_thread(helper, "a thread of a task")
    log.debug("not asked for")


async def aside() -> None:
    helper("another task")


@jobs.task(retries=1, backoff=0)
def threaded() -> None:
    helper("its thread")
    try:
        raise ValueError("a\\n10:00:00 INFO forged\\x1b[2J")
    except ValueError:
        log.exception("broken")
    if chute.context().attempt == 1:
        raise chute.Retry(after=0)


log.warning("imported")
"""
TELLING = [{"job_id": "job_1", "@task": "tell"}, {"job_id": "job_2", "@task": "threaded"}]


def logs_of(server: Server, folder: Path, *options: str, configure: str = "") -> str:
    (folder / "app.py").write_text(LOGS.format(configure=configure))
    push(server.client(), "jobs", *TELLING)
    with Work("app:jobs", server.url, *options, cwd=folder) as work:
        for job in ("job_1", "job_2"):
            assert result(server.client(), job)["status"] == "completed"
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
        return work.stderr


def test_what_a_job_logs_carries_the_job_in_json(server: Server, tmp_path: Path) -> None:
    said = lines("\n".join(line for line in logs_of(server, tmp_path, "--log-format", "json").splitlines() if line.startswith("{")))
    one, two = ([line for line in said if line.get("job_id") == job] for job in ("job_1", "job_2"))
    assert [line["message"] for line in one] == ["begun", "in a function", "in another task", "in a thread of a task"]
    for line in one:
        assert (line["task"], line["queue"], line["attempt"], line["level"]) == ("tell", "jobs", 1, "info")
    assert (one[1]["where"], one[1]["logger"], "odd" in one[1]) == ("a function", "shop.deep", False)
    assert [(line["message"].split(" will")[0], line["attempt"]) for line in two] == [
        ("in its thread", 1), ("broken", 1), ("job job_2 of task threaded", 1), ("in its thread", 2), ("broken", 2),
    ]  # fmt: skip
    assert "ValueError: a\n10:00:00 INFO forged\x1b[2J" in two[1]["exception"]
    assert [line for line in said if line["message"] == "imported" and not {"job_id", "attempt"} & line.keys()]


def test_what_a_job_logs_carries_the_job_in_text(server: Server, tmp_path: Path) -> None:
    said = logs_of(server, tmp_path)
    shown = [line[9:] for line in said.splitlines() if re.match(r"\d\d:", line)]
    ours = "[job_id=job_1 task=tell queue=jobs attempt=1]"
    assert [line for line in shown if "job_1" in line] == [
        f"INFO {ours} {words}" for words in ("begun", "in a function", "in another task", "in a thread of a task")
    ]
    assert "WARNING imported" in shown
    assert r"  10:00:00 INFO forged\x1b[2J" in said.splitlines()
    assert "\x1b" not in said
    assert "[job_id=job_2 task=threaded queue=jobs attempt=2] broken" in said


@pytest.mark.parametrize(
    "configure",
    [
        "logging.basicConfig(format='mine %(job_id)s %(task)s %(queue)s %(attempt)s %(message)s', level='INFO')",
        "import logging.config; logging.config.dictConfig({'version': 1, 'root': {'handlers': ['h'], 'level': 'INFO'},"
        " 'handlers': {'h': {'class': 'logging.StreamHandler', 'formatter': 'f'}},"
        " 'formatters': {'f': {'format': 'mine {job_id} {task} {queue} {attempt} {message}', 'style': '{'}}})\nlog.disabled = False",
        "log.addHandler(logging.StreamHandler()); log.setLevel('INFO')\n"
        "log.handlers[0].setFormatter(logging.Formatter('mine %(job_id)s %(task)s %(queue)s %(attempt)s %(message)s'))",
    ],
)
def test_the_users_own_configuration_is_left_alone(server: Server, tmp_path: Path, configure: str) -> None:
    said = logs_of(server, tmp_path, "--log-format", "json", configure=configure).splitlines()
    assert [line for line in said if "begun" in line] == ["mine job_1 tell jobs 1 begun"]
    assert [line for line in said if "imported" in line] == ["mine     imported"]
    assert len([line for line in said if "in its thread" in line]) == 2
    assert len([line for line in said if line.startswith("{") and "will run again" in line]) == 1, "Chute's own lines are still ours"


LATE = """
import logging
import chute

jobs = chute.Queue("jobs")
logging.getLogger("quiet").addHandler(logging.NullHandler())


@jobs.task
def tell() -> None:
    logging.info("by the root logger")
    logging.getLogger("quiet").info("by one whose library is polite")
    mine = logging.StreamHandler()
    mine.setFormatter(logging.Formatter("mine %(job_id)s %(message)s"))
    logging.getLogger().addHandler(mine)
    logging.info("by a handler that came late")
"""


def test_a_handler_that_comes_late_takes_the_lines_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(LATE)
    push(server.client(), "jobs", {"job_id": "job_1"})
    with Work("app:jobs", server.url, "--burst", cwd=tmp_path) as work:
        assert work.wait() == 0
        said = [line for line in work.stderr.splitlines() if " by " in line]
    ours = "INFO [job_id=job_1 task=tell queue=jobs attempt=1]"
    assert [line if line.startswith("mine") else line[9:] for line in said] == [
        f"{ours} by the root logger",
        f"{ours} by one whose library is polite",
        "mine job_1 by a handler that came late",
    ]


def test_lines_below_the_level_are_not_shown(server: Server, tmp_path: Path) -> None:
    said = logs_of(server, tmp_path, "--log-level", "warning")
    assert "begun" not in said
    assert "broken" in said
    assert "not asked for" not in said


HOSTILE = [
    "\n",
    "\r",
    "\x1b[2J",
    "\x00",
    "\x85",
    "\u2028",
    "\x9b1m",
    "\x7f",
    '"',
    "\\",
    "\ud800",
    "\u202e",
    "{",
    "%s",
    "</script>",
    "é",
    "\U000e0001",
]


class Unreadable:
    """It cannot be put into words."""

    def __str__(self) -> str:
        raise ValueError("no words")


def record_of(message: object, n: int) -> logging.LogRecord:
    record = logging.makeLogRecord({"name": "shop", "levelname": "INFO", "msg": message, "args": (), "extra": message, "odd": {n: n}})
    record.chute_job = {"job_id": f"job_{n}", "task": message, "queue": "jobs", "attempt": 1}
    return record


@pytest.mark.parametrize("form", [Json(), Text()])
def test_one_event_is_one_line_whatever_is_in_it(form: logging.Formatter) -> None:
    dice = random.Random(5)
    for n in range(10_000):
        text = "".join(dice.choices(HOSTILE, k=6))
        line = form.format(record_of(text, n))
        assert line.isprintable(), line
        assert f"job_{n}" in line
        if isinstance(form, Json):
            said = json.loads(line)
            assert said["message"] == text.encode("utf-8", "backslashreplace").decode()
            assert said["job_id"] == f"job_{n}"


@pytest.mark.parametrize("form", [Json(), Text()])
def test_a_mistake_in_a_log_call_is_said_and_nothing_worse(form: logging.Formatter) -> None:
    for message, args in (("%d apples", ("many",)), ("%s", (Unreadable(),)), (Unreadable(), ())):
        record = logging.makeLogRecord(
            {"name": "shop", "levelname": "INFO", "msg": message, "args": args, "filename": "app.py", "lineno": 7}
        )
        assert "a log line cannot be written" in form.format(record)
        assert "app.py:7" in form.format(record)


def test_a_hostile_error_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import chute, logging\njobs = chute.Queue('jobs')\n\n@jobs.task(retries=0)\ndef fail(text: str) -> None:\n"
        "    logging.error(text)\n    raise ValueError(text)\n"
    )
    texts = [f"<{n}>{each}\n12:00:00 INFO forged" for n, each in enumerate(HOSTILE) if each != "\ud800"]
    for form in ("json", "text"):
        push(server.client(), "jobs", *[{"job_id": f"{form}-{n}", "text": text} for n, text in enumerate(texts)])
        with Work("app:jobs", server.url, "--burst", "--log-format", form, cwd=tmp_path) as work:
            assert work.wait() == 0
            said = work.stderr
        lines_of_it = [line for line in said.split("\n") if "forged" in line]
        assert len(lines_of_it) == 2 * len(texts)
        assert all(line.isprintable() and f"{form}-" in line for line in lines_of_it)
        assert not [line for line in said.splitlines() if line.startswith("12:00:00 INFO forged")]


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("level", ["info", "warning"])
def test_neither_a_payload_nor_a_password_is_logged_with_the_job(start_server: StartServer, tmp_path: Path, form: str, level: str) -> None:
    locked = start_server("valkey", tcp=True)
    locked.client().config_set("requirepass", "canary!")
    (tmp_path / "app.py").write_text(LOGS.format(configure="") + "\n\n@jobs.task(retries=0)\ndef pay(card: str) -> None:\n    1 / 0\n")
    url = locked.tcp_url.replace("//", "//:canary%21@")
    client = redis.Redis.from_url(url)
    push(client, "jobs", *TELLING, *[{"job_id": f"p{n}", "@task": "pay", "card": "canary", "@headers": {"h": "canary"}} for n in range(3)])
    push(client, "jobs", {"job_id": "refused", "@task": "pay", "card": ["canary"]})
    with Work("app:jobs", url, "--burst", "--log-level", level, "--log-format", form, cwd=tmp_path) as work:
        assert work.wait() == 0, work.stderr
        assert work.stderr.count("p1") > 0
        assert "broken" in work.stderr
        assert "canary" not in work.stderr
    client.close()


DYING = """
import os
import chute

jobs = chute.Queue("jobs")


@jobs.task
def die(question: str) -> None:
    if not os.path.exists("died"):
        open("died", "w").close()
        os._exit(3)
"""


def test_what_the_supervisor_says_of_a_job_names_it_too(server: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(DYING)
    push(server.client(), "jobs", {"job_id": "job_1", "question": "canary"})
    with Work("app", server.url, "--log-format", "json", cwd=tmp_path) as work:
        assert result(server.client(), "job_1")["status"] == "completed"
        push(server.client(), "jobs", {"job_id": "job_2"})
        assert result(server.client(), "job_2")["status"] == "failed"
        shown = work.stderr
    said = lines("\n".join(line for line in shown.splitlines() if line.startswith("{")))
    (died,) = [line for line in said if "when that died" in line["message"]]
    assert (died["job_id"], died["queue"], died["attempt"]) == ("job_1", "jobs", 1)
    (refused,) = [line for line in said if "was refused" in line["message"]]
    assert (refused["job_id"], refused["task"], refused["queue"]) == ("job_2", "die", "jobs")
    assert "canary" not in shown
