"""The engine on a real server, whole: nothing is lost and nothing runs twice, whatever becomes of single commands and connections."""

import asyncio
import threading
from collections import Counter
from contextvars import ContextVar

import pytest

import chute
from chute.keys import keys_of
from faulty import Proxy
from servers import Server
from servers import until as blocking_until
from worker.running import until, working

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")


class Tasks:
    """What the tasks here do, and what they have seen. `go` opens the gate that some wait at."""

    def __init__(self) -> None:
        self.runs: Counter[int] = Counter()
        self.order: list[int] = []
        self.go = asyncio.Event()
        self.holds_from = 0

    async def count(self, number: int = 0) -> int:
        """Counts its runs by the job's number."""
        self.runs[number] += 1
        self.order.append(number)
        await asyncio.sleep(0)
        return number

    async def hold(self, number: int = 0) -> None:
        """Waits at the gate, from a number on."""
        self.order.append(number)
        if number >= self.holds_from:
            await self.go.wait()

    async def large(self, number: int = 0) -> str:
        """Waits at the gate, and answers with much."""
        self.order.append(number)
        await self.go.wait()
        return "x" * 200_000


def counting(url: str) -> tuple[chute.Queue, Counter[int]]:
    """A queue whose task counts its runs by the job's number."""
    queue, tasks = chute.Queue("jobs", url=url), Tasks()
    queue.task(tasks.count)
    return queue, tasks.runs


def holding(url: str, holds_from: int = 0) -> tuple[chute.Queue, Tasks]:
    """A queue whose task waits at a gate."""
    queue, tasks = chute.Queue("jobs", url=url), Tasks()
    tasks.holds_from = holds_from
    queue.task(tasks.hold)
    return queue, tasks


def load(server: Server, jobs: int) -> None:
    """Jobs as any program pushes them."""
    client = server.client()
    for start in range(0, jobs, 1000):
        bodies = ['{"job_id":"j%d","number":%d}' % (i, i) for i in range(start, min(start + 1000, jobs))]
        client.lpush(KEYS.queue, *bodies)


def at_rest(server: Server) -> bool:
    """Nothing is ready, held or scheduled."""
    client = server.client()
    return not client.exists(KEYS.queue, KEYS.first, KEYS.scheduled) and not list(client.scan_iter("leases:*"))


def test_each_job_runs_once_and_leaves_its_result(each_server: Server) -> None:
    queue, runs = counting(each_server.url)
    load(each_server, 5000)

    async def main() -> None:
        async with working(queue) as engine:
            await until(lambda: engine.totals["completed"] == 5000)
            assert engine.slots.empty
            await until(lambda: not engine.shuttles[0].finisher.waiting and not engine.shuttles[0].finisher.unanswered)

    asyncio.run(main())
    assert runs == Counter(range(5000))
    client = each_server.client()
    assert len(list(client.scan_iter("result:*"))) == 5000
    assert client.hget("result:j4711", "@value") == b"4711"
    assert client.ttl("result:j4711") > 3500


def test_one_worker_starts_jobs_in_the_order_of_their_push(each_server: Server) -> None:
    queue, tasks = chute.Queue("jobs", url=each_server.url), Tasks()
    queue.task(tasks.count)
    client = each_server.client()

    async def main() -> None:
        async with working(queue) as engine:
            for i in range(0, 3000, 3):  # while it works and waits by turns
                client.lpush(KEYS.queue, *['{"number":%d}' % j for j in range(i, i + 3)])
                if i % 60 == 0:
                    await asyncio.sleep(0.001)
            await until(lambda: engine.totals["completed"] == 3000)

    asyncio.run(main())
    assert tasks.order == list(range(3000))


@pytest.mark.parametrize("seed", range(3))
def test_commands_that_are_cut_off_lose_nothing_and_run_nothing_twice(each_server: Server, seed: int) -> None:
    with Proxy(each_server.socket) as proxy:
        queue, runs = counting(proxy.url)
        load(each_server, 2000)

        async def main() -> None:
            async with working(queue) as engine:
                proxy.at_random(0.1, "before", "after", "delay", seed=seed)
                client = each_server.client()
                for start in range(2000, 3000, 5):
                    client.lpush(KEYS.queue, *['{"job_id":"j%d","number":%d}' % (i, i) for i in range(start, start + 5)])
                    await asyncio.sleep(0.02)
                await until(lambda: len(runs) == 3000, 30)
                proxy.at_random(0)
                await until(lambda: at_rest(each_server), 15)
                assert engine.slots.empty

        asyncio.run(main())
        assert proxy.count["after"] > 0
        assert proxy.count["before"] > 0
    assert runs == Counter(range(3000))
    assert len(list(each_server.client().scan_iter("result:*"))) == 3000


