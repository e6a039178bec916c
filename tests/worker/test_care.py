"""What a queue needs beside claims, also where the server does not know the scripts any more."""

import asyncio
import time

import pytest

import chute
from chute.keys import keys_of
from servers import Server
from worker.running import until, working

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")


def test_due_jobs_are_made_ready_after_the_scripts_were_forgotten(each_server: Server) -> None:
    client = each_server.client()

    async def main() -> None:
        async with working(chute.Queue("other", url=each_server.url), chute.Queue("jobs", url=each_server.url)) as engine:
            await until(lambda: all(lane.waiting for lane in engine.lanes))
            client.script_flush()
            client.zadd(KEYS.scheduled, {"0" * 16 + '{"job_id":"due"}': time.time() * 1000})
            await until(lambda: client.zcard(KEYS.scheduled) == 0)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("policy", "said"),
    [("noeviction", ""), ("allkeys-lru", "may delete jobs, leases and dead letters"), ("volatile-ttl", "may delete results")],
)
def test_a_server_that_may_delete_jobs_is_reported(server: Server, caplog: pytest.LogCaptureFixture, policy: str, said: str) -> None:
    client = server.client()
    client.config_set("maxmemory-policy", policy)

    async def main() -> None:
        async with working(chute.Queue("other", url=server.url), chute.Queue("jobs", url=server.url)) as engine:
            await until(lambda: all(lane.waiting for lane in engine.lanes))
            await until(lambda: len(messages()) > 0 or not said, 1)

    def messages() -> list[str]:
        return [record.message for record in caplog.records if "maxmemory-policy" in record.message]

    asyncio.run(main())
    assert [f"the server {said} when it is full: its maxmemory-policy is {policy}. Set it to noeviction"] * bool(said) == messages()
