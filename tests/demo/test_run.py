"""The demo end to end: real questions, a real server, a real worker process, and nothing left behind however it ends."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from chute.demo import app
from chute.demo.run import AT_LEAST, AT_MOST, BadInputError, ask, own_documents, plan
from chute.demo.stage import Signals, stage
from servers import short_directory, until

MANY = 40_000
"""Questions of a run that must not end by itself before it is interrupted."""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """The demo's directory for temporary files: what it leaves behind shows here."""
    directory = short_directory()
    yield directory
    shutil.rmtree(directory)


def start(temporary: Path, *options: str, stderr: int = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "chute", "demo", *options]
    env = {**os.environ, "TMPDIR": str(temporary), **environment}
    return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True)


def processes_in(directory: Path) -> list[int]:
    """The processes that know a directory, by their arguments, their environment or where they are."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes() + os.readlink(entry / "cwd").encode()
        except OSError:
            continue
        if bytes(directory) in known:
            found.append(int(entry.name))
    return found


def assert_nothing_left(temporary: Path) -> None:
    assert list(temporary.iterdir()) == []
    if sys.platform == "linux":
        assert until(lambda: not processes_in(temporary), 2), processes_in(temporary)


def figures(out: str) -> dict[str, str]:
    """The rows of the output by their first word."""
    return {line.split()[0]: line for line in out.splitlines() if line.strip()}


def number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found, text
    return int(found[1].replace(",", ""))


def test_it_answers_the_projects_own_documents(temporary: Path) -> None:
    demo = start(temporary)
    out, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (0, "")
    rows = figures(out)
    jobs = number(r"jobs +([\d,]+) ", rows["jobs"])
    assert jobs >= AT_LEAST
    assert number(r"completed ([\d,]+) ", rows["jobs"]) == jobs
    assert number(r"failed ([\d,]+)", rows["jobs"]) == 0
    assert number(r"answer +([\d,]+)/", rows["answer"]) == number(r"/([\d,]+) jobs", rows["answer"]) == jobs
    rounds = number(r"each asked (\d+) times", rows["answer"]) if "each asked" in rows["answer"] else 1
    assert number(r"\(([\d,]+) questions", rows["answer"]) * rounds == jobs
    assert number(r"rate +([\d,]+)/s", rows["rate"]) > 0
    assert number(r"over ([\d,]+) passages", rows["rate"]) == number(r"([\d,]+) passages", rows["answer"])
    waits = re.search(r"p50 ([\d.]+) s · p99 ([\d.]+) s", rows["waited"])
    assert waits
    assert 0 <= float(waits[1]) <= float(waits[2]) < 60
    assert len(re.findall(r"^ Q  .+\n A  \S+\.md( › .+)?: \".+\"$", out, re.M)) == 3
    assert re.fullmatch(r"server   embedded Valkey \d+\.\d+\.\d+, unix:///.+\.sock", rows["server"])
    assert number(r"\(pid (\d+)\)", rows["worker"]) != demo.pid
    assert "\x1b" not in out
    assert_nothing_left(temporary)


def test_a_line_is_a_job_and_a_job_is_a_result(tmp_path: Path) -> None:
    lines = [f"What is said of lease {line}?" for line in range(500)]
    (tmp_path / "questions.txt").write_text("\n\n".join(lines) + "\n  \n")
    chosen = plan(None, tmp_path / "questions.txt")
    assert chosen.jobs == lines
    with Signals() as signals, stage(signals) as running:
        app.write_passages(chosen.passages)
        replies = ask(chosen.jobs, running)
        with redis.Redis.from_url(running.url) as client:
            results = [client.hgetall(key) for key in client.scan_iter("result:*", count=1000)]
    assert [reply.question for reply in replies] == lines
    assert len(results) == 500
    stored = sorted((result[b"answer"].decode(), result[b"source"].decode()) for result in results)
    assert stored == sorted((reply.answer.answer, reply.answer.source) for reply in replies if reply.answer)
    assert {result[b"status"] for result in results} == {b"completed"}


def test_it_searches_the_users_documents(temporary: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "fruit.txt").write_text("Apples grow on trees.\n\nStrawberries grow on the ground.\n")
    (tmp_path / "questions").write_text("\ufeffWhere do apples grow?\r\nWhere do strawberries grow?\r\nxyzzy\r\n", encoding="utf-8")
    demo = start(temporary, "--docs", str(docs), "--questions", str(tmp_path / "questions"))
    out, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (0, "")
    assert ' Q  Where do apples grow?\n A  fruit.txt: "Apples grow on trees."\n' in out
    assert ' Q  Where do strawberries grow?\n A  fruit.txt: "Strawberries grow on the ground."\n' in out
    assert " jobs     3   completed 3 · failed 0\n" in out
    assert " unknown  1 " in out
    assert_nothing_left(temporary)


@pytest.mark.parametrize("number_", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["home", "worker"])
def test_a_signal_leaves_nothing_behind(temporary: Path, tmp_path: Path, number_: signal.Signals, moment: str) -> None:
    (tmp_path / "questions").write_text("What is a lease?\n" * MANY)
    demo = start(temporary, "--questions", str(tmp_path / "questions"))
    if moment == "home":
        assert until(lambda: any(temporary.iterdir()))
    else:
        assert demo.stdout
        assert any(line.startswith("worker") for line in demo.stdout)
    demo.send_signal(number_)
    demo.send_signal(number_)
    _, err = demo.communicate(timeout=30)
    assert demo.returncode == 128 + number_
    assert err == f"chute: demo stopped by {number_.name}; its server, worker and files are gone\n"
    assert_nothing_left(temporary)


def test_a_worker_that_dies_is_named(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "questions").write_text("What is a lease?\n" * MANY)
    demo = start(temporary, "--questions", str(tmp_path / "questions"))
    assert demo.stdout
    line = next(line for line in demo.stdout if line.startswith("worker"))
    os.kill(number(r"pid (\d+)", line), signal.SIGKILL)
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert err.startswith("chute: the worker ended with exit code -9; the last that it said:\n")
    assert "Traceback" not in err
    assert_nothing_left(temporary)


def test_a_terminal_sees_a_bar_and_no_colour_where_none_is_wanted(temporary: Path) -> None:
    shown: list[bytes] = []
    terminal, end = pty.openpty()
    demo = start(temporary, stderr=end, NO_COLOR="1", TERM="xterm-256color", COLUMNS="100")
    os.close(end)

    def read() -> None:
        try:
            while chunk := os.read(terminal, 4096):
                shown.append(chunk)
        except OSError:
            return  # the other end was closed

    reader = threading.Thread(target=read)
    reader.start()
    demo.communicate(timeout=60)
    reader.join()
    os.close(terminal)
    text = b"".join(shown).decode()
    assert demo.returncode == 0
    assert "━" in text
    assert not re.search(r"\x1b\[[0-9;]*[34][0-7]", text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--docs", "nowhere"], "'nowhere' does not exist"),
        (["--questions", "nowhere"], "'nowhere' does not exist"),
        (["--docs", "empty"], "empty holds no text"),
        (["--questions", "blank"], "blank holds no question"),
        (["--questions", "long"], "long, line 2: a question has 10,000 characters at most, this one 2,000,001"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_starts(temporary: Path, tmp_path: Path, options: list[str], said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "code.py").write_text("pass")
    (tmp_path / "blank").write_text("\n \n")
    (tmp_path / "long").write_text("What?\n" + "x" * 2_000_000 + "\n")
    options = [options[0], str(tmp_path / options[1])]
    demo = start(temporary, *options)
    out, err = demo.communicate(timeout=30)
    assert (demo.returncode, out) == (2, "")
    assert said in " ".join(err.replace(str(tmp_path) + "/", "").split())
    assert_nothing_left(temporary)


def test_the_guide_alone_has_hundreds_of_questions() -> None:
    found = [passage for passage in own_documents() if passage.trail[0].startswith("guide/")]
    assert len(found) > 100
    assert len(plan(None, None).questions) > 400


def test_few_questions_are_asked_in_rounds_and_many_are_thinned_out(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("There are many queues. There is one server. There are some workers.")
    few = plan(tmp_path, None)
    assert (len(few.questions), len(few.jobs)) == (3, 3 * few.rounds)
    assert AT_LEAST <= len(few.jobs) < AT_LEAST + 3
    (tmp_path / "a.md").write_text(" ".join(f"This is sentence number {line}." for line in range(3 * AT_MOST)))
    many = plan(tmp_path, None)
    assert many.rounds == 1
    assert len(many.questions) == AT_MOST
    (tmp_path / "a.md").write_text("Too short.")
    with pytest.raises(BadInputError, match="no sentence"):
        plan(tmp_path, None)