@pytest.mark.parametrize("line", ["flight", "wait"])
def test_a_claim_whose_answer_is_lost_is_taken_up_again(server: Server, line: str) -> None:
    with Proxy(server.socket) as proxy:
        queue, runs = counting(proxy.url)

        async def main() -> None:
            async with working(queue) as engine:
                if line == "wait":
                    await until(lambda: engine.lanes[0].waiting)
                proxy.once("EVALSHA", "after", holding=KEYS.first.encode())
                load(server, 10)
                await until(lambda: len(runs) == 10)
                await until(lambda: not engine.lanes[0].uncertain)

        asyncio.run(main())
    assert runs == Counter(range(10))
    assert all(server.client().hget(f"result:j{i}", "status") == b"completed" for i in range(10))


def test_a_finish_whose_answer_is_lost_is_sent_again(server: Server) -> None:
    with Proxy(server.socket) as proxy:
        queue, runs = counting(proxy.url)

        async def main() -> None:
            async with working(queue) as engine:
                proxy.once("EVALSHA", "after", holding=b"result:j0")
                load(server, 1)
                await until(lambda: at_rest(server) and len(runs) == 1)
                await until(lambda: not engine.shuttles[0].finisher.waiting and not engine.shuttles[0].finisher.unanswered)

        asyncio.run(main())
        assert proxy.count["after"] == 1
    assert runs == Counter([0])


def test_scripts_that_the_server_forgets_are_made_known_again(each_server: Server) -> None:
    queue, runs = counting(each_server.url)

    async def main() -> None:
        async with working(queue):
            for start in range(0, 1000, 50):
                each_server.client().script_flush()
                each_server.client().lpush(KEYS.queue, *['{"job_id":"j%d","number":%d}' % (i, i) for i in range(start, start + 50)])
                await asyncio.sleep(0.005)
            await until(lambda: len(runs) == 1000)

    asyncio.run(main())
    assert runs == Counter(range(1000))


def test_a_worker_whose_server_is_killed_goes_on_when_it_is_back(start_server: object, caplog: pytest.LogCaptureFixture) -> None:
    server: Server = start_server("valkey", "--appendonly", "yes", "--appendfsync", "always")  # type: ignore[operator]
    queue, runs = counting(server.url)
    load(server, 200)

    async def main() -> None:
        async with working(queue, concurrency=10) as engine:
            await until(lambda: len(runs) == 200)
            await until(lambda: at_rest(server))
            server.close_clients()
            server.kill()
            await until(lambda: not engine.routes[0].line.up)
            await asyncio.to_thread(server.start)
            server.client().lpush(KEYS.queue, '{"job_id":"j200","number":200}')
            await until(lambda: len(runs) == 201)

    asyncio.run(main())
    assert runs == Counter(range(201))
    assert sum("connection to the server is lost" in message for message in caplog.messages) == 1
    assert sum("the server is back" in message for message in caplog.messages) == 1


