"""Nothing is left open: after reconnecting fifty times, twenty processes that were replaced and 10,000 jobs, as many descriptors as at the start."""

import asyncio
import gc
import logging
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
import redis

import chute
from contract.helpers import Work, push
from servers import Server, send, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts what is in /proc")
JOBS, TIMES, PER_PROCESS = 10_000, 50, 500


def opened(pid: int) -> list[str]:
    """What a process has open, by kind."""
    kinds = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kinds.append(os.readlink(each).partition(":")[0])
        except OSError:  # it has been closed meanwhile; that of this very look too
            continue
    return sorted(kinds)


def cut(client: redis.Redis) -> bool:
    """Cuts every connection but ours; whether there was one."""
    return bool(send(client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))


def stored(client: redis.Redis) -> bool:
    """Whether all jobs have been done: each has left a result."""
    return int(client.dbsize()) >= JOBS


def test_a_supervisor_and_its_processes(server: Server) -> None:
    client = server.client()
    with Work("tasks:jobs", server.url, "--processes", "2", "--max-jobs", str(PER_PROCESS)) as work:
        work.ready(client, "jobs")
        assert until(lambda: len(work.children()) == 2 and client.hlen("workers:{queue:jobs}") == 2)
        pids = (work.process.pid, *work.children())
        assert until(lambda: [opened(pid) for pid in pids] == [opened(pid) for pid in pids])
        before, of_a_child = opened(pids[0]), opened(pids[1])
        seen, cuts = set(work.children()), 0
        push(client, "jobs", *[{"job_id": f"j{n}", "question": "?"} for n in range(JOBS)])

        def over() -> bool:
            nonlocal cuts
            seen.update(work.children())
            cuts += not cuts >= TIMES and cut(client)
            return stored(client) and cuts == TIMES

        assert until(over, 60), (cuts, len(seen), work.stderr[-1000:])
        assert len(seen) >= JOBS // PER_PROCESS, "that many processes"
        assert until(lambda: len(opened(pids[0])) <= len(before), 10), (before, opened(pids[0]))
        assert until(lambda: [opened(pid) for pid in work.children()] == [of_a_child] * 2, 10), (
            of_a_child,
            list(map(opened, work.children())),
        )
    assert client.llen("queue:jobs") == 0


def test_a_worker_in_a_program(server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "chute.worker")  # a record that is kept keeps the error that it names, and all that this has seen
    asyncio.run(_in_a_program(server, monkeypatch))


async def _in_a_program(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTE_BEAT", "0.2")
    client, jobs = server.client(), chute.Queue("jobs", url=server.url)
    client.ping()

    @jobs.task
    async def answer(question: str) -> str:
        return question

    me = os.getpid()
    at_first = opened(me)
    worker = chute.Worker(jobs)
    async with worker:
        await asyncio.sleep(0.5)  # there is a helper now
        before, cuts = opened(me), 0
        push(client, "jobs", *[{"job_id": f"j{n}", "question": "?"} for n in range(JOBS)])
        while cuts < TIMES or not stored(client):
            cuts += not cuts >= TIMES and cut(client)
            await asyncio.sleep(0.03)
        assert await asyncio.to_thread(until, lambda: opened(me) == before, 10), (before, opened(me))
    await chute.aclose()
    await asyncio.sleep(0.2)
    del worker
    gc.collect()  # a worker and its parts know each other
    assert not Counter(opened(me)) - Counter(at_first)  # what other tests have left may have gone meanwhile
