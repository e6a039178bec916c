"""One queue in several lists: jobs are shared out evenly, a key keeps its order, and for people it is one queue."""

import asyncio
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

import chute
from chute import admin, connection
from chute.errors import Rejected
from chute.explain import explain
from chute.metrics import QueueCollector
from chute.roster import members
from servers import Server, until
from topologies import Cluster

PARTITIONS = 8


RUNS: list[tuple[str, int]] = []
"""What has been run: (key, n) each."""


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    RUNS.clear()


async def note(key: str, n: int) -> int:
    """The task: notes what it was given, and fails for 13."""
    RUNS.append((key, n))
    if n == 13:
        raise chute.GiveUp("thirteen")
    return n


def _queue(url: str) -> tuple[chute.Queue, chute.Task[[str, int], chute.Job[int], Any]]:
    queue = chute.Queue("jobs", url=url, partitions=PARTITIONS)
    return queue, queue.task(note)


def _lengths(server: Server) -> list[int]:
    with server.new_client() as client:
        return [int(client.llen(f"queue:jobs:{n}")) for n in range(PARTITIONS)]


def _work(queue: chute.Queue, concurrency: int = 100) -> None:
    """Works until nothing is ready."""

    async def work() -> None:
        await chute.Worker(queue, concurrency=concurrency).arun(burst=True)
        await chute.aclose()

    asyncio.run(work())


