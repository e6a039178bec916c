"""A job in hand that no server gave: what the worker's own steps need to open and run it. Knows neither who asks nor why."""

from chute.holdings import Holdings
from chute.line import Line
from chute.queue import Queue
from chute.worker.held import Held
from chute.worker.lane import Lane, Turn
from chute.worker.route import Route


def held(queue: Queue, body: bytes, delivery: int = 1) -> Held:
    """The job, as if it had been claimed; `delivery` is its tag and its lease."""
    route = Route(Line(queue.endpoint.at(""), _nothing), _nothing)  # opens nothing: a worker would
    lane = Lane(queue, queue.name, Turn(), route, _nothing, _number)
    return Held(lane, Holdings(queue.name, "test"), delivery, delivery, body, 0.0)


def _number(*_: object) -> int:
    return 0


def _nothing(*_: object) -> None:
    pass
