"""What a worker says of itself: with each beat while it lives, and nothing is left of it when it has gone."""

import asyncio
import json
import os
import socket
import time
from typing import Any

import pytest

import chute
from chute.keys import keys_of
from contract.helpers import Work, push
from servers import Server, signal_all
from servers import until as blocking_until
from worker.running import until, working

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")


def said(server: Server) -> list[dict[str, Any]]:
    """What every worker of the queue says."""
    client = server.client()
    return [json.loads(client.get(key) or b"null") for key in client.scan_iter("info:{queue:jobs}:*")]


def test_who_it_is_and_what_it_runs_with_the_oldest_first(each_server: Server) -> None:
    queue = chute.Queue("jobs", url=each_server.url)
    task = queue.task(asyncio.sleep, name="nap")
    client = each_server.client()

    async def main() -> None:
        began = time.time()
        async with working(queue, concurrency=150) as engine:
            await until(lambda: engine.lanes[0].live)
            key = KEYS.info(engine.lanes[0].holdings.worker)
            await until(lambda: bool(client.exists(key)))
            (idle,) = said(each_server)
            assert {name: idle[name] for name in ("host", "pid", "slots", "count", "running")} == {
                "host": socket.gethostname(), "pid": os.getpid(), "slots": 150, "count": 0, "running": [],
            }  # fmt: skip
            assert began - 1 < idle["started"] <= idle["at"] <= time.time() + 1
            assert client.ttl(key) in (2, 3)
            ids = [(await task.aenqueue(30)).id for _ in range(120)]
            await until(lambda: said(each_server)[0]["count"] == 120)
            (busy,) = said(each_server)
            assert [job_id for job_id, *_ in busy["running"]] == ids[:100]
            assert {name for _, name, *_ in busy["running"]} == {"nap"}
            assert all(began - 1 < since <= busy["at"] for _, _, since, _ in busy["running"])
            leases = client.hkeys(KEYS.leases(engine.lanes[0].holdings.worker))
            assert {lease for *_, lease in busy["running"]} <= set(map(int, leases))
            engine.break_off()
        client.delete(KEYS.queue)

    asyncio.run(main())
    assert not said(each_server), "it left"


def test_of_one_that_died_nothing_is_left_when_others_took_over(server: Server) -> None:
    client = server.client()
    push(client, "jobs", {"job_id": "a", "@task": "slow", "seconds": 60})
    with Work("tasks:jobs", server.url, "--grace", "0") as dying:
        assert blocking_until(lambda: any(each["running"] for each in said(server)))
        signal_all(dying.process.pid, 9)
        dying.process.wait()
    (before,) = client.keys("info:*")
    with Work("tasks:jobs", server.url, "--grace", "0"):
        assert blocking_until(lambda: before not in client.keys("info:*"))
        assert blocking_until(lambda: any(each["running"] for each in said(server)))
    client.delete(KEYS.queue)
    assert not client.keys("info:*")


def test_one_that_was_closed_is_silent_under_that_name(server: Server) -> None:
    queue, client = chute.Queue("jobs", url=server.url), server.client()
    queue.task(asyncio.sleep, name="nap")

    async def main() -> None:
        async with working(queue) as engine:
            await until(lambda: engine.lanes[0].live)
            worker = engine.lanes[0].holdings.worker
            await until(lambda: bool(client.exists(KEYS.info(worker))))
            client.hdel(KEYS.workers, worker)
            client.delete(KEYS.info(worker))
            await until(lambda: engine.lanes[0].holdings.worker != worker and len(said(server)) == 1)
            assert not client.exists(KEYS.info(worker))

    asyncio.run(main())


def test_one_that_has_just_started_does_not_wait_for_its_first_beat(server: Server) -> None:
    with Work("tasks:jobs", server.url, CHUTE_BEAT="60", CHUTE_DEAD_AFTER="300") as work:
        work.ready(server.client(), "jobs")
        assert blocking_until(lambda: bool(said(server)), 5)
