"""A worker inside a program whose handler keeps the interpreter or the event loop to itself: busy, not dead."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chute import connection
from chute.keys import keys_of
from chute.lines import Lines
from chute.worker import helper
from chute.worker.beats import Beats
from servers import Server, children, until
from worker.running import until as soon
from worker.running import working
from worker.test_engine import at_rest, counting, load

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")
BLOCKS = """
import asyncio, os, time, chute
jobs = chute.Queue("jobs")

@jobs.task
async def count(number: int) -> None:
    with open("ran", "a") as file:
        file.write(f"{number}\\n")
    time.sleep(9)

async def main():
    async with chute.Worker(jobs) as worker:
        while not worker.engine.totals["completed"]:
            await asyncio.sleep(0.05)

asyncio.run(main())
"""


def _connected(server: Server) -> int:
    """How many connections of Chute there are."""
    with server.new_client() as client:
        return sum("chute" in each.get("lib-name", "") for each in client.client_list())


def test_a_blocked_loop_is_not_judged_dead(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTE_DEAD_AFTER", "5")  # a helper that gets no processor for longer is a machine's fault, not the worker's
    (tmp_path / "app.py").write_text(BLOCKS)
    program = subprocess.Popen([sys.executable, "app.py"], cwd=tmp_path, env={**os.environ, "CHUTE_URL": server.url})
    assert until(lambda: bool(children(program.pid)), 30)  # it is older than a beat
    assert until(lambda: _connected(server) >= 3, 30)  # the helper too: on a slow machine it takes longer to start than others wait here
    server.client().lpush(KEYS.queue, '{"job_id":"blocks","number":1}')  # whoever pushes from a blocked loop hears of no answer
    assert until((tmp_path / "ran").exists, 30)
    queue, runs = counting(server.url)

    async def main() -> None:
        async with working(queue):  # a judge
            await asyncio.to_thread(program.wait, 30)

    asyncio.run(main())
    assert program.returncode == 0
    assert (tmp_path / "ran").read_text() == "1\n"
    assert not runs
    assert server.client().hget("result:blocks", "status") == b"completed"


def test_what_lies_in_the_current_directory_does_not_stand_in_for_a_module_of_ours(server: Server, tmp_path: Path) -> None:
    program, here = tmp_path / "program", tmp_path / "here"
    for folder in (program, here):
        folder.mkdir()
    (program / "app.py").write_text(BLOCKS)
    (here / "redis.py").write_text("raise SystemExit('not ours')\n")
    process = subprocess.Popen([sys.executable, program / "app.py"], cwd=here, env={**os.environ, "CHUTE_URL": server.url})
    assert until(lambda: bool(children(process.pid)), 30)
    server.client().lpush(KEYS.queue, '{"job_id":"blocks","number":1}')
    assert until((here / "ran").exists, 30)
    (worker,) = server.client().hkeys(KEYS.workers)
    before = int(server.client().hget(KEYS.workers, worker) or 0)
    assert until(lambda: int(server.client().hget(KEYS.workers, worker) or 0) >= before + 3, 4)
    assert process.wait(30) == 0


def test_the_helper_ends_with_its_worker_and_with_a_program_that_is_killed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BLOCKS)
    program = subprocess.Popen([sys.executable, "app.py"], cwd=tmp_path, env={**os.environ, "CHUTE_URL": server.url})
    assert until(lambda: bool(children(program.pid)), 30)
    (helper,) = children(program.pid)
    program.kill()
    program.wait()
    assert until(lambda: not Path(f"/proc/{helper}").exists())
    queue, _ = counting(server.url)
    before = set(children(os.getpid()))

    async def main() -> None:
        async with working(queue) as engine:
            await soon(lambda: len(set(children(os.getpid())) - before) == 1)
            await soon(lambda: engine.guard.board.proof(0) > 0)
            load(server, 1)
            await soon(lambda: engine.totals["completed"] == 1)
            await soon(lambda: server.client().hlen(KEYS.workers) == 1)  # the killed one was judged

    asyncio.run(main())
    assert set(children(os.getpid())) == before
    assert until(lambda: at_rest(server))


def test_a_server_that_is_mute_is_left(server: Server) -> None:
    """Nobody else in this process looks whether an answer is overdue."""

    async def main() -> None:
        lines = Lines(connection.endpoint(server.url), lambda _: None)
        line = lines.to("")
        assert line
        await soon(lambda: line.connected)
        assert server.process
        server.process.send_signal(signal.SIGSTOP)
        try:
            line.send([("PING",)], lambda _: None, 0.05)
            await asyncio.sleep(0.1)
            assert line.connected
            helper._beat(lines, Beats(lines))
            await soon(lambda: not line.connected)
        finally:
            server.process.send_signal(signal.SIGCONT)
        await soon(lambda: line.connected)
        await lines.close()

    asyncio.run(main())
