"""The clock of a test: nobody waits for a delay or a retry. The server's clock stays as it is; what is scheduled there is moved nearer."""

from chute import duration
from chute.duration import Seconds
from chute.queue import Queue
from chute.store import CHUNK
from chute.testing import door


def advance(queue: Queue, seconds: Seconds) -> int:
    """Lets so many seconds pass for everything that is scheduled in the queue: what falls due is ready at once. Returns how many jobs that are.

    The lives of results, timeouts and beats go on by the real clock.

        answer.options(delay=60).enqueue("Later?")
        chute.testing.advance(jobs, 60)
    """
    passed = round(duration.seconds(seconds) * 1000)
    return sum(_advance(queue, name, passed) for name in queue.lists)


def _advance(queue: Queue, name: str, passed: int) -> int:
    _, members = queue.endpoint.run(door.scheduled(name))
    if members:
        queue.endpoint.run(door.reschedule(name, [(member, due - passed) for member, due in members]))
    moved = 0
    while (step := queue.endpoint.run(door.promote(name))) > 0:
        moved += step
        if step < CHUNK:
            break
    return moved
