"""What came of the questions, as lines of text. Pure: `run` gathers the answers and prints what this makes of them.

Every figure comes from the results that the tasks stored, never from what the demo believes to have happened.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 100
"""Characters of a question or an answer that are shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the task returns, and so the fields of the result hash. Times are in seconds since the epoch, by the worker's clock."""

    answer: str
    source: str
    score: float
    waited: float
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one job: an answer, or the error that stands in its place."""

    question: str
    answer: Answer | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run. A wait is the time from the moment a question was bound to a job until a worker started that job."""

    jobs: int
    completed: int
    failed: int
    unknown: int
    rate: float
    wait_p50: float
    wait_p99: float


def summarize(replies: Sequence[Reply]) -> Summary:
    """The figures behind the table; rate and waits are NaN when no job was answered."""
    answers = [reply.answer for reply in replies if reply.answer is not None]
    waits = sorted(answer.waited for answer in answers)
    busy = max(answer.ended for answer in answers) - min(answer.started for answer in answers) if answers else math.nan
    return Summary(
        jobs=len(replies),
        completed=len(answers),
        failed=len(replies) - len(answers),
        unknown=sum(not answer.source for answer in answers),
        rate=len(answers) / max(busy, 1e-6),
        wait_p50=percentile(waits, 0.50),
        wait_p99=percentile(waits, 0.99),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the ordered values does not exceed; NaN when there are none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def table(summary: Summary, passages: int) -> list[str]:
    """The rows of figures."""
    rate = f"{summary.rate:,.0f}/s" if summary.completed else "unknown"
    rows = [
        ("jobs", f"{summary.jobs:,}   completed {summary.completed:,} · failed {summary.failed:,}"),
        ("rate", f"{rate} (each one a BM25 search over {passages:,} passages; first start to last end)"),
    ]
    if summary.completed:
        rows.append(("waited", f"p50 {summary.wait_p50:.2f} s · p99 {summary.wait_p99:.2f} s (all were queued at once)"))
    if summary.unknown:
        rows.append(("unknown", f"{summary.unknown:,} of them share no word with any passage"))
    return [f" {name:<8} {text}" for name, text in rows]


def samples(replies: Sequence[Reply], count: int = 3) -> list[str]:
    """Some questions with their answers, spread over the run: real questions before mere sentences, and answered ones only."""
    answered = {reply.question: reply.answer for reply in replies if reply.answer is not None and reply.answer.source}
    asking = [question for question in answered if question.endswith("?")]
    pool = asking if len(asking) >= count else list(answered)
    count = min(count, len(pool))
    lines: list[str] = []
    for place in range(count):
        question = pool[place * len(pool) // count]
        answer = answered[question]
        lines += [f" Q  {shorten(question)}", f' A  {answer.source}: "{shorten(answer.answer)}"']
    return lines


def errors(replies: Sequence[Reply], count: int = 3) -> list[str]:
    """The first errors, if any job failed."""
    failed = [reply for reply in replies if reply.answer is None]
    return [f" failed   {shorten(reply.question)}: {shorten(reply.error)}" for reply in failed[:count]]


def shorten(text: str, width: int = WIDTH) -> str:
    """The text on one line, cut between words where it is too long; control characters become spaces, since a terminal would obey them."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if len(line) <= width:
        return line
    return line[:width].rsplit(" ", 1)[0] + " …"