def _command(*words: str, url: str) -> str:
    run = subprocess.run([sys.executable, "-m", "chute", *words, "--url", url], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_without_a_key_jobs_take_turns(server: Server) -> None:
    queue, task = _queue(server.url)
    queue.enqueue_many(task.bind("", n) for n in range(80))
    assert _lengths(server) == [10] * 8
    for n in range(8):
        task.enqueue("", n)
    asyncio.run(_enqueue(task, 8))
    assert _lengths(server) == [12] * 8
    assert queue.depth() == 96


async def _enqueue(task: chute.Task[..., Any, Any], count: int) -> None:
    for n in range(count):
        await task.aenqueue("", n)
    await chute.aclose()


def test_a_key_keeps_its_order_and_its_partition(server: Server) -> None:
    queue, task = _queue(server.url)
    keys = [f"user-{n}" for n in range(20)]
    calls = [task.options(key=key).bind(key, n) for n in range(100, 150) for key in keys]
    queue.enqueue_many(calls)
    for key in keys:
        task.options(key=key, delay=0.01).enqueue(key, 150)
    where: defaultdict[str, set[int]] = defaultdict(set)
    with server.new_client() as client:
        for number in range(PARTITIONS):
            for body in client.lrange(f"queue:jobs:{number}", 0, -1):
                where[json.loads(body)["key"]].add(number)
    assert all(len(numbers) == 1 for numbers in where.values())
    assert len({next(iter(numbers)) for numbers in where.values()}) > 4
    _work(queue, concurrency=1)  # one at a time: so the order of starts is that of the claims
    for key in keys:
        assert [n for of, n in RUNS if of == key][:50] == list(range(100, 150))


def test_the_partition_of_a_key_is_the_same_in_every_program(server: Server) -> None:
    _, task = _queue(server.url)
    task.options(key="user-42").enqueue("user-42", 1)
    assert [number for number, count in enumerate(_lengths(server)) if count] == [3]  # CRC-32 of user-42, modulo 8


def test_what_any_language_pushes_is_worked_in_the_plain_list_and_in_each_partition(server: Server) -> None:
    queue, _ = _queue(server.url)
    with server.new_client() as client:
        client.lpush("queue:jobs", '{"job_id":"plain","key":"plain","n":1}')
        client.lpush("queue:jobs:3", '{"job_id":"third","key":"third","n":3}')
    assert queue.depth() == 2
    _work(queue)
    assert sorted(RUNS) == [("plain", 1), ("third", 3)]
    assert queue.job("third").result(timeout=1) == 3


def test_for_people_it_is_one_queue(server: Server) -> None:
    queue, task = _queue(server.url)
    queue.enqueue_many([task.bind("", 13) for _ in range(16)])
    _work(queue)
    handles = queue.enqueue_many([task.bind("", 1) for _ in range(24)])
    stats = admin.stats(queue.endpoint, "jobs")
    assert (stats.depth, stats.dead) == (24, 16)
    assert [row["queue"] for row in map(json.loads, _command("stats", "--json", url=server.url).splitlines())] == ["jobs"]
    depth = {
        sample.labels["queue"]: sample.value
        for metric in QueueCollector(server.url).collect()
        for sample in metric.samples
        if metric.name == "queue_depth"
    }
    assert depth == {"jobs": 24}
    assert QueueCollector(server.url, ["jobs"]).backlog() == {"ready": 24, "running": 0, "scheduled": 0, "backlog": 24}
    assert explain(queue.endpoint, handles[0].id).state == "queued"
    entries = [json.loads(line)["entry"] for line in _command("dead", "list", "jobs", "--json", url=server.url).splitlines()]
    assert Counter(entry.partition("@")[2] for entry in entries) == {str(n): 2 for n in range(PARTITIONS)}
    assert json.loads(_command("dead", "show", "jobs", entries[0], "--json", url=server.url))["entry"] == entries[0]
    assert _command("dead", "requeue", "jobs", entries[0], url=server.url) == "1 requeued\n"
    assert _command("dead", "purge", "jobs", "--all", "--yes", url=server.url) == "15 purged\n"
    assert _command("clear", "jobs", "--yes", url=server.url) == "25 cleared\n"


def test_it_stands_still_and_goes_on_as_one(server: Server) -> None:
    queue, task = _queue(server.url)
    _work(queue)  # so that its partitions are known

    async def work() -> None:
        assert admin.pause(queue.endpoint, "jobs")
        assert not admin.pause(queue.endpoint, "jobs")
        async with chute.Worker(queue):
            await queue.aenqueue_many([task.bind("", n) for n in range(20, 40)])
            await asyncio.sleep(0.5)
            assert not RUNS
            assert await asyncio.to_thread(lambda: len(members(queue.endpoint, "jobs"))) == 1
            assert admin.resume(queue.endpoint, "jobs")
            while len(RUNS) < 20:
                await asyncio.sleep(0.02)
        await chute.aclose()

    asyncio.run(asyncio.wait_for(work(), 30))


def test_what_one_partition_refuses_is_told_beside_what_others_took(server: Server) -> None:
    queue, task = _queue(server.url)
    with server.new_client() as client:
        client.set("queue:jobs:7", "no list")
        with pytest.raises(Rejected) as told:
            queue.enqueue_many([task.bind("", n) for n in range(16)])
        assert any("14 other jobs of this exchange were accepted" in line for line in told.value.__notes__)
        client.delete("queue:jobs:7")


@pytest.mark.parametrize("partitions", [0, -1, 16, 2.0, True, "8"])
def test_numbers_of_partitions_that_cannot_be(partitions: Any) -> None:
    with pytest.raises(ValueError, match="1 to 15"):
        chute.Queue("jobs", partitions=partitions)


@pytest.mark.parametrize("key", ["", 7, b"user"])
def test_keys_that_cannot_be(key: Any) -> None:
    _, task = _queue("redis://127.0.0.1:1")
    with pytest.raises(TypeError, match="key= is text"):
        task.options(key=key)


def test_a_worker_has_room_for_sixteen_lists() -> None:
    queues = [chute.Queue(name, url="redis://127.0.0.1:1", partitions=8) for name in "ab"]
    with pytest.raises(ValueError, match=r"at most 16 lists.*these have 18"):
        chute.Worker(*queues)


@pytest.fixture(scope="module")
def shards() -> Iterator[Cluster]:
    """Four nodes: of eight partitions each has two."""
    with Cluster("valkey", primaries=4, replicas=False) as formed:
        yield formed


def test_one_worker_drains_all_shards_evenly(shards: Cluster) -> None:
    assert Counter(id(shards.owner(f"queue:jobs:{n}")) for n in range(PARTITIONS)) == {id(server): 2 for server in shards.servers}
    queue, task = _queue(shards.url)
    queue.enqueue_many(task.bind("", 20 + n) for n in range(8000))
    for server in shards.servers:
        with server.new_client() as client:
            assert sum(int(client.llen(f"queue:jobs:{n}")) for n in range(PARTITIONS) if shards.owner(f"queue:jobs:{n}") is server) == 2000
            client.config_resetstat()
    _work(queue)
    assert queue.depth() == 0
    commands = [_commands(server) for server in shards.servers]
    assert max(commands) <= 1.1 * min(commands), commands
    results = [_keys(server, "result:*") for server in shards.servers]
    assert sum(results) == 8000
    assert until(lambda: not any(_keys(server, "leases:*") for server in shards.servers), 5)
    connection.forget(queue.endpoint.address)


def _commands(server: Server) -> int:
    """What the worker and its jobs had it do."""
    with server.new_client() as client:
        stats: Any = client.info("commandstats")
    return sum(
        int(each["calls"])
        for name, each in stats.items()
        if name in ("cmdstat_evalsha", "cmdstat_hset", "cmdstat_expire", "cmdstat_lrange")
    )


def _keys(server: Server, pattern: str) -> int:
    with server.new_client() as client:
        return sum(1 for _ in client.scan_iter(pattern, count=1000))
