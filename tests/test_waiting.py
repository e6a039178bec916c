"""Waiting for results: woken by the server, not by asking again; many on one connection; through cut connections."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

import chute
from chute.errors import ServerUnavailable
from servers import Server, StartServer, until


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async def closed() -> Any:
        try:
            return await coroutine
        finally:
            await chute.aclose()

    return asyncio.run(closed())


@pytest.fixture
def jobs(server: Server) -> chute.Queue:
    return chute.Queue("jobs", url=server.url)


def calls(server: Server) -> dict[str, int]:
    """How often each command was called."""
    with server.new_client() as client:
        return {name.removeprefix("cmdstat_"): int(each["calls"]) for name, each in client.info("commandstats").items()}


def finish(server: Server, *names: str) -> None:
    """Stores results as another process would."""
    with server.new_client() as client:
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.hset(f"result:{name}", mapping={"status": "completed", "@value": f'"{name}"'})
            pipe.expire(f"result:{name}", 60)
        pipe.execute()


def trackers(server: Server) -> int:
    with server.new_client() as client:
        return int(client.info("clients")["tracking_clients"])


def test_blocking_code_asks_a_handful_of_times_and_wakes_at_once(jobs: chute.Queue, server: Server) -> None:
    job = jobs.job("late")
    before = calls(server)
    finished: list[float] = []

    def later() -> None:
        time.sleep(2)
        finished.append(time.monotonic())
        finish(server, "late")

    finisher = threading.Thread(target=later)
    finisher.start()
    assert job.result(20) == "late"
    woken = time.monotonic()
    finisher.join()
    asked = {name: count - before.get(name, 0) for name, count in calls(server).items()}
    assert sum(asked.get(name, 0) for name in ("hgetall", "hget", "hmget", "exists")) <= 6, asked
    assert woken - finished[0] < 0.5


def test_five_hundred_wait_on_one_connection_and_are_all_woken(jobs: chute.Queue, server: Server) -> None:
    names = [f"many-{n}" for n in range(500)]

    async def wait() -> tuple[list[str], int, dict[str, int]]:
        waits = [asyncio.ensure_future(jobs.job(name).aresult(20)) for name in names]
        while calls(server).get("hgetall", 0) < 500:
            await asyncio.sleep(0.01)
        before = calls(server)
        connections = trackers(server)
        await asyncio.sleep(1)
        idle = {name: count - before.get(name, 0) for name, count in calls(server).items()}
        await asyncio.to_thread(finish, server, *names)
        return list(await asyncio.gather(*waits)), connections, idle

    server.client().config_resetstat()
    results, connections, idle = run(wait())
    assert results == names
    assert connections == 1
    assert idle.get("hgetall", 0) <= 5, "nothing is asked while nothing happens"


def test_many_wait_for_one_job(jobs: chute.Queue, server: Server) -> None:
    async def wait() -> list[str]:
        waits = [asyncio.ensure_future(jobs.job("one").aresult(20)) for _ in range(50)]
        while not trackers(server):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(finish, server, "one")
        return list(await asyncio.gather(*waits))

    assert run(wait()) == ["one"] * 50


def test_threads_wait_side_by_side(jobs: chute.Queue, server: Server) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda n=n: found.append(jobs.job(f"t{n}").result(20))) for n in range(20)]
    for each in threads:
        each.start()
    assert until(lambda: trackers(server) == 20)
    finish(server, *[f"t{n}" for n in range(20)])
    for each in threads:
        each.join()
    assert sorted(found) == sorted(f"t{n}" for n in range(20))


def test_a_running_job_is_not_finished(jobs: chute.Queue, server: Server) -> None:
    server.client().hset("result:r", mapping={"status": "running"})
    with pytest.raises(TimeoutError):
        jobs.job("r").result(0.2)
    thread = threading.Thread(target=lambda: until(lambda: trackers(server) > 0) and finish(server, "r"))
    thread.start()
    assert jobs.job("r").result(10) == "r"
    thread.join()


def test_a_cut_connection_is_made_again_in_blocking_code(jobs: chute.Queue, server: Server) -> None:
    def cut_and_finish() -> None:
        with server.new_client() as client:
            for _ in range(3):
                until(lambda: trackers(server) > 0)
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        finish(server, "cut")

    thread = threading.Thread(target=cut_and_finish)
    thread.start()
    assert jobs.job("cut").result(20) == "cut"
    thread.join()


def test_a_cut_connection_is_made_again_in_asyncio_code(jobs: chute.Queue, server: Server) -> None:
    async def wait() -> str:
        waiting = asyncio.ensure_future(jobs.job("cut").aresult(20))
        for _ in range(3):
            while not trackers(server):
                await asyncio.sleep(0.01)
            with server.new_client() as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.to_thread(finish, server, "cut")
        began = time.monotonic()
        found: str = await waiting
        assert time.monotonic() - began < 4
        return found

    assert run(wait()) == "cut"


def test_a_result_that_is_written_while_nobody_is_connected_is_found(start_server: StartServer) -> None:
    """The server ends while somebody waits, and comes back with the result."""
    kept = start_server("valkey", "--appendonly", "yes", "--appendfsync", "always")
    jobs = chute.Queue("jobs", url=kept.url)

    async def wait() -> str:
        waiting = asyncio.ensure_future(jobs.job("over").aresult(20))
        while not trackers(kept):
            await asyncio.sleep(0.01)
        kept.kill()
        kept.start()
        await asyncio.to_thread(finish, kept, "over")
        found: str = await waiting
        return found

    assert run(wait()) == "over"


@pytest.mark.parametrize("timeout", [None, 1, 60], ids=["for ever", "until its time is up", "long"])
def test_a_server_that_stays_away_ends_the_wait(start_server: StartServer, timeout: float | None) -> None:
    """Who waits is not told that the job goes on, and does not wait for ever."""
    gone = start_server("valkey")
    jobs = chute.Queue("jobs", url=gone.url)

    async def wait() -> list[object]:
        waits = [asyncio.ensure_future(jobs.job(name).aresult(timeout)) for name in ("one", "two")]
        together = asyncio.ensure_future(chute.gather(jobs.job("three"), timeout=timeout))
        while not trackers(gone):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # what is asked meanwhile is answered
        gone.kill()
        async with asyncio.timeout(20):
            return await asyncio.gather(*waits, together, return_exceptions=True)

    assert [type(each) for each in run(wait())] == [ServerUnavailable] * 3


def test_a_cancelled_wait_harms_no_other(jobs: chute.Queue, server: Server) -> None:
    async def wait() -> str:
        waits = [asyncio.ensure_future(jobs.job("same").aresult(20)) for _ in range(10)]
        while not trackers(server):
            await asyncio.sleep(0.01)
        for each in waits[:9]:
            each.cancel()
        await asyncio.to_thread(finish, server, "same")
        ended = await asyncio.gather(*waits[:9], return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended)
        found: str = await waits[9]
        return found

    assert run(wait()) == "same"


def test_no_server_is_said_at_once() -> None:
    jobs = chute.Queue("jobs", url="redis://127.0.0.1:1")
    began = time.monotonic()
    with pytest.raises(ServerUnavailable):
        jobs.job("x").result(30)
    with pytest.raises(ServerUnavailable):
        run(jobs.job("x").aresult(30))
    assert time.monotonic() - began < 12


def test_nothing_is_left_open(jobs: chute.Queue, server: Server) -> None:
    finish(server, "a")
    before = len(server.client().client_list())
    for _ in range(5):
        run(jobs.job("a").aresult(5))
    assert until(lambda: len(server.client().client_list()) <= before + 6)
    server.close_clients()


def test_many_who_wait_do_not_keep_others_from_the_server(server: Server) -> None:
    queue = chute.Queue("jobs", url=server.url)
    handles = [queue.job(f"never-{n}") for n in range(80)]
    waits = [threading.Thread(target=give_up, args=(handle,)) for handle in handles]
    for each in waits:
        each.start()
    client = server.client()
    assert until(lambda: len(client.client_list()) > 80)
    before = time.monotonic()
    queue.push({})
    assert time.monotonic() - before < 2
    for each in waits:
        each.join()
    client.delete("queue:jobs")


def give_up(handle: chute.Job[Any]) -> None:
    """Waits in vain."""
    with pytest.raises(TimeoutError):
        handle.result(3)
