"""The end of a worker's life: closes its identities and gives back whatever they still hold, uncharged. Repeated until the server answers."""

import asyncio
import logging

from chute.worker.engine import Engine
from chute.worker.lane import Lane
from chute.worker.reclaim import PATIENCE, insist, none_started, take_over

log = logging.getLogger("chute.worker")


async def leave(engine: Engine) -> int:
    """Closes every queue's identity; how many jobs were given back that were still held (0 after a quiet end)."""
    try:
        async with asyncio.timeout(PATIENCE):
            return sum(await asyncio.gather(*[_close(engine, lane) for lane in engine.lanes]))  # each may have a server of its own
    except TimeoutError:
        log.warning("the server does not answer; what this worker still held will be taken over by others")
        return 0


async def _close(engine: Engine, lane: Lane) -> int:
    """Once an identity is closed it can claim nothing more, so what its hash holds then is all there is, lost claims included."""
    lane.live = False
    ask = insist(lane.route)
    given_back = 0
    for holdings in (*lane.former, lane.holdings):
        await ask(holdings.close)
        given_back += await take_over(ask, holdings, none_started)
    return given_back


def what_runs(count: int, grace: float) -> str:
    """What to say of jobs that run while a worker is asked to end."""
    if not count:
        return "nothing runs"
    return f"{count:,} running {'job has' if count == 1 else 'jobs have'} {grace:g} s to end; a second signal (Ctrl-C) gives back at once what runs"
