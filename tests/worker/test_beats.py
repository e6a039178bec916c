"""Beats for others: for whoever the server knows or may yet come to know, and for nobody that was closed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from chute import connection
from chute.holdings import Holdings, beat_of
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


class Answers:
    """Lines to nowhere: the answers to what is sent are given by hand."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.given: list[Any] = []

    def to(self, _: str) -> None:
        """Nobody is dialled."""

    def send(self, _: str, commands: Any, answered: Any) -> None:
        self.sent.append(commands)
        self.given.append(answered)


@pytest.mark.parametrize("lost", [None, []])
def test_after_an_answer_that_was_lost_it_beats_on(lost: Any) -> None:
    lines, worker = Answers(), Holdings("jobs", "a" * 32).worker
    beats = Beats(cast(Lines, lines))
    beats.add(Identity("jobs", worker, 1, 0, Board(1)))
    for _ in range(2):
        beats.beat()
        lines.given[-1](lost)
    assert lines.sent == [[beat_of("jobs", [worker])]] * 2


def test_each_lane_of_each_worker_has_an_identity_of_its_own_that_may_be_new() -> None:
    lines, boards, names = Answers(), [Board(1), Board(1)], [letter * 32 for letter in "abcd"]
    beats = Beats(cast(Lines, lines))
    for name, board, number in zip(names, [boards[0], boards[0], boards[0], boards[1]], (1, 0, 2, 1), strict=True):
        beats.add(Identity("jobs", name, number, number, board))
    beats.beat()
    assert lines.sent == [[beat_of("jobs", names)]]
    beats.add(Identity("jobs", "e" * 32, 3, 1, boards[0]))
    beats.beat()
    assert lines.sent[1] == [beat_of("jobs", [*names[1:], "e" * 32])]


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
