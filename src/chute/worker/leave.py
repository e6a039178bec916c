"""The end of a worker's life: closes its identities and gives back whatever they still hold, uncharged. Repeated until the server answers."""

import asyncio
import logging
from functools import partial
from typing import Any

from chute.script import Command
from chute.worker.engine import Engine
from chute.worker.lane import Lane
from chute.worker.reclaim import answer, take_over

log = logging.getLogger("chute.worker")
ASK_AGAIN = 0.1
PATIENCE = 10.0
"""Seconds that a leaving worker waits for a server that does not answer. What it held is then taken over by others."""


async def leave(engine: Engine) -> int:
    """Closes every queue's identity; how many jobs were given back that were still held (0 after a quiet end)."""
    try:
        async with asyncio.timeout(PATIENCE):
            return sum([await _close(engine, lane) for lane in engine.lanes])
    except TimeoutError:
        log.warning("the server does not answer; what this worker still held will be taken over by others")
        return 0


async def _close(engine: Engine, lane: Lane) -> int:
    """Once an identity is closed it can claim nothing more, so what its hash holds then is all there is, lost claims included."""
    lane.live = False
    ask = partial(_answer, engine)
    given_back = 0
    for holdings in (*lane.former, lane.holdings):
        await ask(holdings.close)
        given_back += await take_over(ask, holdings, _uncharged)
    return given_back


def _uncharged(_: bytes, body: bytes) -> bytes:
    return body


async def _answer(engine: Engine, command: Command) -> Any:
    """The answer, asked for until there is one that is no error."""
    while True:
        if (reply := await answer(engine.line, command)) is not None:
            return reply
        await asyncio.sleep(ASK_AGAIN)