def test_why_the_server_cannot_be_reached_is_said_once(each_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    client = each_server.client()

    async def main() -> None:
        async with working(chute.Queue("jobs", url=each_server.url)) as engine:
            await until(lambda: all(lane.waiting for lane in engine.lanes))
            client.config_set("maxclients", 1)
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await until(lambda: any("max number of clients reached" in message for message in caplog.messages))
            await asyncio.sleep(0.5)  # some more dials
            client.config_set("maxclients", 100)
            await until(lambda: engine.routes[0].line.up)

    asyncio.run(main())
    assert sum("cannot be reached (max number of clients reached)" in message for message in caplog.messages) == 1


def test_what_has_not_started_goes_back_in_its_order_when_the_worker_stops(each_server: Server) -> None:
    queue, tasks = holding(each_server.url)
    load(each_server, 20)

    async def main() -> None:
        async with working(queue, concurrency=3) as engine:
            await until(lambda: len(tasks.order) == 3)
            engine.stop()
            await until(lambda: not engine.slots.unstarted and not engine.shuttles[0].finisher.unanswered)
            tasks.go.set()

    asyncio.run(main())
    assert tasks.order == [0, 1, 2]
    left = each_server.client().lrange(KEYS.queue, 0, -1)
    assert [int(body.split(b":")[-1].strip(b"}")) for body in reversed(left)] == list(range(3, 20))


def test_jobs_that_wait_in_hand_for_a_slot_go_back_after_a_moment(server: Server) -> None:
    """So another worker can have them: prefetching must not hide jobs behind a slow one."""
    queue, tasks = holding(server.url, holds_from=400)

    async def main() -> None:
        async with working(queue, concurrency=5) as engine:
            load(server, 400)
            await until(lambda: engine.totals["completed"] == 400)
            server.client().lpush(KEYS.queue, *['{"number":%d}' % i for i in range(400, 500)])
            await until(lambda: len(engine.slots.running) == 5)
            await until(lambda: not engine.slots.unstarted and server.client().llen(KEYS.queue) == 95)
            tasks.go.set()
            await until(lambda: engine.totals["completed"] == 500)

    asyncio.run(main())


def test_a_full_worker_leaves_new_jobs_to_others(each_server: Server) -> None:
    (busy, held), (free, ran) = holding(each_server.url), counting(each_server.url)

    async def main() -> None:
        async with working(busy, concurrency=1) as engine:
            each_server.client().lpush(KEYS.queue, "{}")
            await until(lambda: len(held.order) == 1)
            await until(lambda: not engine.lanes[0].waiting)
            async with working(free, concurrency=1):
                each_server.client().lpush(KEYS.queue, "{}", "{}", "{}")
                await until(lambda: ran[0] == 3)
                held.go.set()

    asyncio.run(main())
    assert len(held.order) == 1


def test_all_maps_are_empty_after_the_work(server: Server) -> None:
    queue, _ = counting(server.url)
    load(server, 3000)

    async def main() -> None:
        async with working(queue) as engine:
            await until(lambda: engine.totals["completed"] == 3000 and engine.lanes[0].waiting)
            await until(lambda: not engine.shuttles[0].finisher.unanswered and not engine.shuttles[0].finisher.waiting)
            slots, finisher, lane = engine.slots, engine.shuttles[0].finisher, engine.lanes[0]
            assert (len(slots.ready), len(slots.parked), len(slots.running), slots.asked) == (0, 0, 0, 0)
            assert (len(finisher.waiting), lane.claiming, len(lane.uncertain)) == (0, 0, 0)

    asyncio.run(main())
    assert blocking_until(lambda: at_rest(server))


def test_a_paused_queue_is_left_alone_until_it_is_resumed(each_server: Server) -> None:
    queue, runs = counting(each_server.url)
    each_server.client().hset(KEYS.workers, "@paused", 1)
    load(each_server, 3)

    async def main() -> None:
        async with working(queue) as engine:
            await until(lambda: engine.lanes[0].pause_until > 0)
            await asyncio.sleep(0.1)
            assert not runs
            assert each_server.client().llen(KEYS.queue) == 3
            each_server.client().hdel(KEYS.workers, "@paused")
            await until(lambda: len(runs) == 3)

    asyncio.run(main())


def commands(server: Server) -> int:
    """How many commands the server has run."""
    return int(server.client().info("stats")["total_commands_processed"])


async def spent(server: Server, seconds: float) -> float:
    """Commands a second, our own look not counted."""
    before = commands(server)
    await asyncio.sleep(seconds)
    return (commands(server) - before) / seconds


def test_an_idle_worker_leaves_a_full_server_alone_and_drains_it(each_server: Server) -> None:
    queue, runs = counting(each_server.url)
    client = each_server.client()

    async def main() -> None:
        async with working(queue) as engine:
            await until(lambda: engine.lanes[0].waiting)
            load(each_server, 20)
            await until(lambda: len(runs) == 20)
            client.config_set("maxmemory", 1)
            await asyncio.sleep(2.5)  # the wait that is open may end first
            assert await spent(each_server, 1) < 150
            client.config_set("maxmemory", 0)
            load(each_server, 40)
            client.config_set("maxmemory", 1)
            await until(lambda: len(runs) == 40, 5)
            client.config_set("maxmemory", 0)

    asyncio.run(main())


def test_a_queue_whose_outcomes_are_refused_waits_and_is_in_no_others_way(each_server: Server) -> None:
    """More of them than a round trip carries. What they are of stays leased, and nothing more of that queue is begun."""
    client, held, free = each_server.client(), Tasks(), Tasks()
    client.execute_command("ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all")
    url = each_server.url.replace("unix://", "unix://limited:secret@")
    refused, other = chute.Queue("jobs", url=url), chute.Queue("others", url=url)

    refused.task(held.large)
    other.task(free.count)

    async def main() -> None:
        load(each_server, 12)
        async with working(refused, other, concurrency=40) as engine:
            await until(lambda: len(held.order) == 12)
            client.execute_command("ACL", "SETUSER", "limited", "resetkeys", "~*{queue:others}*", "~queue:others", "~result:*", "~queues")
            held.go.set()
            await until(lambda: engine.lanes[0].refused)
            client.lpush(KEYS.queue, '{"job_id":"late","number":12}')
            client.lpush("queue:others", *['{"job_id":"o%d","number":%d}' % (n, n) for n in range(30)])
            await until(lambda: len(client.keys("result:o*")) == 30)
            await asyncio.sleep(3)
            assert (len(held.order), client.llen(KEYS.queue) + client.llen(KEYS.first)) == (12, 1)
            client.execute_command("ACL", "SETUSER", "limited", "~*")
            await until(lambda: len(held.order) == 13 and at_rest(each_server))

    try:
        asyncio.run(main())
    finally:
        client.execute_command("ACL", "DELUSER", "limited")
    assert sorted(held.order) == list(range(13))
    assert set(free.runs.values()) == {1}


def test_a_server_that_refuses_to_register_is_asked_from_time_to_time(server: Server) -> None:
    queue, runs = counting(server.url)
    client = server.client()
    client.config_set("min-replicas-to-write", 1)
    load_later = {"n": 5}

    async def main() -> None:
        async with working(queue) as engine:
            lane = engine.lanes[0]
            await until(lambda: lane.pause_until > 0)
            worker = lane.holdings.worker
            assert await spent(server, 1) < 150
            assert not lane.live
            client.config_set("min-replicas-to-write", 0)
            load(server, load_later["n"])
            await until(lambda: len(runs) == load_later["n"], 5)
            assert lane.holdings.worker == worker, "a refused id is as good as new: others would be told of one more each time"

    asyncio.run(main())


def test_a_worker_that_may_not_know_its_connection_looks_once_a_second(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.client().execute_command("ACL", "SETUSER", "narrow", "on", ">pw", "~*", "&*", "+@all", "-client|id")
    queue, runs = counting(f"{server.url}?username=narrow&password=pw")

    async def main() -> None:
        async with working(queue) as engine:
            await until(lambda: engine.lanes[0].live)
            load(server, 3)
            await until(lambda: len(runs) == 3, 5)

    try:
        asyncio.run(main())
    finally:
        server.client().execute_command("ACL", "DELUSER", "narrow")


def test_in_a_mixed_queue_only_as_many_jobs_start_as_there_are_threads(server: Server) -> None:
    queue, tasks = chute.Queue("jobs", url=server.url), Tasks()
    blocker = Blocker()
    other, runs = chute.Queue("jobs", url=server.url), Counter[int]()
    swift = Swift(runs)
    other.task(name="block")(swift.run)
    queue.task(tasks.count)
    queue.task(blocker.block)
    queue.enqueue_many(queue.tasks["block"].bind() for _ in range(10))

    async def main() -> None:
        async with working(queue, concurrency=20, threads=1) as engine:
            await until(lambda: blocker.started == 1)
            await asyncio.sleep(0.1)
            assert len(engine.slots.started) == 1
            async with working(other, threads=4) as helping:  # what finds no thread here goes to who has one
                await until(lambda: helping.totals["completed"] == 9)
                assert runs[0] == 9
                assert len(engine.slots.started) == 1
            blocker.go.set()
            await until(lambda: engine.totals["completed"] == 1)

    asyncio.run(main())


class Swift:
    """A plain task that does not."""

    def __init__(self, runs: Counter[int]) -> None:
        self.runs = runs

    def run(self) -> None:
        self.runs[0] += 1


class Blocker:
    """A plain task that holds its thread."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.started = 0

    def block(self) -> None:
        self.started += 1
        assert self.go.wait(10)


class Marks:
    """Tasks that mark the context they run in, and note whose mark they find there."""

    mark: ContextVar[int] = ContextVar("mark")

    def __init__(self) -> None:
        self.found: list[int] = []

    async def note(self, number: int) -> None:
        """On the loop."""
        self.threaded(number)

    def threaded(self, number: int) -> None:
        """In a thread."""
        self.found.append(self.mark.get(-1))
        self.mark.set(number)


def test_what_a_job_sets_in_its_context_is_not_seen_by_the_next(server: Server) -> None:
    queue, marks = chute.Queue("jobs", url=server.url), Marks()
    tasks = [queue.task(marks.note), queue.task(marks.threaded)]
    queue.enqueue_many(task.bind(n) for n in range(200) for task in tasks)
    chute.Worker(queue, concurrency=3).run(burst=True)
    assert marks.found == [-1] * 400
