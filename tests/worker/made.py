"""Jobs in hand that no server gave: for the parts of a worker that never touch one."""

from chute.holdings import Holdings
from chute.line import Line
from chute.queue import Queue
from chute.worker.held import Held
from chute.worker.lane import Lane, Turn
from chute.worker.route import Route


def lane(name: str = "jobs", rank: int = 0, share: float = 1) -> Lane:
    """A queue of a worker that is connected to nothing."""
    queue = Queue(name, url="redis://127.0.0.1:1")
    route = Route(Line(queue.endpoint.at(""), lambda _: None), lambda: None)
    route.line.connected = True
    return Lane(queue, name, Turn(rank, share), route, lambda: None, lambda *_: 0)


def held(body: bytes = b"{}", queue: str = "jobs", tag: int = 7, lease: int = 1001) -> Held:
    """A job in hand."""
    return Held(lane(queue), Holdings(queue, "w"), lease, tag, body, 0.0)
