"""A queue as one worker sees it: who it is there."""

import asyncio

import pytest

import chute
from chute.keys import QUEUES, keys_of
from servers import Server
from worker.running import until, working

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")


def test_it_registers_once_and_notes_the_queue(each_server: Server) -> None:
    client = each_server.client()

    async def main() -> None:
        async with working(chute.Queue("jobs", url=each_server.url)) as engine:
            lane = engine.lanes[0]
            await until(lambda: lane.live)
            assert client.hkeys(KEYS.workers) == [lane.holdings.worker.encode()]
            assert len(bytes.fromhex(lane.holdings.worker)) == 16
            await until(lambda: client.smembers(QUEUES) == {b"jobs"})

    asyncio.run(main())
    assert not client.exists(KEYS.workers)


def test_whoever_was_closed_by_others_comes_back_under_a_new_id(each_server: Server) -> None:
    client = each_server.client()

    async def main() -> None:
        async with working(chute.Queue("jobs", url=each_server.url)) as engine:
            lane = engine.lanes[0]
            await until(lambda: lane.live)
            before = lane.holdings.worker
            client.hset(KEYS.workers, before, "dead")
            await until(lambda: lane.live and lane.holdings.worker != before)
            await until(lambda: client.hkeys(KEYS.workers) == [lane.holdings.worker.encode()])

    asyncio.run(main())


def test_being_fenced_on_one_queue_leaves_the_others_alone(server: Server) -> None:
    client = server.client()

    async def main() -> None:
        async with working(chute.Queue("jobs", url=server.url), chute.Queue("other", url=server.url)) as engine:
            jobs, other = engine.lanes
            await until(lambda: jobs.live and other.live)
            stays, goes = other.holdings.worker, jobs.holdings.worker
            client.hset(KEYS.workers, goes, "dead")
            await until(lambda: jobs.live and jobs.holdings.worker != goes)
            assert (other.live, other.holdings.worker) == (True, stays)

    asyncio.run(main())


def test_the_wait_has_a_connection_of_its_own_that_can_be_unblocked(server: Server) -> None:
    async def main() -> None:
        async with working(chute.Queue("jobs", url=server.url)) as engine:
            lane = engine.lanes[0]
            await until(lambda: lane.waiting and lane.client is not None)
            client = server.client()

            def waits() -> int:
                return int(client.info("commandstats")["cmdstat_blmove"]["calls"])

            before = waits()
            assert client.client_unblock(lane.client) == 1
            await until(lambda: waits() > before and lane.waiting, 1.5)  # an undisturbed wait lasts two seconds

    asyncio.run(main())
