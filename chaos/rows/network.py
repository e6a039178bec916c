"""Rows N: what can happen between the worker and the server."""

import random
import time
from functools import partial

from chaos import oracle
from chaos.proxy import BOTH, NONE, Act, Command, Proxy, Ways
from chaos.rows import Row
from chaos.stage import Stage
from servers import until

TIMEOUT = 5.0
"""Seconds that an answer may take before the worker gives the connection up."""
LOST_REPLIES = (
    (("LPUSH", "enqueue"), 0.1, 8),
    (("claim", "BLMOVE"), 0.1, 8),
    (("finish",), 0.1, 8),
    (("beat",), 0.5, 8),
    (("close", "reclaim"), 0.7, 2),
    (("HGETALL",), 0.5, 4),
)
"""Commands, how many of them lose their reply, and of how many it is waited for."""
DEATHS = 3
"""Workers that die at the most until enough replies about the dead were lost: each brings two or three."""


def at_random(act: Act, stage: Stage) -> None:
    """Two of a hundred commands meet it, whichever they are."""
    proxy = stage.proxy()
    stage.workers(3, via=proxy)
    stage.produce(250, via=proxy)
    proxy.fault = lambda _, __: act if stage.chance.random() < 0.02 else None
    stage.expect(until(lambda: len(stage.faults) >= 60 * stage.times, 10 * stage.times), f"too few commands met {act}")
    proxy.fault = lambda _, __: None


def loses_replies(stage: Stage) -> None:
    """The server did it and the caller cannot know: for each kind of command in turn."""
    proxy = stage.proxy()
    *_, victim = stage.workers(3, via=proxy)
    stage.produce(450, via=proxy)  # a little more than they can do: so claims bring jobs
    for names, rate, count in LOST_REPLIES * stage.times:
        before = len(stage.faults)
        proxy.fault = partial(_one_of, names, rate, stage.chance)
        for _ in range(DEATHS if "close" in names else 1):
            if "close" in names:
                stage.kill(victim)
                stage.fleet.forget(victim)
                (victim,) = stage.workers(1, via=proxy)
            if met := until(partial(_struck, stage, before + count), 6):
                break
        stage.expect(met, f"too few replies to {names[-1]} were lost: {len(stage.faults) - before}")
    proxy.fault = lambda _, __: None


def black_holes(stage: Stage) -> None:
    """Bytes are kept back for 1 and for 7 s and come late; or are lost for 4 s, and the connection never says so."""
    stage.workers(1)
    proxies = [stage.proxy() for _ in range(3)]
    pids = [stage.workers(1, via=proxy)[0].pids() for proxy in proxies]
    stage.produce(250)
    for _ in range(stage.times):
        stage.strike("held for 1 s", "none", pids[0], lambda: _hold(proxies[0], 1))
        time.sleep(0.3)
        stage.strike("dark for 4 s", "suspicion", pids[1], lambda: _swallow(stage, proxies[1], 4, BOTH))
        stage.strike("held for 7 s", "suspicion", pids[2], lambda: _hold(proxies[2], 7))
        until(lambda: all(any(oracle.held(stage.notes, pid) for pid in each) for each in pids), 10)


def one_way_holes(stage: Stage) -> None:
    """The other side seems to be there, and is deaf or mute."""
    stage.workers(1)
    deaf, mute = stage.proxy(), stage.proxy()
    pids = [stage.workers(1, via=proxy)[0].pids() for proxy in (deaf, mute)]
    stage.produce(250)
    for _ in range(stage.times):
        stage.strike("no replies for 4 s", "suspicion", pids[0], lambda: _swallow(stage, deaf, 4, frozenset({"replies"})))
        stage.strike("no requests for 4 s", "suspicion", pids[1], lambda: _swallow(stage, mute, 4, frozenset({"requests"})))


def breaks_off(stage: Stage) -> None:
    """A program cancels ten thousand of its calls at any moment: no reply reaches another call."""
    stage.workers(2)
    stage.produce(50)

    def act() -> None:
        code, said = stage.fleet.run("cancels", stage.place.url, "-m", "chaos.cancels", str(10_000 * stage.times), str(stage.seed))
        stage.expect(code == 0, f"the program that cancels ended with {code}: {said[-500:]}")

    stage.strike_server("10,000 cancelled calls", act)


def _one_of(names: tuple[str, ...], rate: float, chance: random.Random, name: str, _: Command) -> Act | None:
    return "after" if name in names and chance.random() < rate else None


def _struck(stage: Stage, count: int) -> bool:
    return len(stage.faults) >= count


def _hold(proxy: Proxy, seconds: float) -> None:
    proxy.holding = BOTH
    time.sleep(seconds)
    proxy.holding = NONE


def _swallow(stage: Stage, proxy: Proxy, seconds: float, ways: Ways) -> None:
    """Over when the worker has given up the connections that are dark."""
    began = oracle.now()
    proxy.swallowing = ways
    time.sleep(seconds)
    proxy.swallowing = NONE
    until(lambda: proxy.dialled > began, TIMEOUT + 3)
    took = (proxy.dialled - began) / 1e9
    stage.expect(0 < took < TIMEOUT + stage.limit(0.5), f"a dead connection was given up after {took:.1f} s")


ROWS = (
    Row("N02", "the line is cut before the request, 2 % of all", "no duplicate", partial(at_random, "before"), 60),
    Row("N03", "the reply is lost, for each kind of command", "nothing is copied, nothing stays hidden", loses_replies, 30, recovery=2.5),
    Row("N04", "black holes of 1, 4 and 7 s", "late outcomes change nothing, dead connections are given up", black_holes, 3, 2.0, TIMEOUT),
    Row("N05", "for 4 s only replies vanish, then only requests", "as N04", one_way_holes, 2, 2.0, TIMEOUT),
    Row("N07", "replies come in drips of 7 bytes, 2 % of all", "nothing is misread", partial(at_random, "drip"), 60),
    Row(
        "N09", "a bit of a reply is flipped, 2 % of all", "the connection is dropped, no result is mixed up", partial(at_random, "flip"), 60
    ),
    Row("N13", "10,000 awaited calls are cancelled", "no reply is mixed up", breaks_off, 1),
)
