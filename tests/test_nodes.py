"""Several servers behind one address: a Cluster and a primary with Sentinels, each real; what moves is followed, and nothing is sent twice."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import chute
from chute import admin, connection, sight
from chute.errors import Rejected, ServerUnavailable, Unconfirmed
from chute.explain import explain
from chute.lines import Lines
from chute.nodes import Nodes
from chute.operation import Operation
from chute.store import Store
from servers import Kind, Server, StartServer, free_port, until
from topologies import Cluster, Replicated


@pytest.fixture(scope="module", params=["valkey", "redis"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as formed:
        yield formed


@pytest.fixture
def queue(cluster: Cluster) -> Iterator[chute.Queue]:
    """A queue of the Cluster, on an address of its own: what another test has learned of who has what is not known here."""
    _empty(cluster.servers)
    queue = chute.Queue("jobs", url=f"{cluster.url}/0")
    yield queue
    connection.forget(queue.endpoint.address)


@pytest.fixture
def replicated(request: pytest.FixtureRequest) -> Iterator[Replicated]:
    kind: Kind = getattr(request, "param", "valkey")
    with Replicated(kind) as formed:
        yield formed


def _empty(servers: list[Server]) -> None:
    for server in servers:
        with server.new_client() as client:
            if client.info("replication")["role"] == "master":
                client.flushall()


def _length(server: Server, key: str = "queue:jobs") -> int:
    with server.new_client() as client:
        return int(client.llen(key))


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    async def closed() -> Any:
        try:
            return await work
        finally:
            await chute.aclose()

    return asyncio.run(closed())


def _beside(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Runs the work in a thread; what it returned or raised is in the list."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(work())
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def test_each_queue_and_each_result_is_where_its_slot_is(cluster: Cluster, queue: chute.Queue) -> None:
    names = [f"q{n}" for n in range(12)]
    for name in names:
        chute.Queue(name, url=queue.endpoint.address.url).push({"n": 1})
    there = {name: cluster.owner(f"queue:{name}") for name in names}
    assert len(set(map(id, there.values()))) == 3
    assert all(_length(server, f"queue:{name}") == 1 for name, server in there.items())
    observed = queue.endpoint.run(sight.observe({name: [] for name in names}))
    assert {name: each and each.queue for name, each in observed.items()} == dict.fromkeys(names, 1)
    assert len(queue.endpoint.parts) == 3


def test_results_are_waited_for_where_they_appear(cluster: Cluster, queue: chute.Queue) -> None:
    ids = [f"job-{n}" for n in range(30)]

    def finish() -> None:
        for job_id in ids:
            with cluster.owner(f"result:{job_id}").new_client() as client:
                client.hset(f"result:{job_id}", mapping={"status": "completed", "@value": f'"{job_id}"'})

    async def wait() -> list[Any]:
        waits = asyncio.gather(*[queue.job(job_id).aresult(timeout=20) for job_id in ids])
        await asyncio.sleep(0.5)
        await asyncio.to_thread(finish)
        began = time.monotonic()
        answers = await waits
        assert time.monotonic() - began < 4  # announced: the next look would be later
        return answers

    thread, ended = _beside(lambda: queue.job(ids[0]).result(timeout=20))
    assert _run(wait()) == ids
    thread.join()
    assert ended == [ids[0]]


def test_a_requeued_letter_loses_its_old_result_on_the_other_server(cluster: Cluster, queue: chute.Queue) -> None:
    job_id = next(f"job-{n}" for n in range(100) if cluster.owner(f"result:job-{n}") is not cluster.owner("queue:jobs"))
    with cluster.owner("queue:jobs").new_client() as client:
        client.xadd("dead:{queue:jobs}", {"body": f'{{"job_id":"{job_id}"}}', "reason": "failed", "job_id": job_id})
    with cluster.owner(f"result:{job_id}").new_client() as client:
        client.hset(f"result:{job_id}", mapping={"status": "failed"})
    (letter,) = admin.letters(queue.endpoint, "jobs")
    assert admin.requeue(queue.endpoint, letter)
    assert queue.depth() == 1
    assert queue.job(job_id).status() == "pending"
    assert not admin.requeue(queue.endpoint, letter)


def test_a_job_of_a_queue_that_nobody_works_is_found_on_any_node(cluster: Cluster, queue: chute.Queue) -> None:
    for n in range(6):
        other = chute.Queue(f"unworked{n}", url=queue.endpoint.address.url)
        job = other.push({"n": n})
        assert explain(queue.endpoint, job.id).queue == other.name


def test_a_slot_that_has_moved_is_followed(cluster: Cluster, queue: chute.Queue) -> None:
    queue.push({"n": 1})
    other = next(server for server in cluster.primaries() if server is not cluster.owner("queue:jobs"))
    cluster.move("queue:jobs", other)
    queue.push({"n": 2})
    assert _length(other) == 2
    cluster.move("queue:jobs", next(server for server in cluster.primaries() if server is not other))
    assert _run(queue.adepth()) == 2


def test_where_a_slot_has_gone_is_noted_once(cluster: Cluster, queue: chute.Queue) -> None:
    queue.push({"n": 1})
    source = cluster.owner("queue:jobs")
    cluster.move("queue:jobs", next(server for server in cluster.primaries() if server is not source))
    with source.new_client() as client:
        client.config_resetstat()
        for n in range(20):
            queue.push({"n": n})
        assert client.info("errorstats").get("errorstat_MOVED", {}).get("count", 0) == 1


def test_a_copy_is_confirmed_by_who_has_the_queue_now(cluster: Cluster, queue: chute.Queue) -> None:
    task = queue.task(_nothing)
    task.options(confirm="replica").enqueue(1)
    old = cluster.owner("queue:jobs")
    new = cluster.fail_over(old)
    assert until(lambda: cluster.follows(old, new), 20)
    task.options(confirm="replica").enqueue(2)
    assert _length(new) == 2


def test_who_hears_that_one_key_has_moved_asks_about_all(cluster: Cluster, queue: chute.Queue) -> None:
    queue.push({"n": 1})
    nodes = queue.endpoint
    assert isinstance(nodes, Nodes)
    old = cluster.owner("queue:jobs")
    other = next(key for key in (f"result:{n}" for n in range(1000)) if cluster.owner(key) is old)
    before = nodes.atlas.server_of(other)

    async def hears() -> None:
        lines = Lines(nodes, lambda _: None)
        while not lines.up("queue:jobs"):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(cluster.fail_over, old)
        async with asyncio.timeout(5):
            while nodes.atlas.server_of(other) is before:
                await lines.ask("queue:jobs", [("LLEN", "queue:jobs")])  # MOVED, as soon as the old one has heard
                await asyncio.sleep(0.01)
        await lines.close()

    _run(hears())


def test_who_was_deposed_and_chosen_again_while_a_copy_was_waited_for_confirms_nothing(cluster: Cluster, queue: chute.Queue) -> None:
    queue.push({"n": 1})
    old = cluster.owner("queue:jobs")
    new = cluster.replica_of(old)
    cluster.ask(old, "ACL", "SETUSER", "default", "-psync", "-sync")  # so nobody can confirm
    cluster.ask(old, "CLIENT", "KILL", "TYPE", "replica")
    told: list[str] = []

    def waits() -> None:
        with pytest.raises(Unconfirmed) as caught:
            queue.endpoint.run(Store("jobs").enqueue([("lost", b'{"job_id":"lost"}', "", "")], "replica"))
        told.append(str(caught.value))

    thread, _ = _beside(waits)
    assert until(lambda: _length(old) == 2)
    cluster.ask(new, "CLUSTER", "FAILOVER", "TAKEOVER")
    assert until(lambda: cluster.follows(old, new))
    cluster.ask(old, "CLUSTER", "FAILOVER", "TAKEOVER")
    cluster.ask(old, "ACL", "SETUSER", "default", "+psync", "+sync")
    assert until(lambda: cluster.follows(new, old), 20)
    for n in range(50):  # further than that one had come: counted alone, it has what we wait for
        queue.push({"n": n, "much": "x" * 1000})
    thread.join(20)
    assert told
    assert not any(b"lost" in body for body in _bodies(old))
    assert until(lambda: len(cluster.primaries()) == 3)


def test_what_is_confirmed_is_of_one_server(cluster: Cluster, queue: chute.Queue) -> None:
    other = next(server for server in cluster.primaries() if server is not cluster.owner("queue:jobs"))
    there = next(f"queue:{n}" for n in range(1000) if cluster.owner(f"queue:{n}") is other)
    slot, source = cluster.open_slot(there, cluster.owner("queue:jobs"))
    refused = ("LMOVE", there, f"{{{there}}}", "LEFT", "RIGHT")  # TRYAGAIN, as no key of it is there yet
    with pytest.raises(Unconfirmed, match="a part of it was accepted, the rest must be sent again"):
        queue.endpoint.run(
            Operation((("LPUSH", there, "a"), refused, ("WAIT", 1, 100)), list, lambda why: Unconfirmed("a", why), confirming=1, at=there)
        )
    cluster.close_slot(slot, source)


def _bodies(server: Server) -> Any:
    with server.new_client() as client:
        return client.lrange("queue:jobs", 0, -1)


def _nothing(n: int) -> None:
    pass


def test_while_a_slot_moves_what_has_gone_before_is_asked_for_there(cluster: Cluster, queue: chute.Queue) -> None:
    queue.push({"n": 1})
    other = next(server for server in cluster.primaries() if server is not cluster.owner("queue:jobs"))
    slot, source = cluster.open_slot("queue:jobs", other)
    queue.push({"n": 2})
    assert _length(source) == 2
    cluster.move_keys(slot, source, other)
    queue.push({"n": 3})  # the list is at the other already, the slot is not
    assert queue.depth() == 3
    thread, ended = _beside(lambda: queue.endpoint.run(Store("jobs").pause()))  # a script whose key is there
    thread.join(0.3)
    cluster.close_slot(slot, other)
    thread.join()
    assert ended == [True]
    assert _length(other) == 3
    queue.endpoint.run(Store("jobs").resume())


def test_a_dead_primary_is_waited_for_and_others_work_meanwhile(cluster: Cluster, queue: chute.Queue) -> None:
    dead = cluster.owner("queue:jobs")
    name = next(f"q{n}" for n in range(100) if cluster.owner(f"queue:q{n}") is not dead)
    other = chute.Queue(name, url=queue.endpoint.address.url)
    queue.push({"n": 0})
    other.push({"n": 0})
    dead.kill()
    thread, ended = _beside(lambda: queue.push({"n": 1}))
    began = time.monotonic()
    other.push({"n": 1})
    assert time.monotonic() - began < 1
    thread.join()
    assert isinstance(ended[0], chute.Job)
    assert until(lambda: cluster.owner("queue:jobs") is not dead, 10)  # until whoever is asked has heard of it
    heir = cluster.owner("queue:jobs")
    assert _length(heir) >= 1
    dead.start()
    assert until(lambda: cluster.follows(dead, heir), 20)


def test_where_a_part_was_accepted_nobody_is_told_that_nothing_was_sent() -> None:
    with Cluster("valkey", primaries=2, replicas=False) as two:
        there = next(f"queue:q{n}" for n in range(100) if two.owner(f"queue:q{n}") is two.servers[0])
        gone = next(f"queue:q{n}" for n in range(100) if two.owner(f"queue:q{n}") is two.servers[1])
        endpoint = connection.endpoint(two.url)
        endpoint.run(Operation((("LLEN", there), ("LLEN", gone)), list))
        two.servers[1].kill()
        with pytest.raises(Unconfirmed, match="a part of it was accepted, then cannot reach") as told:
            endpoint.run(Operation((("LPUSH", there, "a"), ("LPUSH", gone, "b")), list, lambda why: Unconfirmed("a", why), patient=False))
        assert "Nothing was sent" not in str(told.value)
        assert _length(two.servers[0], there) == 1
        with pytest.raises(ServerUnavailable, match="Nothing was sent"):
            endpoint.run(Operation((("LPUSH", gone, "b"), ("LPUSH", there, "a")), list, lambda why: Unconfirmed("a", why), patient=False))
        connection.forget(endpoint.address)


@pytest.mark.parametrize("replicated", ["valkey", "redis"], indirect=True)
def test_sentinels_name_the_new_primary(replicated: Replicated) -> None:
    queue = chute.Queue("jobs", url=replicated.url)
    queue.push({"n": 1})
    connection = queue.endpoint.parts[0].take()  # one that was open before
    queue.endpoint.parts[0].pool().give(connection)
    new = replicated.fail_over()
    time.sleep(1)  # so often the Sentinels are asked: the old one is alive, and takes jobs for ten seconds more
    queue.push({"n": 2})
    assert until(lambda: _length(new) == 2, 5)
    assert _run(queue.adepth()) == 2
    new.kill()
    began = time.monotonic()
    queue.push({"n": 3})  # nothing was sent to the dead one, so it waits for another
    assert time.monotonic() - began < 8
    assert _length(replicated.primary()) >= 1


def test_a_deposed_primary_takes_nothing_and_is_left(replicated: Replicated) -> None:
    queue = chute.Queue("jobs", url=replicated.url)
    queue.push({"n": 1})
    old = replicated.primary()
    with old.new_client() as client:
        client.replicaof("127.0.0.1", str(free_port()))  # it refuses writes, and no Sentinel knows
        thread, ended = _beside(lambda: queue.push({"n": 2}))
        thread.join(0.5)
        assert not ended
        client.replicaof("NO", "ONE")
    thread.join()
    assert isinstance(ended[0], chute.Job)
    assert queue.depth() == 2


def test_a_primary_without_its_replicas_is_doubted_at_once(replicated: Replicated) -> None:
    queue = chute.Queue("jobs", url=replicated.url)
    queue.push({"n": 1})
    assert isinstance(queue.endpoint, Nodes)
    for sentinel in replicated.sentinels:
        sentinel.kill()
    time.sleep(0.6)
    queue.push({"n": 2})  # nobody is heard, so nobody is asked for a while
    assert not queue.endpoint.atlas.doubtful
    with replicated.servers[0].new_client() as client:
        client.config_set("min-replicas-to-write", 5)
    with pytest.raises(Rejected, match="NOREPLICAS"):
        queue.push({"n": 3})
    assert queue.endpoint.atlas.doubtful


def test_what_was_sent_and_not_answered_is_not_sent_again(replicated: Replicated) -> None:
    queue = chute.Queue("jobs", url=f"{replicated.url}?socket_timeout=1")
    queue.push({"n": 1})
    old = replicated.primary()
    assert old.process
    old.process.send_signal(19)
    with pytest.raises(Unconfirmed):
        queue.push({"n": 2})
    assert until(lambda: replicated.primary() is not old, 10)
    queue.push({"n": 3})
    assert _length(replicated.primary()) == 2  # without the one that the frozen one may have had
    old.process.send_signal(18)


@pytest.mark.parametrize("url", ["redis+sentinel://127.0.0.1:{port}/main", "redis+cluster://127.0.0.1:{port}"])
def test_nobody_there_is_said_at_once(url: str) -> None:
    where = url.format(port=free_port())
    began = time.monotonic()
    with pytest.raises(ServerUnavailable, match=r"cannot reach the .* at redis.*:\d+.*Nothing was sent"):
        chute.Queue("jobs", url=where).push({"n": 1})
    with pytest.raises(ServerUnavailable, match="cannot reach"):
        _run(chute.Queue("jobs", url=where).adepth())
    assert time.monotonic() - began < 3


def test_a_primary_that_the_sentinels_do_not_know_is_named(replicated: Replicated) -> None:
    with pytest.raises(ServerUnavailable, match="other"):
        chute.Queue("jobs", url=replicated.url.replace("/main", "/other")).depth()


def test_one_server_is_no_cluster(start_server: StartServer) -> None:
    alone = start_server("redis", tcp=True)
    with pytest.raises(ServerUnavailable, match="Cluster mode is not enabled"):
        chute.Queue("jobs", url=f"redis+cluster://127.0.0.1:{alone.port}").depth()


def test_the_address_of_one_server_has_no_nodes(server: Server) -> None:
    with pytest.raises(ValueError, match="names one server"):
        Nodes(connection.endpoint(server.url).address)
    assert connection.endpoint(server.url).run(sight.clock()) > 0
