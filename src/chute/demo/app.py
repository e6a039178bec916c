"""What the demo's worker runs: `chute work chute.demo.app:jobs`. One queue, one task: find the passage that answers a question best.

The documents are not in the jobs: `write_passages` leaves them in the home directory of the embedded server, where each process reads
them once, at its first question.
"""

import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

import chute
from chute import settings
from chute.demo.index import Index
from chute.demo.passages import Passage
from chute.demo.report import Answer

jobs = chute.Queue("demo")


@jobs.task
async def answer(question: str, asked: float) -> Answer:
    """The best passage for the question. A search takes microseconds, so it runs on the loop: a thread would cost more than it frees."""
    started = time.time()
    passages, index = library()
    found = index.best(question)
    number, score = found if found else (None, 0.0)
    return Answer(
        answer="" if number is None else passages[number].text,
        source="" if number is None else passages[number].source,
        score=round(score, 3),
        waited=started - asked,
        started=started,
        ended=time.time(),
    )


@cache
def library() -> tuple[list[Passage], Index]:
    """The passages and the index over them, made at the first question of the process. A heading is searched with its text."""
    passages = msgspec.json.decode(_file().read_bytes(), type=list[Passage])
    return passages, Index([f"{passage.source} {passage.text}" for passage in passages])


def write_passages(passages: Iterable[Passage]) -> None:
    """Leaves the passages where the worker's processes look for them."""
    _file().write_bytes(msgspec.json.encode(list(passages)))


def _file() -> Path:
    return settings.home() / "passages.json"
