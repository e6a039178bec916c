"""Programs that enqueue without end, in blocking and in asyncio code, and write down the id of each job that was accepted."""

import itertools

from tasks import answer

import chute


def enqueue(path: str) -> None:
    """Until it is killed; goes on when an error says that a job was not, or perhaps not, accepted."""
    with open(path, "a") as accepted:
        for number in itertools.count():
            try:
                job = answer.options(job_id=f"program-{number}").enqueue("?")
            except chute.errors.ChuteError:
                continue
            print(job.id, file=accepted, flush=True)


async def aenqueue(path: str) -> None:
    """The same in asyncio code."""
    with open(path, "a") as accepted:  # noqa: ASYNC230 - nothing else runs on this loop
        for number in itertools.count():
            try:
                job = await answer.options(job_id=f"notebook-{number}").aenqueue("?")
            except chute.errors.ChuteError:
                continue
            print(job.id, file=accepted, flush=True)
