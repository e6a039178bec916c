"""The same job on other queues: each puts it in by its best way, and one worker of it does them all."""

import sys
from collections.abc import Iterator
from functools import partial

from benchmarks import stage
from benchmarks.peers import PEERS
from benchmarks.scenario import Measured, Round, Scenario


def play(name: str, now: Round) -> Iterator[Measured]:
    """One peer."""
    peer = PEERS[name]
    count = max(100, round(peer.jobs * now.scale))
    with stage.fresh(now.server) as server:
        url = server.tcp_url + "/0"  # not all of them know a unix socket
        yield name, "enqueued/s", peer.enqueue(url, count, 12)
        done = peer.drain(url, count, 12)
    yield name, "jobs/s", done.rate
    yield name, "server µs/job", done.server.us
    yield name, "commands/job", done.server.commands
    yield name, "bytes on the wire/job", done.server.wire
    yield name, "worker MB", done.rss


def scenarios(names: list[str]) -> list[Scenario]:
    """One for each of these peers that can be here; why another cannot is said."""
    found = list[Scenario]()
    for name in names:
        if why := PEERS[name].prepare():
            print(f"{name} is left out: {why}", file=sys.stderr)
        else:
            found.append(Scenario("peers", name, partial(play, name)))
    return found
