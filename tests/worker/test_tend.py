"""What goes on by the clock beside the work."""

import asyncio
import time

import pytest

import chute
from chute.holdings import DEAD_AGE_MS, DEAD_LENGTH
from chute.keys import keys_of
from chute.worker.care import Caretaker
from servers import Server
from worker.running import until, working

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")


class Sleeper:
    """Tasks that take their time."""

    def __init__(self) -> None:
        self.ran: list[float] = []

    async def note(self) -> None:
        self.ran.append(time.monotonic())

    async def slow(self) -> None:
        await asyncio.sleep(30)


def test_beats_go_up_while_nothing_is_to_be_done(each_server: Server) -> None:
    client = each_server.client()

    async def main() -> None:
        async with working(chute.Queue("jobs", url=each_server.url)) as engine:
            await until(lambda: engine.lanes[0].waiting)
            worker = engine.lanes[0].holdings.worker
            before = int(client.hget(KEYS.workers, worker) or 0)
            await until(lambda: int(client.hget(KEYS.workers, worker) or 0) >= before + 3)

    asyncio.run(main())


@pytest.mark.parametrize("delay", [0.03, 0.4, 1.0])
def test_a_delayed_job_runs_when_it_is_due(each_server: Server, delay: float) -> None:
    tasks, queue = Sleeper(), chute.Queue("jobs", url=each_server.url)
    task = queue.task(tasks.note)

    async def main() -> None:
        async with working(queue) as engine:
            await until(lambda: engine.lanes[0].waiting)
            started = time.monotonic()
            await task.options(delay=delay).aenqueue()
            await until(lambda: bool(tasks.ran))
            assert delay - 0.01 <= tasks.ran[0] - started < delay + 2

    asyncio.run(main())


def test_an_async_job_past_its_timeout_is_cancelled(server: Server) -> None:
    queue = chute.Queue("jobs", url=server.url)
    task = queue.task(retries=0, timeout=0.1)(Sleeper().slow)

    async def main() -> None:
        async with working(queue):
            job = await task.aenqueue()
            with pytest.raises(chute.errors.JobFailed, match=r"TimeoutError: ran longer than 0\.1 s"):
                await job.aresult(5)

    asyncio.run(main())


def test_what_was_finished_is_counted_by_the_minute(server: Server) -> None:
    client, queue = server.client(), chute.Queue("jobs", url=server.url)
    queue.task(Sleeper().note)

    async def main() -> None:
        async with working(queue):
            client.lpush(KEYS.queue, "{}", "{}", "{", "{}")
            await until(lambda: bool(list(client.scan_iter("counts:*"))))

    asyncio.run(main())
    totals = [client.hgetall(key) for key in client.scan_iter("counts:*")]
    assert sum(int(each.get(b"completed", 0)) for each in totals) == 3
    assert sum(int(each.get(b"refused", 0)) for each in totals) == 1
    assert all(client.ttl(key) > 0 for key in client.scan_iter("counts:*"))


def test_what_was_finished_is_counted_where_the_server_forgets_its_scripts(server: Server) -> None:
    client, queue = server.client(), chute.Queue("jobs", url=server.url)
    queue.task(Sleeper().note)

    def counted() -> int:
        return sum(int(client.hget(key, "completed") or 0) for key in client.scan_iter("counts:*"))

    async def main() -> None:
        async with working(queue) as engine:
            for n in range(1, 11):
                client.lpush(KEYS.queue, "{}", "{}", "{}")
                await until(lambda n=n: engine.totals["completed"] == 3 * n and engine.shuttles[0].quiet)
                for _ in range(100):  # for longer than a beat
                    client.script_flush()
                    await asyncio.sleep(0.005)
            await until(lambda: counted() >= 30)

    asyncio.run(main())
    assert counted() == 30


def test_dead_letters_are_bounded_by_number_and_by_age(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    client = server.client()
    now_ms = int(time.time() * 1000)
    pipeline = client.pipeline(transaction=False)
    for i in range(5):
        pipeline.xadd(KEYS.dead, {"body": "old"}, id=f"{now_ms - DEAD_AGE_MS - 1000}-{i}")
    for i in range(DEAD_LENGTH + 3):
        pipeline.xadd(KEYS.dead, {"body": "new"}, id=f"{now_ms}-{i}")
    pipeline.execute()

    async def main() -> None:
        async with working(chute.Queue("jobs", url=server.url)) as engine:
            await until(lambda: engine.routes[0].line.up)
            await Caretaker(engine.lines, ["jobs"], engine.timing, set).trim()
            await until(lambda: client.xlen(KEYS.dead) == DEAD_LENGTH)
            client.xadd(KEYS.queue.replace("queue:", "unrelated:"), {"a": "b"})
            client.delete(KEYS.queue.replace("queue:", "unrelated:"))

    asyncio.run(main())
    assert "8 dead letters were dropped" in caplog.text
