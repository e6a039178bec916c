"""The end of a worker's life."""

import asyncio
import sys

import pytest

import chute
from chute.keys import keys_of
from faulty import Proxy
from servers import Server
from worker.running import until
from worker.test_engine import holding, load

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")


def numbers(server: Server) -> list[int]:
    """What the queue holds, in the order in which it will be handed out."""
    return [int(body.split(b":")[-1].strip(b"}")) for body in reversed(server.client().lrange(KEYS.queue, 0, -1))]


def test_what_still_runs_after_the_grace_goes_back_uncharged(each_server: Server) -> None:
    queue, tasks = holding(each_server.url)
    load(each_server, 5)

    async def main() -> None:
        worker = chute.Worker(queue, concurrency=3)
        worker.grace = 0.05
        async with worker:
            await until(lambda: len(tasks.order) == 3)
        await chute.aclose()

    asyncio.run(main())
    assert numbers(each_server) == [0, 1, 2, 3, 4]
    assert not any(b"@attempt" in body for body in each_server.client().lrange(KEYS.queue, 0, -1))


def test_leases_that_the_worker_does_not_know_of_go_back_too(server: Server) -> None:
    """A claim whose answer was lost just before the end. The queue is paused until the cut is prepared, so the next claim is the one."""
    client = server.client()
    client.hset(KEYS.workers, "@paused", 1)
    load(server, 3)
    with Proxy(server.socket) as proxy:
        queue, _ = holding(proxy.url)

        async def main() -> None:
            worker = chute.Worker(queue)
            worker.grace = 0
            async with worker:
                engine = worker.engine
                assert engine
                await until(lambda: engine.lanes[0].pause_until > 0)
                proxy.once("EVALSHA", "after", holding=KEYS.first.encode())
                client.hdel(KEYS.workers, "@paused")
                await until(lambda: proxy.count["after"] == 1)
            await chute.aclose()

        asyncio.run(main())
    assert numbers(server) == [0, 1, 2]
    assert not list(client.scan_iter("leases:*"))
    assert not client.exists(KEYS.workers)


def test_a_server_that_is_gone_does_not_hold_the_worker(start_server: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["chute.worker.leave"], "PATIENCE", 0.3)
    server: Server = start_server("valkey")  # type: ignore[operator]
    queue, _ = holding(server.url)

    async def main() -> None:
        async with asyncio.timeout(10):
            async with chute.Worker(queue):
                server.kill()
            await chute.aclose()

    asyncio.run(main())
