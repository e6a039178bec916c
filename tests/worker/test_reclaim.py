"""Workers that die, and workers that only look dead."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chute import admin, connection
from chute.holdings import Holdings
from chute.keys import keys_of
from chute.lines import Lines
from chute.worker.reclaim import insist, none_started, take_over
from servers import Server, signal_all, until
from worker.running import until as soon
from worker.running import working
from worker.test_engine import at_rest, counting, holding, load

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")
HELD = """
import asyncio, chute
jobs = chute.Queue("jobs")

@jobs.task
async def count(number: int) -> None:
    await asyncio.sleep(60)
"""


def start_holder(server: Server, folder: Path, jobs: int = 10) -> subprocess.Popen[bytes]:
    """A worker process whose jobs do not end, once it holds some."""
    (folder / "app.py").write_text(HELD)
    env = {**os.environ, "CHUTE_URL": server.url}
    command = [sys.executable, "-m", "chute", "work", "app:jobs", "--concurrency", "10", "--grace", "0"]
    holder = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.DEVNULL)
    client = server.client()
    assert until(lambda: any(client.hlen(key) >= jobs for key in client.scan_iter("leases:*")))
    return holder


def test_what_a_killed_worker_held_is_done_by_another_in_the_old_order(each_server: Server, tmp_path: Path) -> None:
    load(each_server, 30)
    holder = start_holder(each_server, tmp_path)
    holder.kill()
    holder.wait()
    queue, runs = counting(each_server.url)

    async def main() -> None:
        async with working(queue, concurrency=1):
            await soon(lambda: len(runs) == 30 and at_rest(each_server))

    asyncio.run(main())
    assert set(runs.values()) == {1}
    assert each_server.client().hlen(KEYS.workers) == 0


def test_a_stopped_worker_is_fenced_and_comes_back_under_a_new_id(each_server: Server, tmp_path: Path) -> None:
    client = each_server.client()
    load(each_server, 10)
    holder = start_holder(each_server, tmp_path)
    (before,) = client.hkeys(KEYS.workers)
    queue, runs = counting(each_server.url)
    try:
        signal_all(holder.pid, signal.SIGSTOP)

        async def main() -> None:
            async with working(queue):
                await soon(lambda: len(runs) == 10)

        asyncio.run(main())
        assert set(runs.values()) == {1}
        assert until(lambda: client.hlen(KEYS.workers) == 0)
        signal_all(holder.pid, signal.SIGCONT)
        assert until(lambda: client.hlen(KEYS.workers) == 1)
        assert client.hkeys(KEYS.workers) != [before]
    finally:
        holder.send_signal(signal.SIGTERM)
        assert holder.wait(20) == 0


def test_a_worker_whose_handler_blocks_the_loop_is_not_judged_by_who_could_not_look(each_server: Server) -> None:
    """A judge that missed its own looks starts over: a gap in what it saw is no proof of anybody's death."""
    queue, _ = counting(each_server.url)
    other = counting(each_server.url)[0]

    async def main() -> None:
        async with working(queue) as first, working(other):
            await soon(lambda: each_server.client().hlen(KEYS.workers) == 2)
            ids = set(each_server.client().hkeys(KEYS.workers))
            await asyncio.sleep(0.3)
            __import__("time").sleep(2.5)  # both are deaf for longer than dead_after
            await asyncio.sleep(0.5)
            assert set(each_server.client().hkeys(KEYS.workers)) == ids
            assert first.lanes[0].live

    asyncio.run(main())


def test_a_worker_does_not_take_over_from_itself_what_still_runs_here(each_server: Server) -> None:
    """Judged dead by another, it goes on under a new id; to give back what it still runs would run it twice."""
    client = each_server.client()
    queue, tasks = holding(each_server.url)
    load(each_server, 1)

    async def main() -> None:
        async with working(queue) as engine:
            await soon(lambda: len(engine.slots.running) == 1)
            former = engine.lanes[0].holdings.worker
            client.hset(KEYS.workers, former, "dead")
            await soon(lambda: engine.lanes[0].holdings.worker != former and engine.lanes[0].live)
            await asyncio.sleep(5 * engine.timing.beat)
            assert client.hlen(f"leases:{{queue:jobs}}:{former}") == 1
            tasks.go.set()
            await soon(lambda: engine.totals["completed"] == 1)

    asyncio.run(main())
    assert client.hget("result:j0", "status") == b"completed"
    assert at_rest(each_server)


