"""`chute.Worker`: what it refuses, how it runs in a program, how it ends."""

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import chute
from chute.errors import ServerUnavailable
from chute.keys import keys_of
from faulty import Proxy
from servers import Server
from worker.running import until
from worker.test_engine import at_rest, counting, load

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")


def test_what_it_cannot_be() -> None:
    queues = [chute.Queue(f"q{i}") for i in range(17)]
    with pytest.raises(ValueError, match="1 to 16 queues, not 0"):
        chute.Worker()
    with pytest.raises(ValueError, match="1 to 16 queues, not 17"):
        chute.Worker(*queues)
    with pytest.raises(ValueError, match="same name"):
        chute.Worker(chute.Queue("a"), chute.Queue("a"))
    with pytest.raises(ValueError, match="1 or more"):
        chute.Worker(queues[0], concurrency=0)
    with pytest.raises(ValueError, match="1 or more"):
        chute.Worker(queues[0], threads=0)
    for wrong, kind in (([queues[0]], "list"), ("jobs", "str")):
        with pytest.raises(TypeError, match=rf"as in Worker\(jobs, others\), not {kind}"):
            chute.Worker(wrong)  # type: ignore[arg-type]


def test_run_hears_signals_so_another_thread_is_told_what_to_do_instead() -> None:
    with ThreadPoolExecutor(1) as thread, pytest.raises(RuntimeError, match=r"in another thread, asyncio\.run\(worker\.arun\(\)\)"):
        thread.submit(chute.Worker(chute.Queue("jobs")).run).result()


def test_queues_of_two_servers_are_refused() -> None:
    async def main() -> None:
        await chute.Worker(chute.Queue("a", url="redis://127.0.0.1:1"), chute.Queue("b", url="redis://127.0.0.1:2")).arun()

    with pytest.raises(ValueError, match="queues of one server"):
        asyncio.run(main())


def test_burst_ends_when_everything_is_done_and_leaves_what_is_scheduled(each_server: Server) -> None:
    queue, runs = counting(each_server.url)
    load(each_server, 500)
    queue.tasks["count"].options(delay=60).enqueue(500)
    chute.Worker(queue).run(burst=True)
    assert len(runs) == 500
    client = each_server.client()
    assert client.zcard(KEYS.scheduled) == 1
    client.delete(KEYS.scheduled)
    assert at_rest(each_server)


def test_burst_waits_for_jobs_whose_claim_was_not_answered(server: Server) -> None:
    load(server, 20)
    with Proxy(server.socket) as proxy:
        queue, runs = counting(proxy.url)
        proxy.once("EVALSHA", "after", holding=KEYS.first.encode())
        chute.Worker(queue).run(burst=True)
        assert proxy.count["after"] == 1
    assert len(runs) == 20
    assert at_rest(server)


def test_burst_does_what_its_jobs_enqueue(server: Server) -> None:
    queue = chute.Queue("jobs", url=server.url)
    chain = Chain(queue)
    queue.task(chain.next)
    queue.push({"left": 20})
    chute.Worker(queue).run(burst=True)
    assert chain.seen == list(range(20, -1, -1))


class Chain:
    """A job that enqueues the next one."""

    def __init__(self, queue: chute.Queue) -> None:
        self.queue = queue
        self.seen: list[int] = []

    async def next(self, left: int) -> None:
        self.seen.append(left)
        if left:
            await self.queue.apush({"left": left - 1})
        else:
            await chute.aclose()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_by_a_signal_and_gives_the_handlers_back(server: Server, number: signal.Signals) -> None:
    queue, runs = counting(server.url)
    before = signal.getsignal(signal.SIGTERM)
    load(server, 10)

    def when_done() -> None:
        while len(runs) < 10:
            threading.Event().wait(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=when_done)
    thread.start()
    chute.Worker(queue).run()
    thread.join()
    assert at_rest(server)
    assert signal.getsignal(signal.SIGTERM) == before


def test_arun_ends_gently_when_it_is_cancelled(server: Server) -> None:
    queue, runs = counting(server.url)
    load(server, 10)

    async def main() -> None:
        running = asyncio.create_task(chute.Worker(queue).arun())
        await until(lambda: len(runs) == 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await chute.aclose()

    asyncio.run(main())
    assert at_rest(server)
    assert not server.client().exists(KEYS.workers)


def test_a_server_that_was_never_there_is_an_error_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chute.worker.FIRST_CONNECTION", 0.3)
    queue = chute.Queue("jobs", url="redis://:secret@127.0.0.1:1/0")
    with pytest.raises(ServerUnavailable, match=r"redis://:\*\*\*@127.0.0.1:1/0") as caught:
        chute.Worker(queue).run()
    assert "secret" not in str(caught.value)


def test_a_wrong_password_is_an_error_at_once(start_server: object) -> None:
    server: Server = start_server("valkey")  # type: ignore[operator]
    client = server.client()
    client.config_set("requirepass", "right")
    with pytest.raises(ServerUnavailable, match=r"(?i)password|auth"):
        chute.Worker(chute.Queue("jobs", url=f"{server.url}?password=wrong")).run()


def test_two_workers_of_one_program_share_a_queue(server: Server) -> None:
    queue, runs = counting(server.url)
    load(server, 2000)

    async def main() -> None:
        async with chute.Worker(queue, concurrency=5), chute.Worker(queue, concurrency=5):
            await until(lambda: len(runs) == 2000 and at_rest(server))
        await chute.aclose()

    asyncio.run(main())
    assert set(runs.values()) == {1}
