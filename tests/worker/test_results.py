"""worker/results.py: in a Cluster a result is on another server, and is there before its lease is gone. On a real one."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import chute
from chute.line import Line
from chute.lines import Lines
from chute.worker.engine import Engine
from chute.worker.finish import Record
from chute.worker.results import AGAIN, AGAIN_FOR, KEPT, PATIENCE, Kept, Results
from chute.worker.slots import Slots
from servers import Server
from topologies import Cluster
from worker import made
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


def loses(cluster: Cluster, job_id: str) -> None:
    """As a failover does it: the result is gone, and the connections to who had it end."""
    with cluster.owner(f"result:{job_id}").new_client() as client:
        client.delete(f"result:{job_id}")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@pytest.mark.parametrize("number", [0, 1], ids=["completed", "failed"])
def test_what_a_server_stored_last_is_stored_again_once_where_the_way_to_it_ends(cluster: Cluster, number: int) -> None:
    async def steps(engine: Engine, jobs: chute.Queue) -> None:
        assert engine.results
        job_id = IDS[number]
        await jobs.apush({"job_id": job_id, "n": number})
        await until(lambda: engine.totals["completed"] + engine.totals["failed"] == 1 and leases(cluster) == 0)
        loses(cluster, job_id)
        await until(lambda: fields(cluster, job_id).get(b"status") in {b"completed", b"failed"})
        await until(lambda: engine.results.quiet)
        loses(cluster, job_id)
        await asyncio.sleep(2 * AGAIN + 0.2)
        assert not fields(cluster, job_id)

    working(cluster, steps)


def test_what_was_stored_a_while_ago_is_not_stored_again(cluster: Cluster) -> None:
    async def steps(engine: Engine, jobs: chute.Queue) -> None:
        await jobs.apush({"job_id": IDS[0], "n": 0})
        await until(lambda: engine.totals["completed"] == 1 and leases(cluster) == 0)
        await asyncio.sleep(KEPT + 0.2)
        loses(cluster, IDS[0])
        await asyncio.sleep(2 * AGAIN + 0.2)
        assert not fields(cluster, IDS[0])

    working(cluster, steps)


def test_what_nobody_takes_again_is_given_up_and_holds_up_no_end(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    monkeypatch.setattr("chute.worker.clock.now", lambda: now)
    later: list[Callable[[], None]] = []
    queue = chute.Queue("jobs", url="redis+cluster://127.0.0.1:1")
    lines = Lines(queue.endpoint, lambda _: None)
    monkeypatch.setattr(lines, "to", lambda _: None)  # nobody is known to have it
    results = Results(lines, Slots(1, 1), lambda _, fn: later.append(fn), lambda: None)
    line = Line(queue.endpoint.at(""), lambda _: None)
    results._kept[line].add(Record(made.held(), "job-1", b"packed"), now)
    results.lost(line)
    assert not results.quiet
    now += PATIENCE + 0.1
    assert results.quiet
    assert not results.crowded
    while later:
        now += 20
        later.pop()()
    assert "the result of job job-1 is lost" in caplog.text
    assert now < 100 + AGAIN_FOR + 50


def test_of_what_was_stored_last_eight_megabytes_are_kept() -> None:
    kept = Kept()
    record = Record(made.held(b"x" * 2**20), "job", b"packed")
    for n in range(20):
        kept.add(record, float(n))
    assert len(kept.take()) == 7
    assert kept.take() == []


def test_nobody_stays_connected_to_a_node_that_has_no_keys_any_more(cluster: Cluster) -> None:
    before = cluster.owner("queue:jobs")

    def workers_there() -> int:
        with before.new_client() as client:
            return sum("evalsha" in each["cmd"] for each in client.client_list(_type="normal"))

    async def steps(engine: Engine, jobs: chute.Queue) -> None:
        for n, job_id in enumerate(IDS):
            await jobs.apush({"job_id": job_id, "n": n})
        await until(lambda: workers_there() > 0)
        await asyncio.to_thread(cluster.fail_over, before)
        await jobs.apush({"job_id": "after", "n": 0})
        assert await jobs.job("after").aresult(timeout=20) == 0
        await until(lambda: workers_there() == 0)

    working(cluster, steps)


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
