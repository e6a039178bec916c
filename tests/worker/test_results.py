"""worker/results.py: in a Cluster a result is on another server, and is there before its lease is gone. On a real one."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import chute
from chute.worker.engine import Engine
from servers import Server
from topologies import Cluster
from worker.running import until

IDS = [f"job-{n}" for n in range(40)]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("valkey") as formed:
        yield formed


@pytest.fixture(autouse=True)
def _clean(cluster: Cluster) -> None:
    for server in cluster.primaries():
        with server.new_client() as client:
            client.flushall()


def working(cluster: Cluster, steps: Callable[[Engine, chute.Queue], Coroutine[Any, Any, None]]) -> None:
    """Runs the steps beside a worker of two queues of the Cluster; what it works fails for odd numbers."""
    url = f"{cluster.url}/0"
    jobs, other = chute.Queue("jobs", url=url), chute.Queue("other", url=url)

    async def half(n: int) -> int:
        if n % 2:
            raise chute.GiveUp("odd")
        return n // 2

    jobs.task(half)
    other.task(half)

    async def main() -> None:
        async with chute.Worker(jobs, other) as worker:
            assert worker.engine
            await steps(worker.engine, jobs)
        await chute.aclose()

    asyncio.run(main())


def fields(cluster: Cluster, job_id: str) -> Any:
    with cluster.owner(f"result:{job_id}").new_client() as client:
        return client.hgetall(f"result:{job_id}")


def leases(cluster: Cluster, queue: str = "jobs") -> int:
    with cluster.owner(f"queue:{queue}").new_client() as client:
        return sum(int(client.hlen(key)) for key in client.scan_iter(f"leases:{{queue:{queue}}}:*"))


def refuses(server: Server, *, whether: bool) -> None:
    """Whether the script that stores results is refused there."""
    with server.new_client() as client:
        client.execute_command("CONFIG", "SET", "min-replicas-to-write", 5 if whether else 0)


def test_every_result_is_on_its_own_server_and_every_letter_beside_its_queue(cluster: Cluster) -> None:
    async def steps(engine: Engine, jobs: chute.Queue) -> None:
        for n, job_id in enumerate(IDS):
            await jobs.apush({"job_id": job_id, "n": n})
        assert await chute.gather(*[jobs.job(job_id) for job_id in IDS[::2]], timeout=20) == list(range(20))
        for job_id in IDS[1::2]:
            with pytest.raises(chute.errors.JobFailed, match="odd"):
                await jobs.job(job_id).aresult(timeout=20)
        await until(lambda: leases(cluster) == 0)
        assert engine.totals == {"completed": 20, "failed": 20}

    working(cluster, steps)
    assert len({id(cluster.owner(f"result:{job_id}")) for job_id in IDS}) == 3
    with cluster.owner("queue:jobs").new_client() as client:
        assert client.xlen("dead:{queue:jobs}") == 20
    assert {name.decode() for name in fields(cluster, IDS[0])} == {"status", "completed_at", "@value", "@queue", "@tag"}
    with cluster.owner("queues").new_client() as client:
        assert client.smembers("queues") == {b"jobs", b"other"}


def test_a_lease_stays_until_its_result_is_stored(cluster: Cluster) -> None:
    refusing = next(server for server in cluster.primaries() if server is not cluster.owner("queue:jobs"))
    there = [job_id for job_id in IDS[::2] if cluster.owner(f"result:{job_id}") is refusing]
    assert there

    async def steps(engine: Engine, jobs: chute.Queue) -> None:
        refuses(refusing, whether=True)
        try:
            for n, job_id in enumerate(IDS[::2]):
                await jobs.apush({"job_id": job_id, "n": 2 * n})
            await until(lambda: engine.totals["completed"] == 20 and leases(cluster) == len(there))
            assert not any(fields(cluster, job_id) for job_id in there)
            assert not engine.shuttle[engine.lanes[0]].quiet
        finally:
            refuses(refusing, whether=False)
        await until(lambda: leases(cluster) == 0)

    working(cluster, steps)
    assert all(fields(cluster, job_id)[b"status"] == b"completed" for job_id in there)


def test_a_slot_that_moves_under_results_keeps_them(cluster: Cluster) -> None:
    async def steps(engine: Engine, jobs: chute.Queue) -> None:
        await jobs.apush({"job_id": IDS[0], "n": 0})
        await jobs.job(IDS[0]).aresult(timeout=20)
        for key in (f"result:{IDS[2]}", "queue:jobs"):
            target = next(server for server in cluster.primaries() if server is not cluster.owner(key))
            await asyncio.to_thread(cluster.move, key, target)
        await jobs.apush({"job_id": IDS[2], "n": 4})
        assert await jobs.job(IDS[2]).aresult(timeout=20) == 2
        await until(lambda: leases(cluster) == 0)

    working(cluster, steps)


def test_of_a_dead_worker_the_third_death_is_told_where_its_caller_looks(cluster: Cluster) -> None:
    poison = next(job_id for job_id in IDS if cluster.owner(f"result:{job_id}") is not cluster.owner("queue:jobs"))
    body = f'{{"job_id":"{poison}","n":2,"@deaths":2}}'
    with cluster.owner("queue:jobs").new_client() as client:
        client.hset("workers:{queue:jobs}", "w" * 32, "dead")
        client.hset("leases:{queue:jobs}:" + "w" * 32, "1001", body)

    async def steps(engine: Engine, jobs: chute.Queue) -> None:
        with pytest.raises(chute.errors.JobFailed, match="died"):
            await jobs.job(poison).aresult(timeout=20)
        await until(lambda: leases(cluster) == 0)

    working(cluster, steps)
    assert fields(cluster, poison)[b"@reason"] == b"poison"
