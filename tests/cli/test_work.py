"""`chute work`: how it starts, how it ends, and what it lives through."""

import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from contract.helpers import COMMAND, HERE, Work, chute, environment, push, result, text, working
from servers import Server, StartServer, until


def started(path: Path, count: int = 1) -> bool:
    """Whether so many jobs have noted that they run."""
    return until(lambda: path.exists() and path.read_text().count("started") >= count, 15)


def slow(path: Path, name: str, seconds: float) -> dict[str, object]:
    return {"job_id": name, "@task": "slow", "seconds": seconds, "path": str(path)}


def waiting(client: redis.Redis, queue: str = "jobs") -> list[str]:
    """The ids of the jobs that are ready, the next first."""
    return [json.loads(body)["job_id"] for body in reversed(client.lrange(f"queue:{queue}", 0, -1))]


def nothing_held(client: redis.Redis) -> bool:
    return not client.keys("leases:*") and not client.keys("workers:*")


@contextlib.contextmanager
def at_a_terminal(
    server: Server, cwd: Path = HERE, app: str = "tasks:jobs", *, tostop: bool = False
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`chute work` as the first program of a terminal, and the other end of that. `tostop`: who is in its background may not write to it."""
    terminal, slave = pty.openpty()
    if tostop:
        modes = termios.tcgetattr(slave)
        modes[3] |= termios.TOSTOP
        termios.tcsetattr(slave, termios.TCSANOW, modes)
    words = f"exec {shlex.join([*COMMAND, 'work', app, '--url', server.url])} <>{os.ttyname(slave)} >&0 2>&0"
    process = subprocess.Popen(["/bin/sh", "-c", words], cwd=cwd, env=environment(TERM="xterm"), start_new_session=True)
    try:
        assert until(lambda: server.client().hlen("workers:{queue:jobs}") == 1, 15)
        os.close(slave)
        yield process, terminal
    finally:
        process.kill()
        process.wait()


def test_it_ends_with_its_terminal(server: Server) -> None:
    with at_a_terminal(server) as (process, terminal):
        os.close(terminal)
        assert process.wait(10) == 0


def test_a_terminal_that_stops_who_writes_from_the_background_stops_no_process(server: Server) -> None:
    with at_a_terminal(server, tostop=True) as (process, terminal):
        push(server.client(), "jobs", {"job_id": "ok", "question": "?"})
        assert result(server.client(), "ok")["status"] == "completed"
        os.write(terminal, b"\x03")
        assert process.wait(10) == 0
        os.close(terminal)


READS = """
import chute
jobs = chute.Queue("jobs")

@jobs.task(retries=0)
def read() -> str:
    return open("/dev/tty").readline()
"""


def test_a_job_that_reads_the_terminal_fails_and_stops_no_process(server: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(READS)
    with at_a_terminal(server, tmp_path, "app") as (process, terminal):
        push(server.client(), "jobs", {"job_id": "r"})
        assert "Input/output error" in result(server.client(), "r")["error"]
        os.close(terminal)
        assert process.wait(10) == 0


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_it_works_without_standard_streams(server: Server, closed: str) -> None:
    push(server.client(), "jobs", {"job_id": "ok", "question": "?"})
    words = f"exec {shlex.join([*COMMAND, 'work', 'tasks:jobs', '--burst', '--url', server.url])} {closed}"
    assert subprocess.run(["/bin/sh", "-c", words], cwd=HERE, env=environment(), timeout=15, check=False).returncode == 0
    assert result(server.client(), "ok")["status"] == "completed"


def test_a_signal_in_its_first_moments_ends_it_and_leaves_nothing(server: Server) -> None:
    """As soon as others can see the worker it can be told to stop."""
    for _ in range(5):
        with working(server, "tasks", "jobs", "alone") as work:
            work.signal(signal.SIGTERM)
            assert work.wait(5) == 0
        assert nothing_held(server.client())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_at_once(each_server: Server, number: int) -> None:
    with working(each_server, "tasks", "jobs", "alone") as work:
        asked = time.monotonic()
        work.signal(number)
        assert work.wait() == 0
        assert time.monotonic() - asked < 3
        assert work.stdout == ""
        assert "Traceback" not in work.stderr
    assert nothing_held(each_server.client())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_busy_worker_finishes_what_runs_and_gives_back_the_rest_in_order(server: Server, tmp_path: Path, number: int) -> None:
    client, path = server.client(), tmp_path / "ran"
    with working(server, "tasks:jobs", "jobs", options=("--concurrency", "2")) as work:
        push(client, "jobs", slow(path, "a", 0.7), slow(path, "b", 0.7), *[slow(path, f"c{n}", 0) for n in range(20)])
        assert started(path, 2)
        work.signal(number)
        assert until(lambda: "stopping: 2 running jobs have 30 s to end" in work.stderr)
        push(client, "jobs", slow(path, "after", 0))
        assert work.wait() == 0
    assert path.read_text().split() == ["started", "started", "ended", "ended"]
    assert result(client, "a", 0)["status"] == result(client, "b", 0)["status"] == "completed"
    assert waiting(client) == [*[f"c{n}" for n in range(20)], "after"]
    assert nothing_held(client)


def test_what_outlasts_the_grace_goes_back_uncounted(server: Server, tmp_path: Path) -> None:
    client, path = server.client(), tmp_path / "ran"
    with working(server, "tasks:jobs", "jobs", options=("--grace", "0.3")) as work:
        job = slow(path, "long", 60)
        push(client, "jobs", job, {"job_id": "thread", "@task": "slow_in_thread", "seconds": 60})
        assert started(path)
        assert until(lambda: client.llen("queue:jobs") == 0)
        asked = time.monotonic()
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
        assert 0.3 <= time.monotonic() - asked < 4
    assert waiting(client) == ["long", "thread"]
    assert json.loads(client.lindex("queue:jobs", -1)) == job
    assert not client.exists("result:long")
    assert nothing_held(client)


def test_a_second_signal_gives_back_at_once(server: Server, tmp_path: Path) -> None:
    client, path = server.client(), tmp_path / "ran"
    with working(server, "tasks:jobs", "jobs") as work:
        push(client, "jobs", slow(path, "long", 60))
        assert started(path)
        work.signal(signal.SIGTERM)  # two that come together are one, hence the wait
        assert until(
            lambda: "stopping: 1 running job has 30 s to end; a second signal (Ctrl-C) gives back at once what runs" in work.stderr
        )
        push(client, "jobs", slow(path, "after", 0))
        assert work.process.poll() is None
        asked = time.monotonic()
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
        assert time.monotonic() - asked < 3
    assert waiting(client) == ["long", "after"]
    assert nothing_held(client)


def test_a_burst_ends_and_leaves_what_is_scheduled(each_server: Server, tmp_path: Path) -> None:
    client, path = each_server.client(), tmp_path / "ran"
    client.zadd("scheduled:{queue:jobs}", {'0000000000000001{"job_id": "later"}': (time.time() + 3600) * 1000})
    push(client, "jobs", *[{"job_id": f"b{n}", "question": "?"} for n in range(500)], slow(path, "slow", 0.5))
    with Work("tasks", each_server.url, "--burst") as work:
        assert work.wait() == 0
    assert path.read_text().split() == ["started", "ended"]
    assert result(client, "slow", 0)["status"] == "completed"
    assert len(client.keys("result:b*")) == 500
    assert client.zcard("scheduled:{queue:jobs}") == 1
    assert client.llen("queue:jobs") == 0
    assert nothing_held(client)


def test_a_burst_with_nothing_to_do_ends(server: Server) -> None:
    with Work("tasks", server.url, "--burst") as work:
        assert work.wait() == 0
    assert server.client().smembers("queues") == {b"jobs", b"alone"}


def test_a_burst_takes_the_failures_with_it(server: Server) -> None:
    push(server.client(), "jobs", "not json", {"job_id": "boom", "@task": "boom", "word": "w"})
    with Work("tasks", server.url, "--burst") as work:
        assert work.wait() == 0
    assert server.client().xlen("dead:{queue:jobs}") == server.client().xlen("refused:{queue:jobs}") == 1


def test_no_server_is_said_at_once_and_is_exit_4_after_ten_seconds(tmp_path: Path) -> None:
    began = time.monotonic()
    url = f"unix://{tmp_path}/nothing"
    with Work("tasks", url) as work:
        assert work.wait(15) == 4
        assert 9 < time.monotonic() - began < 14
        assert work.stdout == ""
        first, trying, last = work.stderr.splitlines()
    why = f"cannot reach the server at {url} (--url): No such file or directory"
    assert first.startswith("chute ")
    assert trying[9:] == f"WARNING {why}; trying for 10 s"
    assert last == f"chute: {why}"


def test_a_signal_ends_it_before_there_is_a_server(tmp_path: Path) -> None:
    with Work("tasks", f"unix://{tmp_path}/nothing") as work:
        assert until(lambda: "chute " in work.stderr)
        time.sleep(0.3)  # into its attempts
        work.signal(signal.SIGTERM)
        assert work.wait(5) == 0


def test_a_server_that_comes_late_is_found() -> None:
    late = Server("valkey")
    with Work("tasks", late.url) as work:
        assert until(lambda: "chute " in work.stderr)
        with late, late.new_client() as client:
            push(client, "jobs", {"job_id": "late", "question": "?"})
            assert result(client, "late", 12)["status"] == "completed"
            work.signal(signal.SIGTERM)
            assert work.wait() == 0


@pytest.mark.parametrize(
    ("user", "shown", "says"),
    [
        ("", "", "wants a password, and the URL has none. Write it into the URL: redis://:PASSWORD@"),
        (":canary-7f3a@", ":***@", "does not let in this password. Write redis://:PASSWORD@"),
        ("someone:canary-7f3a@", "someone:***@", "does not let in user someone with this password. Write redis://:PASSWORD@"),
    ],
)
def test_a_server_that_refuses_the_login_is_exit_4(start_server: StartServer, user: str, shown: str, says: str) -> None:
    locked = start_server("valkey", tcp=True)
    locked.client().config_set("requirepass", "right")
    with Work("tasks", locked.tcp_url.replace("//", f"//{user}")) as work:
        assert work.wait(9) == 4  # at once: it need not try for 10 s
        assert "canary" not in work.stderr
        _, last = work.stderr.splitlines()
    where = locked.tcp_url.replace("//", f"//{shown}")
    assert last.startswith(f"chute: the server at {where} (--url) {says}127.0.0.1:{locked.port}")


def test_wrong_usage() -> None:
    assert chute("work").returncode == 2
    for words in (
        ("--concurrency", "0"),
        ("--concurrency", "x"),
        ("--threads", "0"),
        ("--grace", "-1"),
        ("--log-format", "xml"),
        ("--no",),
    ):
        done = chute("work", "tasks", *words, url="redis://127.0.0.1:1")
        assert (done.returncode, done.stdout) == (2, "")


@pytest.fixture
def steady(server: Server) -> Iterator[tuple[Work, redis.Redis]]:
    """A worker with more to do than it can do at once."""
    with working(server, "tasks:jobs", "jobs", options=("--concurrency", "20")) as work:
        yield work, server.client()


def numbered(path: Path, count: int) -> list[dict[str, object]]:
    return [{"job_id": f"n{n}", "@task": "note", "path": str(path), "word": str(n)} for n in range(count)]


def all_ran_once(client: redis.Redis, path: Path, count: int) -> None:
    for n in range(count):
        assert result(client, f"n{n}", 20)["status"] == "completed"
    assert sorted(path.read_text().split(), key=int) == [str(n) for n in range(count)]


def test_it_lives_through_cut_connections(steady: tuple[Work, redis.Redis], server: Server, tmp_path: Path) -> None:
    work, client = steady
    cutter = server.client()
    for start in range(0, 2000, 200):
        push(client, "jobs", *numbered(tmp_path / "ran", 2000)[start : start + 200])
        cutter.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        until(lambda most=start: (tmp_path / "ran").exists() and len((tmp_path / "ran").read_text().split()) > most, 1)
        client = server.client()
    all_ran_once(server.client(), tmp_path / "ran", 2000)
    assert work.process.poll() is None


def test_it_lives_through_forgotten_scripts(steady: tuple[Work, redis.Redis], server: Server, tmp_path: Path) -> None:
    work, client = steady
    done = threading.Event()

    def flush() -> None:
        with server.new_client() as flusher:
            while not done.wait(0.01):
                flusher.script_flush()

    flusher = threading.Thread(target=flush)
    flusher.start()
    try:
        for start in range(0, 1000, 100):
            push(client, "jobs", *numbered(tmp_path / "ran", 1000)[start : start + 100])
            until(lambda most=start: len((tmp_path / "ran").read_text().split()) > most if (tmp_path / "ran").exists() else False, 1)
        all_ran_once(client, tmp_path / "ran", 1000)
    finally:
        done.set()
        flusher.join()
    assert work.process.poll() is None


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_it_lives_through_a_restart_of_the_server(start_server: StartServer, tmp_path: Path, kind: str) -> None:
    kept = start_server(kind, "--appendonly", "yes", "--appendfsync", "always")
    path = tmp_path / "ran"
    with working(kept, "tasks:jobs", "jobs") as work:
        for turn in range(2):
            with kept.new_client() as client:
                push(client, "jobs", slow(path, f"over-{turn}", 0.8))
                assert started(path, turn + 1)
                push(client, "jobs", *[{"job_id": f"{turn}-{n}", "question": "?"} for n in range(100)])
            kept.kill()
            time.sleep(0.3)  # the worker notices
            kept.start()
            with kept.new_client() as client:
                assert result(client, f"over-{turn}", 15)["status"] == "completed"
                for n in range(100):
                    assert result(client, f"{turn}-{n}", 15)["status"] == "completed"
        assert path.read_text().split() == ["started", "ended"] * 2
        assert work.process.poll() is None
        with kept.new_client() as client:
            assert until(lambda: not client.keys("leases:*"))
        work.signal(signal.SIGTERM)
        assert work.wait() == 0


def test_it_lives_through_an_emptied_server(steady: tuple[Work, redis.Redis]) -> None:
    """Everything is lost, itself too; it comes back under a new id and works what is new."""
    work, client = steady
    client.flushall()
    push(client, "jobs", {"job_id": "new", "question": "?"})
    assert result(client, "new", 10)["status"] == "completed"
    assert work.process.poll() is None


def test_two_workers_share(server: Server, tmp_path: Path) -> None:
    client, path = server.client(), tmp_path / "ran"
    with working(server, "tasks:jobs", "jobs"), Work("tasks:jobs", server.url) as second:
        assert until(lambda: client.hlen("workers:{queue:jobs}") == 2), second.stderr
        push(client, "jobs", *numbered(path, 500))
        all_ran_once(client, path, 500)


def test_results_say_which_delivery_they_are_of(server: Server) -> None:
    client = server.client()
    push(client, "jobs", *[{"job_id": f"t{n}", "question": "?"} for n in range(50)])
    with Work("tasks:jobs", server.url, "--burst", "--concurrency", "1") as work:
        assert work.wait() == 0
    tags = [int(text(client.hgetall(f"result:t{n}"))["@tag"]) for n in range(50)]
    assert tags == sorted(set(tags))


STUBBORN = """
import asyncio, time
import chute

jobs = chute.Queue("jobs")


@jobs.task
async def deaf(path: str) -> None:
    open(path, "a").write("started\\n")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass


@jobs.task
async def threaded(path: str) -> None:
    open(path, "a").write("started\\n")
    await asyncio.to_thread(time.sleep, 30)
"""


@pytest.mark.parametrize("task", ["deaf", "threaded"])
def test_a_handler_that_cannot_be_stopped_does_not_hold_the_process(server: Server, tmp_path: Path, task: str) -> None:
    (tmp_path / "app.py").write_text(STUBBORN)
    ran = tmp_path / "ran"
    push(server.client(), "jobs", {"job_id": "j", "@task": task, "path": str(ran)})
    with Work("app:jobs", server.url, "--grace", "0.2", cwd=tmp_path) as work:
        assert started(ran)
        work.signal(signal.SIGTERM)
        assert work.wait(6) == 0
        assert "stopped after" in work.stderr
    assert waiting(server.client()) == ["j"]
    assert nothing_held(server.client())
