"""What an application looks like: two tasks, a dataclass for an argument, and one job of a hundred fails and is tried again."""

from dataclasses import dataclass

import mark

import chute

jobs = chute.Queue("jobs")


@dataclass
class Document:
    """A page of a collection."""

    id: int
    title: str
    words: list[str]


@jobs.task(default=True)
async def answer(question: str) -> dict[str, str]:
    """The answer."""
    mark.hit()
    return {"answer": "RAG is retrieval"}


@jobs.task(retries=1, backoff=0)
async def index(document: Document) -> int:
    """How many words were noted. The first run of each fiftieth document fails: of all jobs that is one in a hundred."""
    if document.id % 50 == 0 and chute.context().attempt == 1:
        raise ConnectionError("the index is busy")
    mark.hit()
    return len(document.words)
