"""One raw connection of an event loop: replies in order, errors as values, and everybody told when it is gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import chute
from chute import connection
from chute.line import Line
from servers import Server, StartServer

Body = Callable[[Line], Awaitable[None]]


def on_a_line(url: str, body: Body, changes: list[bool] | None = None) -> None:
    """Runs the body with a line that is up."""

    async def run() -> None:
        seen = [] if changes is None else changes
        line = Line(connection.endpoint(url), lambda each: seen.append(each.up))
        line.open()
        try:
            await up(line)
            await body(line)
        finally:
            await line.close()
            await chute.aclose()

    asyncio.run(run())


async def up(line: Line) -> None:
    end = time.monotonic() + 10
    while not line.up:
        assert time.monotonic() < end, line.error
        await asyncio.sleep(0.005)


async def down(line: Line) -> None:
    end = time.monotonic() + 10
    while line.up:
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


def test_replies_come_in_order_and_errors_are_values(server: Server) -> None:
    async def body(line: Line) -> None:
        first, second = await asyncio.gather(line.ask([("PING",), ("NO-SUCH",), ("SET", "a", b"\xff")]), line.ask([("GET", "a")]))
        assert first is not None
        assert first[0] == b"PONG"
        assert isinstance(first[1], Exception)
        assert first[2] == b"OK"
        assert second == [b"\xff"]

    on_a_line(server.url, body)
    server.client().delete("a")


def test_a_thousand_exchanges_in_flight(server: Server) -> None:
    async def body(line: Line) -> None:
        replies = await asyncio.gather(*[line.ask([("ECHO", str(n)), ("ECHO", f"{n}!")]) for n in range(1_000)])
        assert replies == [[str(n).encode(), f"{n}!".encode()] for n in range(1_000)]

    on_a_line(server.url, body)


def test_what_is_in_flight_when_it_breaks_is_told_and_it_comes_back(server: Server) -> None:
    changes: list[bool] = []

    async def body(line: Line) -> None:
        hanging = asyncio.ensure_future(line.ask([("BLPOP", "nothing", 30)], timeout=60))
        behind = asyncio.ensure_future(line.ask([("PING",)]))
        await asyncio.sleep(0.05)
        with server.new_client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await hanging is None
        assert await behind is None
        await down(line)
        assert await line.ask([("PING",)]) is None, "while it is down nothing is sent"
        await up(line)
        assert await line.ask([("PING",)]) == [b"PONG"]

    on_a_line(server.url, body, changes)
    assert changes[:3] == [True, False, True]


def test_an_overdue_answer_gives_the_connection_up(server: Server) -> None:
    async def body(line: Line) -> None:
        late = asyncio.ensure_future(line.ask([("BLPOP", "nothing", 30)], timeout=0.2))
        began = time.monotonic()
        while not late.done():
            line.check()
            await asyncio.sleep(0.01)
        assert await late is None
        assert 0.2 <= time.monotonic() - began < 2
        await up(line)
        assert await line.ask([("PING",)]) == [b"PONG"]

    on_a_line(server.url, body)


def test_closing_tells_who_still_waits_and_ends_at_once(server: Server) -> None:
    async def run() -> Any:
        line = Line(connection.endpoint(server.url), lambda _: None)
        line.open()
        line.open()
        await up(line)
        hanging = asyncio.ensure_future(line.ask([("BLPOP", "nothing", 30)], timeout=60))
        await asyncio.sleep(0.05)
        await line.close()
        await line.close()
        try:
            return await asyncio.wait_for(hanging, 2)
        finally:
            await chute.aclose()

    assert asyncio.run(run()) is None


def test_without_a_server_it_says_why_and_goes_on_trying(start_server: StartServer) -> None:
    late = start_server("valkey")
    late.kill()

    async def run() -> None:
        told: list[Exception | None] = []
        line = Line(connection.endpoint(late.url), lambda each: told.append(each.error))
        line.open()
        while len(told) < 3:
            await asyncio.sleep(0.01)
        assert all(isinstance(each, Exception) for each in told)
        assert await line.ask([("PING",)]) is None
        late.start()
        await up(line)
        assert await line.ask([("PING",)]) == [b"PONG"]
        await line.close()
        await chute.aclose()

    asyncio.run(run())


def test_pushes_of_the_server_arrive_beside_replies(server: Server) -> None:
    async def run() -> list[Any]:
        pushed: list[Any] = []
        line = Line(connection.endpoint(server.url), lambda _: None, pushed.append)
        line.open()
        await up(line)
        await line.ask([("CLIENT", "TRACKING", "ON"), ("GET", "watched")])
        with server.new_client() as client:
            client.set("watched", "1")
        end = time.monotonic() + 5
        while not pushed and time.monotonic() < end:
            await asyncio.sleep(0.005)
        assert await line.ask([("PING",)]) == [b"PONG"]
        await line.close()
        await chute.aclose()
        return pushed

    (message,) = asyncio.run(run())
    assert b"watched" in message[1]
    server.client().delete("watched")


def test_a_line_that_is_closed_while_it_dials_ends(server: Server) -> None:
    """At whatever moment of the dial that comes."""

    async def run() -> None:
        for step in range(300):
            line = Line(connection.endpoint(server.url), lambda _: None)
            line.open()
            end = time.perf_counter() + step * 0.00001
            while time.perf_counter() < end and not line.up:
                await asyncio.sleep(0)
            async with asyncio.timeout(3):
                await line.close()
            assert not line.up
        await chute.aclose()

    asyncio.run(run())


def test_one_cancel_ends_a_line_wherever_it_is(server: Server) -> None:
    """As `asyncio.run` ends what is left: once, also in the middle of a dial, where a cancel may be swallowed."""

    async def main() -> None:
        lines = [Line(connection.endpoint(server.url), lambda _: None) for _ in range(200)]
        for line in lines:
            line.open()
        lives = [task for task in asyncio.all_tasks() if task.get_name() == "chute line"]
        while not any(line.connected for line in lines):
            await asyncio.sleep(0)
        for life in lives:
            life.cancel()
        _, left = await asyncio.wait(lives, timeout=5)
        for line in lines:
            await line.close()
        await chute.aclose()
        assert not left

    asyncio.run(main())