def test_rubbish_among_workers_and_leases_keeps_nobody_from_being_taken_over(each_server: Server, tmp_path: Path) -> None:
    client = each_server.client()
    load(each_server, 10)
    holder = start_holder(each_server, tmp_path)
    (worker,) = client.hkeys(KEYS.workers)
    holder.kill()
    holder.wait()
    client.hset(KEYS.workers, b"\xff", b"\xff")
    client.hset(KEYS.leases(worker.decode()), "no number", '{"job_id":"j10","number":10}')
    queue, runs = counting(each_server.url)

    async def main() -> None:
        async with working(queue):
            await soon(lambda: len(runs) == 11 and at_rest(each_server))

    asyncio.run(main())
    assert set(runs.values()) == {1}
    assert admin.stats(connection.endpoint(each_server.url), "jobs").workers == 0
    assert client.hkeys(KEYS.workers) == [b"\xff"]
    client.delete(KEYS.workers)


def test_what_was_held_goes_back_where_the_registry_was_lost_and_nobody_asks_without_end(each_server: Server) -> None:
    client, theirs = each_server.client(), Holdings("jobs", "a" * 32)
    client.hset(theirs.leases, mapping={str(n): '{"job_id":"j%d","number":%d}' % (n, n) for n in (1001, 1002)})

    async def main() -> tuple[int, int]:
        lines = Lines(connection.endpoint(each_server.url), lambda _: None)
        try:
            ask = insist(lines)
            async with asyncio.timeout(10):
                before = await take_over(ask, theirs, none_started)
                assert await ask(theirs.closing(b"")) == 1
                return before, await take_over(ask, theirs, none_started)
        finally:
            await lines.close()

    assert asyncio.run(main()) == (0, 2)
    assert [json.loads(body)["job_id"] for body in client.lrange(KEYS.queue, 0, -1)] == ["j1002", "j1001"]
    assert not client.exists(theirs.leases, KEYS.workers)
    client.delete(KEYS.queue)


def test_what_was_held_by_the_dead_is_charged_and_the_third_death_is_the_last(each_server: Server, tmp_path: Path) -> None:
    client = each_server.client()
    client.lpush(KEYS.queue, '{"job_id":"young","number":1}', '{"job_id":"old","number":2,"@deaths":2}')
    holder = start_holder(each_server, tmp_path, jobs=1)  # a suspect is held alone
    holder.kill()
    holder.wait()
    queue, runs = counting(each_server.url)

    async def main() -> None:
        async with working(queue):
            await soon(lambda: runs[1] == 1 and client.xlen(KEYS.dead) == 1)
            await soon(lambda: at_rest(each_server))

    asyncio.run(main())
    assert runs == {1: 1}
    ((_, letter),) = client.xrange(KEYS.dead)
    assert (letter[b"reason"], letter[b"job_id"], letter[b"deaths"]) == (b"poison", b"old", b"3")
    assert client.hmget("result:old", "status", "@reason") == [b"failed", b"poison"]


def test_a_job_with_a_death_behind_it_runs_alone(each_server: Server) -> None:
    client = each_server.client()
    queue, tasks = holding(each_server.url)
    jobs = ['{"job_id":"j%d","number":%d%s}' % (n, n, ',"@deaths":1' if n in (3, 4) else "") for n in range(8)]

    async def main() -> None:
        async with working(queue) as engine:
            client.lpush(KEYS.queue, *jobs[:3])
            await soon(lambda: len(engine.slots.running) == 3)
            client.lpush(KEYS.queue, *jobs[3:])
            await soon(lambda: engine.slots.suspect is not None)
            await asyncio.sleep(0.5)
            assert tasks.order == [0, 1, 2]
            tasks.holds_from = 3
            tasks.go.set()
            tasks.go = asyncio.Event()
            await soon(lambda: len(tasks.order) == 4)
            await asyncio.sleep(0.5)
            assert [held.job_id for held in engine.slots.running] == ["j3"]
            tasks.go.set()
            await soon(lambda: engine.totals["completed"] == 8)

    asyncio.run(main())
    assert sorted(tasks.order) == list(range(8))
    assert at_rest(each_server)
