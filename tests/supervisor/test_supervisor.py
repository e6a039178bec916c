"""`chute work` as a family of processes: who starts whom, who replaces whom, and who ends with whom."""

import os
import re
import resource
import signal
import sys
import time
from pathlib import Path

import pytest
import redis

from contract.helpers import Work, push, result
from servers import Server, StartServer, children, until

APP = """
import asyncio, ctypes, os, sys, time
import chute

jobs = chute.Queue("jobs")


@jobs.task(default=True)
async def who() -> dict[str, int]:
    return {"pid": os.getpid()}


@jobs.task
async def hold(path: str) -> dict[str, int]:
    with open(path, "a") as file:
        print("started", os.getpid(), file=file, flush=True)
        await asyncio.sleep(60)


@jobs.task
async def block(path: str, seconds: float) -> None:
    with open(path, "a") as file:
        print("started", os.getpid(), file=file, flush=True)
        time.sleep(seconds)


@jobs.task
async def deafen() -> None:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@jobs.task
async def ruin(path: str) -> None:
    with open(path, "a") as file:
        print("started", os.getpid(), file=file, flush=True)
    os.closerange(0, 1000)


@jobs.task
async def leave(code: int) -> None:
    os._exit(code)


@jobs.task
async def crash() -> None:
    ctypes.string_at(0)


@jobs.task
def start() -> dict[str, int]:
    import subprocess
    return {"pid": subprocess.Popen(["sleep", "60"]).pid}
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with an app in it."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def ready(work: Work, client: redis.Redis, processes: int) -> Work:
    """Returns once so many of its processes are registered."""
    assert until(lambda: client.hlen("workers:{queue:jobs}") == processes, 15), work.stderr
    return work


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ran(path: Path, count: int = 1) -> list[int]:
    """The processes that noted a start, once there are so many notes."""
    assert until(lambda: path.exists() and path.read_text().count("started ") >= count, 15)
    return [int(line.split()[1]) for line in path.read_text().splitlines()]


def test_its_children_are_its_worker_processes_and_nothing_else(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--processes", "3", cwd=app) as work:
        ready(work, client, 3)
        assert len(work.children()) == 3
        push(client, "jobs", *[{"job_id": f"w{n}"} for n in range(300)])
        pids = {int(result(client, f"w{n}")["pid"]) for n in range(300)}
        assert pids <= set(work.children())
        assert all(os.getpgid(pid) == pid for pid in work.children())
        assert not any("app" in Path(path).name for path in Path(f"/proc/{work.process.pid}/maps").read_text().split())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_ends_is_replaced(server: Server, app: Path, how: int) -> None:
    client = server.client()
    with Work("app", server.url, "--processes", "2", cwd=app) as work:
        ready(work, client, 2)
        before = work.children()
        os.kill(before[0], how)
        assert until(lambda: before[0] not in work.children() and len(work.children()) == 2)
        ready(work, client, 2)
        assert before[1] in work.children()
        assert ("died (SIGKILL)" in work.stderr) == (how == signal.SIGKILL)
        push(client, "jobs", {"job_id": "after"})
        assert result(client, "after")["status"] == "completed"


@pytest.mark.parametrize("code", [0, 2, 139])
def test_a_handler_that_leaves_costs_its_job_three_deaths_and_no_other_its_run(server: Server, app: Path, code: int) -> None:
    """The exit code of a process tells nothing: 0 is no success, 2 no broken module."""
    client = server.client()
    with Work("app", server.url, cwd=app) as work:
        push(client, "jobs", *[{"job_id": f"w{n}"} for n in range(50)], {"job_id": "rude", "@task": "leave", "code": code})
        push(client, "jobs", *[{"job_id": f"v{n}"} for n in range(50)])
        assert result(client, "rude", 20)["@reason"] == "poison"
        for n in range(50):
            assert result(client, f"w{n}")["status"] == result(client, f"v{n}")["status"] == "completed"
        assert work.stderr.count(f"died (exit code {code}); what it held") == 3
        assert work.stderr.count("it runs alone next time") == 2
        assert "job rude is a dead letter (poison)" in work.stderr


def test_a_crash_is_told_with_its_place_in_the_users_code(server: Server, app: Path) -> None:
    with Work("app", server.url, cwd=app) as work:
        push(server.client(), "jobs", {"job_id": "c", "@task": "crash"})
        assert result(server.client(), "c", 20)["@reason"] == "poison"
        assert "died (SIGSEGV)" in work.stderr
        assert re.search(r'File ".*app\.py", line \d+ in crash', work.stderr)


def test_rubbish_among_the_leases_of_a_dead_process_keeps_nothing_back(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, cwd=app) as work:
        push(client, "jobs", {"job_id": "h", "@task": "hold", "path": str(app / "ran")})
        ran(app / "ran")
        (worker,) = client.hkeys("workers:{queue:jobs}")
        client.hset(f"leases:{{queue:jobs}}:{worker.decode()}", "no number", "no json")
        (app / "app.py").write_text(APP.replace("await asyncio.sleep(60)", 'return {"pid": os.getpid()}'))
        os.kill(work.children()[0], signal.SIGKILL)
        assert result(client, "h", 15)["status"] == "completed"
        assert until(lambda: client.xlen("refused:{queue:jobs}") == 1)
        assert until(lambda: not client.keys("leases:*"))


@pytest.mark.leaves("workers")
def test_the_children_end_with_a_supervisor_that_is_killed(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--processes", "2", cwd=app) as work:
        ready(work, client, 2)
        pids = work.children()
        work.process.kill()
        work.process.wait()
        assert until(lambda: not any(map(alive, pids)), 2)


def test_what_handlers_started_ends_with_their_process(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, cwd=app) as work:
        ready(work, client, 1)
        push(client, "jobs", {"job_id": "s", "@task": "start"})
        pid = int(result(client, "s")["pid"])
        assert alive(pid)
        os.kill(work.children()[0], signal.SIGKILL)
        assert until(lambda: not alive(pid), 2)


def test_sighup_replaces_the_processes_one_by_one(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--processes", "2", cwd=app) as work:
        ready(work, client, 2)
        before = set(work.children())
        work.signal(signal.SIGHUP)
        n = 0
        while "all processes are replaced" not in work.stderr:
            push(client, "jobs", {"job_id": f"w{n}"})
            assert result(client, f"w{n}")["status"] == "completed"
            n += 1
        assert until(lambda: len(work.children()) == 2)
        assert not before & set(work.children())
        assert "WARNING" not in work.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux")
def test_a_system_without_room_for_a_process_ends_none_that_works(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--processes", "2", cwd=app) as work:
        ready(work, client, 2)
        before = work.children()
        soft, hard = resource.prlimit(work.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(work.process.pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{work.process.pid}/fd")), hard))
        os.kill(before[0], signal.SIGKILL)
        assert until(lambda: work.stderr.count("no process can be started: [Errno 24] Too many open files") >= 3)
        work.signal(signal.SIGHUP)
        assert work.children() == before[1:]
        push(client, "jobs", {"job_id": "w"})
        assert result(client, "w")["pid"] == str(before[1])
        resource.prlimit(work.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert until(lambda: len(work.children()) == 2, 15)
        ready(work, client, 2)


@pytest.mark.parametrize("ends", ["rolling", "spent"])
def test_a_process_that_ends_already_keeps_its_grace_when_all_are_to_end(server: Server, app: Path, ends: str) -> None:
    """The one signal that all get is no second one for it."""
    client = server.client()
    (app / "app.py").write_text(APP.replace("sleep(60)", "sleep(6)"))
    with Work("app", server.url, *(["--max-jobs", "1"] if ends == "spent" else []), cwd=app) as work:
        ready(work, client, 1)
        (first,) = work.children()
        push(client, "jobs", {"job_id": "long", "@task": "hold", "path": str(app / "ran")})
        ran(app / "ran")
        if ends == "rolling":
            work.signal(signal.SIGHUP)
            ready(work, client, 2)
            time.sleep(0.5)  # the first has been asked to end
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
        assert "1 running job has 30 s to end" in work.stderr
    assert client.hget("result:long", "status") == b"completed"
    assert ran(app / "ran") == [first]


def test_each_seat_has_one_process_after_two_sighups_and_a_death_in_between(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--processes", "2", cwd=app) as work:
        ready(work, client, 2)
        before = work.children()
        work.signal(signal.SIGHUP)
        assert until(lambda: len(work.children()) == 3)
        os.kill(before[0], signal.SIGKILL)
        work.signal(signal.SIGHUP)
        assert until(lambda: "all processes are replaced" in work.stderr, 15), work.stderr
        assert until(lambda: len(work.children()) == 2)
        assert not set(before) & set(work.children())
        ready(work, client, 2)


def test_a_signal_during_a_rolling_restart_ends_all_and_starts_nobody(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--processes", "2", "--grace", "0.5", cwd=app) as work:
        ready(work, client, 2)
        push(client, "jobs", {"job_id": "long", "@task": "hold", "path": str(app / "ran")})
        ran(app / "ran")
        work.signal(signal.SIGHUP)
        ready(work, client, 3)
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
        assert "ERROR" not in work.stderr
        assert "the server does not answer" not in work.stderr
    assert not client.exists("workers:{queue:jobs}")
    assert client.llen("queue:jobs") == 1


def test_a_module_that_broke_ends_no_process_that_works(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, cwd=app) as work:
        ready(work, client, 1)
        before = work.children()
        (app / "app.py").write_text("import chute\njobs = chute.Queue(")
        work.signal(signal.SIGHUP)
        assert until(lambda: "the old ones go on" in work.stderr)
        assert 'module "app" cannot be imported: SyntaxError' in work.stderr
        assert work.children() == before
        push(client, "jobs", {"job_id": "still"})
        assert int(result(client, "still")["pid"]) == before[0]


def test_a_module_that_broke_before_a_process_was_replaced_ends_all_with_exit_2(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--processes", "2", cwd=app) as work:
        ready(work, client, 2)
        (app / "app.py").write_text("raise RuntimeError('broken')")
        os.kill(work.children()[0], signal.SIGKILL)
        assert work.wait() == 2
        assert 'module "app" cannot be imported: RuntimeError: broken' in work.stderr
    assert not client.exists("workers:{queue:jobs}")


def test_a_signal_that_comes_as_the_first_process_gets_ready_starts_no_other(server: Server, app: Path) -> None:
    (app / "app.py").write_text(APP + "\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(0.5)\n")
    with Work("app", server.url, "--processes", "3", cwd=app) as work:
        assert until(lambda: "importing" in work.stderr, 15)  # it has been told what to do, and has not yet begun
        work.signal(signal.SIGSTOP)  # so that it hears of both at once
        ready(work, server.client(), 1)
        work.signal(signal.SIGTERM)
        work.signal(signal.SIGCONT)
        assert work.wait() == 0


def test_a_process_is_replaced_after_so_many_jobs(server: Server, app: Path) -> None:
    client = server.client()
    push(client, "jobs", *[{"job_id": f"w{n}"} for n in range(25)])
    with Work("app", server.url, "--max-jobs", "10", "--burst", cwd=app) as work:
        assert work.wait() == 0
        assert "WARNING" not in work.stderr
        assert "25 done" in work.stderr
    pids = [result(client, f"w{n}")["pid"] for n in range(25)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [10, 10, 5]
    assert not client.exists("workers:{queue:jobs}")


def test_a_burst_goes_on_when_a_process_of_it_is_ended_or_replaced(server: Server, app: Path) -> None:
    client = server.client()
    push(client, "jobs", {"job_id": "last"}, *[{"@task": "hold", "path": str(app / "ran")} for _ in range(2)])
    (app / "app.py").write_text(APP.replace("sleep(60)", "sleep(1)"))
    with Work("app", server.url, "--burst", "--concurrency", "1", "--grace", "0", cwd=app) as work:
        ran(app / "ran")
        os.kill(work.children()[0], signal.SIGTERM)
        ran(app / "ran", 2)
        work.signal(signal.SIGHUP)
        assert work.wait() == 0
    assert client.hget("result:last", "status") == b"completed"
    assert client.llen("queue:jobs") == 0


def test_reload_starts_anew_when_a_file_changes_and_waits_for_one_that_is_broken(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--reload", cwd=app) as work:
        ready(work, client, 1)
        push(client, "jobs", {"job_id": "long", "@task": "hold", "path": str(app / "ran")})
        ran(app / "ran")
        (app / "app.py").write_text("def broken(:\n")
        assert until(lambda: "cannot be imported: SyntaxError" in work.stderr, 15), work.stderr
        (app / "other.py").write_text("number = 2\n")
        assert until(lambda: work.stderr.count("cannot be imported: SyntaxError") == 2, 15), work.stderr
        (app / "app.py").write_text(APP.replace("await asyncio.sleep(60)", 'return {"pid": 5}'))
        assert result(client, "long", 15)["pid"] == "5"
        assert "app.py changed: starting anew" in work.stderr
        work.signal(signal.SIGTERM)
        assert work.wait() == 0


def test_a_reload_that_begins_broken_waits_too(server: Server, app: Path) -> None:
    (app / "app.py").write_text("import nothing_of_that_name\n")
    with Work("app", server.url, "--reload", cwd=app) as work:
        assert until(lambda: "cannot be imported" in work.stderr)
        (app / "app.py").write_text(APP)
        push(server.client(), "jobs", {"job_id": "w"})
        assert result(server.client(), "w", 15)["status"] == "completed"


def test_a_reload_starts_anew_when_a_file_changes_while_the_first_process_starts(server: Server, app: Path) -> None:
    (app / "app.py").write_text(f"import time\nopen('begun', 'w').close()\ntime.sleep(3)\n{APP}")
    with Work("app", server.url, "--reload", cwd=app) as work:
        assert until((app / "begun").exists)
        (app / "app.py").write_text(APP)
        push(server.client(), "jobs", {"job_id": "w"})
        assert result(server.client(), "w", 15)["status"] == "completed"
        assert "WARNING" not in work.stderr


@pytest.mark.parametrize(("end", "code", "said"), [("os._exit(3)", 3, "exit code 3"), ("os.kill(os.getpid(), 9)", 1, "SIGKILL")])
def test_a_first_process_that_ends_without_a_word_is_spoken_of(server: Server, app: Path, end: str, code: int, said: str) -> None:
    (app / "app.py").write_text(f"import os\n{end}\n")
    with Work("app", server.url, cwd=app) as work:
        assert work.wait() == code
        assert f"ended at its start ({said})" in work.stderr


def test_a_blocked_process_does_not_outlast_the_grace(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--grace", "0.5", cwd=app) as work:
        push(client, "jobs", {"job_id": "b", "@task": "block", "path": str(app / "ran"), "seconds": 60})
        ran(app / "ran")
        asked = time.monotonic()
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
        assert time.monotonic() - asked < 3
    assert client.lrange("queue:jobs", 0, -1) == [b'{"job_id": "b", "@task": "block", "path": "%s", "seconds": 60}' % bytes(app / "ran")]


def test_a_job_that_leaves_its_process_to_die_once_it_has_ended_is_charged_too(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, cwd=app) as work:
        push(client, "jobs", {"job_id": "r", "@task": "ruin", "path": str(app / "ran")})
        assert result(client, "r", 15)["@reason"] == "poison", work.stderr
        assert len(ran(app / "ran", 3)) == 3


def test_a_process_whose_signals_a_handler_took_away_does_not_outlast_the_grace(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, "--grace", "0.5", cwd=app) as work:
        push(client, "jobs", {"job_id": "d", "@task": "deafen"})
        assert result(client, "d")["status"] == "completed"
        asked = time.monotonic()
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
        assert time.monotonic() - asked < 3


def test_a_second_signal_ends_a_blocked_process_at_once(server: Server, app: Path) -> None:
    client = server.client()
    with Work("app", server.url, cwd=app) as work:
        push(client, "jobs", {"job_id": "b", "@task": "block", "path": str(app / "ran"), "seconds": 60})
        ran(app / "ran")
        work.signal(signal.SIGTERM)
        assert until(lambda: "stopping: 1 running job has 30 s" in work.stderr)
        asked = time.monotonic()
        work.signal(signal.SIGTERM)
        assert work.wait() == 0
        assert time.monotonic() - asked < 3
    assert b"@deaths" not in client.lindex("queue:jobs", 0)


def test_a_process_that_is_replaced_while_the_server_is_away_waits_for_it(start_server: StartServer, app: Path) -> None:
    kept = start_server("valkey", "--appendonly", "yes", "--appendfsync", "always")
    with Work("app", kept.url, cwd=app) as work:
        ready(work, kept.client(), 1)
        (pid,) = work.children()
        kept.kill()
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: "trying again" in work.stderr)
        time.sleep(0.5)
        kept.start()
        with kept.new_client() as client:
            push(client, "jobs", {"job_id": "late"})
            assert result(client, "late", 15)["status"] == "completed"
            assert until(lambda: client.hlen("workers:{queue:jobs}") == 1)  # the dead one's id is settled
            assert children(work.process.pid) != [pid]


def test_a_burst_does_not_end_before_what_a_dead_process_held_is_done(start_server: StartServer, app: Path) -> None:
    kept = start_server("valkey", "--appendonly", "yes", "--appendfsync", "always")
    (app / "app.py").write_text(APP.replace("sleep(60)", "sleep(1)"))
    with kept.new_client() as client:
        push(client, "jobs", {"job_id": "held", "@task": "hold", "path": str(app / "ran")})
    with Work("app", kept.url, "--burst", cwd=app) as work:
        ran(app / "ran")
        (pid,) = work.children()
        kept.kill()
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: "died (SIGKILL)" in work.stderr)
        time.sleep(2)  # the supervisor asks less and less often
        kept.start()
        assert work.wait(20) == 0
    with kept.new_client() as client:
        assert client.hget("result:held", "status") == b"completed"


def test_a_process_that_dies_again_and_again_is_replaced_less_and_less_often(server: Server, app: Path) -> None:
    (app / "app.py").write_text(APP + "\nif os.path.exists('die'):\n    os.kill(os.getpid(), 9)\n")
    client = server.client()
    with Work("app", server.url, cwd=app) as work:
        ready(work, client, 1)
        (app / "die").touch()
        os.kill(work.children()[0], signal.SIGKILL)
        time.sleep(3)
        assert work.stderr.count("ended at its start (SIGKILL)") <= 6
        assert until(lambda: work.stderr.count("ended at its start (SIGKILL)") >= 2, 15)
        (app / "die").unlink()
        push(client, "jobs", {"job_id": "w"})
        assert result(client, "w", 15)["status"] == "completed"
