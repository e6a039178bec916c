"""Leases of a living worker that it does not know of: taken up within two beats, each once, and nothing else is."""

import asyncio
import json

import pytest

from chute import script
from chute.keys import keys_of
from chute.worker import clock
from faulty import Proxy
from servers import Server
from worker.running import until, working
from worker.test_engine import at_rest, counting, holding

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")


def body(number: int) -> str:
    return json.dumps({"job_id": f"j{number}", "number": number})


def test_what_came_back_under_a_living_worker_is_done(each_server: Server) -> None:
    """As after a restart from an older snapshot: claims that were answered, their jobs finished, and the leases there again."""
    client = each_server.client()
    queue, runs = counting(each_server.url)

    async def main() -> None:
        async with working(queue) as engine:
            client.lpush(KEYS.queue, *[body(n) for n in range(5)])
            await until(lambda: len(runs) == 5 and engine.shuttles[0].quiet)
            leases = KEYS.leases(engine.lanes[0].holdings.worker)
            client.hset(leases, mapping={str(1000 * engine.claims.last + n): body(n) for n in (2, 3)})
            await until(lambda: runs[2] > 1 and runs[3] > 1)
            await until(lambda: not client.exists(leases))
            assert leases == KEYS.leases(engine.lanes[0].holdings.worker), "others closed its identity meanwhile"

    asyncio.run(main())
    assert runs == {0: 1, 1: 1, 2: 2, 3: 2, 4: 1}
    assert at_rest(each_server)


def test_two_looks_that_overlap_take_up_once(each_server: Server) -> None:
    """The second is sent while the taking up that the first brought about is not answered."""
    client = each_server.client()

    async def main() -> None:
        with Proxy(each_server.socket) as proxy:
            queue, runs = counting(proxy.url)
            async with working(queue) as engine:
                client.lpush(KEYS.queue, body(0))
                await until(lambda: runs[0] == 1 and engine.shuttles[0].quiet)
                engine.lanes[0].doubt(1 << 40, clock.now() + 60)  # while a claim is in doubt, each beat brings the leases themselves
                adopt, proxy.longest = script.ADOPT.sha.encode(), 10 * engine.timing.beat
                proxy.fault = lambda command: "delay" if adopt in command else None
                leases = KEYS.leases(engine.lanes[0].holdings.worker)
                client.hset(leases, str(1000 * engine.claims.last + 7), body(1))
                await until(lambda: runs[1] >= 1)
                await asyncio.sleep(5 * engine.timing.beat)
                assert proxy.count["delay"] == 1
                await until(lambda: not client.exists(leases))
            assert runs == {0: 1, 1: 1}

    asyncio.run(main())


def test_what_is_in_hand_or_under_way_is_left_alone(each_server: Server) -> None:
    client = each_server.client()
    queue, tasks = holding(each_server.url)

    async def main() -> None:
        async with working(queue, concurrency=10) as engine:
            client.lpush(KEYS.queue, *[body(n) for n in range(40)])
            await until(lambda: len(tasks.order) == 10)
            await asyncio.sleep(10 * engine.timing.beat)
            assert len(tasks.order) == 10
            tasks.go.set()
            await until(lambda: engine.totals["completed"] == 40)

    asyncio.run(main())
    assert sorted(tasks.order) == list(range(40))
    assert at_rest(each_server)


def test_an_outcome_that_the_server_refused_is_still_in_hand(each_server: Server) -> None:
    """Its lease stands while it waits to be sent again; the job must not be run for that."""
    client = each_server.client()
    queue, runs = counting(each_server.url)

    async def main() -> None:
        async with working(queue) as engine:
            client.execute_command("ACL", "SETUSER", "default", "-xadd", "-hdel")
            client.lpush(KEYS.queue, *[body(n) for n in range(5)])
            await until(lambda: len(runs) == 5)
            await asyncio.sleep(10 * engine.timing.beat)
            client.execute_command("ACL", "SETUSER", "default", "+@all")
            await until(lambda: at_rest(each_server))

    try:
        asyncio.run(main())
    finally:
        client.execute_command("ACL", "SETUSER", "default", "+@all")
    assert runs == dict.fromkeys(range(5), 1)
