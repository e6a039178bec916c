"""The common part of all apps: the work, and marks of when it began and ended. Runs in the environments of the peers.

A mark is a file with two readings of the monotonic clock, complete as soon as it is there.
"""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

URL = os.environ["BENCH_URL"]
JOBS = int(os.environ["BENCH_JOBS"])
QUESTION = "What is RAG?".ljust(int(os.environ["BENCH_BYTES"]))
KEPT_SECONDS = 3600

_calls = itertools.count(1)  # counts right in threads as well
_began = 0.0


def answer() -> dict[str, str]:
    """The work of each handler. The call with which all jobs have run leaves the mark "ran"."""
    global _began  # noqa: PLW0603 - one worker process, one clock
    number = next(_calls)
    if number == 1:
        _began = time.perf_counter()
    if number == JOBS:
        _leave("ran", _began)
    return {"answer": "RAG is retrieval"}


@contextmanager
def enqueuing() -> Iterator[None]:
    """Around what puts all jobs in: leaves the mark "enqueued"."""
    began = time.perf_counter()
    yield
    _leave("enqueued", began)


def batches(size: int) -> Iterator[range]:
    """The jobs in pieces of at most so many."""
    return (range(start, min(start + size, JOBS)) for start in range(0, JOBS, size))


def _leave(mark: str, began: float) -> None:
    path = Path(os.environ["BENCH_FOLDER"], mark)
    half = path.with_suffix(".half")
    half.write_text(f"{began} {time.perf_counter()}")
    half.rename(path)
