"""Callers that enqueue at once share exchanges, and each hears of its own job alone."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest

import chute
from chute.errors import Rejected, Unconfirmed
from chute.store import Confirm
from faulty import Proxy
from servers import Server, StartServer, send

CALLERS = 300


async def answer(question: str) -> None: ...


def enqueued(server: Server) -> list[dict[str, Any]]:
    """The jobs in the queue, oldest first."""
    bodies: list[Any] = send(server.client(), "LRANGE", "queue:jobs", 0, -1)
    return [json.loads(body) for body in reversed(bodies)]


def pushes(server: Server) -> int:
    """How many LPUSH commands the server has run since it was started, or asked to forget."""
    return int(server.client().info("commandstats").get("cmdstat_lpush", {"calls": 0})["calls"])


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def whole() -> Any:
        try:
            return await main
        finally:
            await chute.aclose()

    return asyncio.run(whole())


def test_many_share_a_few_exchanges(server: Server) -> None:
    task = chute.Queue("jobs", url=server.url).task(answer)
    send(server.client(), "CONFIG", "RESETSTAT")

    async def main() -> list[str]:
        jobs = await asyncio.gather(*[task.aenqueue(str(number)) for number in range(CALLERS)])
        return [job.id for job in jobs]

    ids = run(main())
    assert [job["job_id"] for job in enqueued(server)] == ids
    assert [job["question"] for job in enqueued(server)] == [str(number) for number in range(CALLERS)]
    assert pushes(server) <= 4


def test_what_does_not_fit_one_exchange_goes_in_more(server: Server) -> None:
    task = chute.Queue("jobs", url=server.url).task(answer)
    send(server.client(), "CONFIG", "RESETSTAT")

    async def main() -> None:
        await asyncio.gather(*[task.aenqueue("x" * 500_000) for _ in range(10)])

    run(main())
    assert len(enqueued(server)) == 10
    assert 4 <= pushes(server) <= 10  # the first alone, then three at a time


def test_each_hears_of_a_refusal(start_server: StartServer) -> None:
    server = start_server("valkey")
    task = chute.Queue("jobs", url=server.url).task(answer)
    send(server.client(), "CONFIG", "SET", "maxmemory", "1")

    async def main() -> list[Any]:
        return await asyncio.gather(*[task.aenqueue("") for _ in range(20)], return_exceptions=True)

    told = run(main())
    assert [type(each) for each in told] == [Rejected] * 20
    assert len({id(each) for each in told}) == 20  # else each would carry the tracebacks of all
    assert enqueued(server) == []


def test_a_lost_reply_is_unknown_to_those_in_it_alone(server: Server) -> None:
    """The one exchange was forwarded and its reply lost: its callers are told their own ids, and nothing is sent twice."""

    async def main(proxy: Proxy) -> list[Any]:
        task = chute.Queue("jobs", url=proxy.url).task(answer)
        await task.aenqueue("before")
        proxy.once("LPUSH", "after", b"mark")
        return await asyncio.gather(
            *[task.options(job_id=f"j{number}").aenqueue("mark" if number == 1 else "") for number in range(20)], return_exceptions=True
        )

    with Proxy(server.socket) as proxy:
        told = run(main(proxy))
    assert not isinstance(told[0], Exception)
    assert [(type(each), each.job_id) for each in told[1:]] == [(Unconfirmed, f"j{number}") for number in range(1, 20)]
    assert [job["job_id"] for job in enqueued(server)][1:] == [f"j{number}" for number in range(20)]


def test_who_goes_before_it_is_sent_takes_nobody_along(server: Server) -> None:
    task = chute.Queue("jobs", url=server.url).task(answer)

    async def main() -> None:
        callers = [asyncio.create_task(task.options(job_id=f"j{number}").aenqueue("")) for number in range(20)]
        await asyncio.sleep(0)  # the first has begun, the others wait for it
        callers[7].cancel()
        told = await asyncio.gather(*callers, return_exceptions=True)
        assert isinstance(told[7], asyncio.CancelledError)

    run(main())
    assert [job["job_id"] for job in enqueued(server)] == [f"j{number}" for number in range(20) if number != 7]


def test_the_first_one_goes_and_the_others_are_sent(server: Server) -> None:
    task = chute.Queue("jobs", url=server.url).task(answer)

    async def main() -> None:
        await task.options(job_id="before").aenqueue("")
        callers = [asyncio.create_task(task.options(job_id=f"j{number}").aenqueue("")) for number in range(20)]
        await asyncio.sleep(0)
        callers[0].cancel()
        await asyncio.gather(*callers, return_exceptions=True)

    run(main())
    ids = [job["job_id"] for job in enqueued(server)]
    assert [each for each in ids if each != "j0"] == ["before", *[f"j{number}" for number in range(1, 20)]]


@pytest.mark.parametrize("confirm", ["memory", "disk"])
def test_other_ways_to_enqueue_go_by_themselves(start_server: StartServer, confirm: Confirm) -> None:
    server = start_server("valkey", "--appendonly", "yes")
    task = chute.Queue("jobs", url=server.url).task(answer)

    async def main() -> None:
        await asyncio.gather(
            *[task.options(confirm=confirm).aenqueue(str(number)) for number in range(5)],
            task.options(delay=60).aenqueue("later"),
        )

    run(main())
    assert len(enqueued(server)) == 5
    assert send(server.client(), "ZCARD", "scheduled:{queue:jobs}") == 1


def test_each_event_loop_has_its_own(server: Server) -> None:
    task = chute.Queue("jobs", url=server.url).task(answer)

    async def main() -> None:
        await asyncio.gather(*[task.aenqueue("") for _ in range(10)])

    run(main())
    run(main())
    assert len(enqueued(server)) == 20
