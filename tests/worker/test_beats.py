"""Beats for others: for whoever the server knows or may yet come to know, and for nobody that was closed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chute import connection
from chute.holdings import Holdings
from chute.keys import keys_of
from chute.lines import Lines
from chute.worker.beats import Beats, Identity
from chute.worker.board import Board
from chute.worker.reclaim import insist
from servers import Server

KEYS = keys_of("jobs")
BOARD = Board(1)


def beating(server: Server, steps: Callable[[Lines, Beats], Awaitable[None]]) -> None:
    """Runs the steps with a line that is up."""

    async def main() -> None:
        lines = Lines(connection.endpoint(server.url), lambda _: None)
        try:
            await insist(lines)(("PING",))
            await steps(lines, Beats(lines))
        finally:
            await lines.close()

    asyncio.run(main())


@pytest.mark.leaves("workers")
def test_one_that_is_told_of_before_it_is_registered_is_beaten_for(server: Server) -> None:
    worker, client = Holdings("jobs", "a" * 32), server.client()

    async def steps(lines: Lines, beats: Beats) -> None:
        beats.add(Identity("jobs", worker.worker, 1, 0, BOARD))
        for _ in range(2):  # the first one may only hear that the script is not known
            beats.beat()
            await insist(lines)(("PING",))
        assert not client.exists(KEYS.workers)
        await insist(lines)(worker.register)
        beats.beat()
        await insist(lines)(("PING",))
        assert client.hget(KEYS.workers, worker.worker) == b"2"

    beating(server, steps)


@pytest.mark.leaves("workers")
def test_one_that_was_closed_or_given_up_is_not_beaten_for(server: Server) -> None:
    client, names = server.client(), ["a" * 32, "b" * 32, "c" * 32]

    async def steps(lines: Lines, beats: Beats) -> None:
        for number, name in enumerate(names):
            beats.add(Identity("jobs", name, number, 0, BOARD))  # each on the same lane: the one before never was registered
        ask = insist(lines)
        for name in names:
            await ask(Holdings("jobs", name).register)
        beats.beat()
        await ask(("PING",))
        assert client.hmget(KEYS.workers, names) == [b"1", b"1", b"2"]
        client.hdel(KEYS.workers, names[2])
        beats.beat()
        await ask(("PING",))
        await ask(Holdings("jobs", names[2]).register)
        beats.beat()
        await ask(("PING",))
        assert client.hget(KEYS.workers, names[2]) == b"1"

    beating(server, steps)
