"""A worker, a program, a notebook and the commands meet on one server, and nobody told them where it is: whoever stops it, whoever is
interrupted, whoever is killed. What was accepted is done in the end."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chute import server
from contract.helpers import COMMAND, HERE, Work, chute, environment
from embedded import client, gone, keeper_pid, server_pid, starts
from notebooks import Notebook, keep_out_of_home
from servers import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc; and only Linux ends a child with its parent")

PROGRAM = "import sys, tasks\nfor line in sys.stdin: print(tasks.answer.options(job_id=line.strip()).enqueue('?').id, flush=True)"
ENOUGH = 200
"""Jobs that were accepted from each before somebody is killed, and from who is left after that."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own; the server ends with the test."""
    keep_out_of_home(monkeypatch, tmp_path)
    yield tmp_path
    server.stop()


@contextlib.contextmanager
def program(code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process with a program of the user's."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE, env=environment(), text=True
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def each_enqueues(name: str, producer: subprocess.Popen[str], notebook: Notebook) -> None:
    """One job from each, and all of them are done."""
    assert producer.stdin is not None
    assert producer.stdout is not None
    producer.stdin.write(f"{name}-program\n")
    producer.stdin.flush()
    assert producer.stdout.readline() == f"{name}-program\n"
    assert notebook.run(f"(await tasks.answer.options(job_id='{name}-notebook').aenqueue('?')).id") == f"'{name}-notebook'"
    assert chute("push", "jobs", f'{{"job_id": "{name}-command", "question": "?"}}').stdout == f"{name}-command\n"
    for who in ("program", "notebook", "command"):
        done = chute("result", f"{name}-{who}", "--wait", "10")
        assert (done.returncode, done.stdout) == (0, "answer: Answer to: ?\n"), done.stderr


def test_all_of_them_come_back_to_one_server_when_it_was_stopped() -> None:
    with Work("tasks:jobs", None) as work, program(PROGRAM) as producer, Notebook(HERE, environment()) as notebook:
        notebook.run("import tasks")
        each_enqueues("before", producer, notebook)
        assert chute("server", "stop").returncode == 0
        each_enqueues("after", producer, notebook)
        assert starts() == 2
        assert chute("result", "before-program").stdout == "answer: Answer to: ?\n"
        assert work.process.poll() is None


def test_a_ctrl_c_ends_only_whom_it_is_meant_for() -> None:
    with Notebook(HERE, environment()) as notebook:
        with Work("tasks:jobs", None) as work, program(PROGRAM) as producer:
            notebook.run("import tasks")
            each_enqueues("before", producer, notebook)
            before = server_pid()
            command = subprocess.Popen([*COMMAND, "result", "nobody", "--wait", "60"], env=environment())
            notebook.begin("tasks.jobs.job('nobody').result()")
            with client(server.url()) as connected:  # whoever waits for a result is told of it: the flag t
                assert until(lambda: sum("t" in each["flags"] for each in connected.client_list()) == 2)
            notebook.interrupt()
            assert notebook.end().startswith("KeyboardInterrupt")
            for process in (command, producer, work.process):
                process.send_signal(signal.SIGINT)
                process.wait(15)
            assert work.process.returncode == 0
        with Work("tasks:jobs", None), program(PROGRAM) as producer:
            each_enqueues("after", producer, notebook)
        assert (server_pid(), starts()) == (before, 1)


class Everybody:
    """A worker, and a program and a notebook that enqueue without end."""

    def __init__(self, home: Path, stack: contextlib.ExitStack) -> None:
        self._files = {name: home / name for name in ("program", "notebook")}
        self.worker = stack.enter_context(Work("tasks:jobs", None))
        self.producer = stack.enter_context(program(f"import streams\nstreams.enqueue({str(self._files['program'])!r})"))
        self.notebook = stack.enter_context(Notebook(HERE, environment()))
        self.notebook.begin(f"import streams\nawait streams.aenqueue({str(self._files['notebook'])!r})")

    def accepted(self, name: str) -> list[str]:
        """The ids of the jobs that were accepted from this one."""
        path = self._files[name]
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def go_on(self, *names: str) -> bool:
        """Waits until enough more was accepted from each of these."""
        before = {name: len(self.accepted(name)) for name in names}
        return until(lambda: all(len(self.accepted(name)) >= count + ENOUGH for name, count in before.items()), 30)


VICTIMS: dict[str, Callable[[Everybody], int]] = {
    "worker": lambda everybody: everybody.worker.process.pid,
    "program": lambda everybody: everybody.producer.pid,
    "notebook": lambda everybody: everybody.notebook.pid,
    "server": lambda _: server_pid(),
    "keeper": lambda _: keeper_pid(),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_whoever_is_killed_what_was_accepted_is_done(home: Path, victim: str) -> None:
    with contextlib.ExitStack() as stack:
        everybody = Everybody(home, stack)
        assert everybody.go_on("program", "notebook")
        pid = VICTIMS[victim](everybody)
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: gone(pid))
        again = victim in ("server", "keeper")
        assert until(lambda: starts() == 1 + again)  # the old server may live a moment longer than its keeper
        assert everybody.go_on(*({"program", "notebook"} - {victim}))
        if victim == "worker":
            stack.enter_context(Work("tasks:jobs", None))
        for process in (everybody.producer.pid, everybody.notebook.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        ids = everybody.accepted("program") + everybody.accepted("notebook")
        assert len(ids) > 2 * ENOUGH
        with client(server.url()) as connected:
            for job_id in ids:
                assert until(lambda job_id=job_id: connected.hget(f"result:{job_id}", "status") == "completed", 20), job_id  # type: ignore[misc]
