"""The demo from its first line to its last: chooses documents and questions, puts the questions to a worker, prints what came of them.

`stage` keeps the processes, `app` is what they run, `report` makes the figures. The command line around it is `chute.cli.demo`.
It must never print a figure that does not come from the results.
"""

import math
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

import chute
from chute import admin
from chute.demo import app, passages, report
from chute.demo.passages import Passage
from chute.demo.report import Answer, Reply
from chute.demo.stage import WORK, FailedError, Signals, Stage, stage

AT_LEAST = 2000
"""Jobs of a run over documents: fewer questions are asked several times, each time as a job of its own."""
AT_MOST = 5000
"""Questions taken from documents; of more, every second, third … is asked. A file of questions is asked whole."""
LONGEST_QUESTION = 10_000
"""Characters of a question; a longer line is no question, and one of a megabyte is no job either."""
PATIENCE = 30.0
"""Seconds without any answer after which the demo gives up."""


class BadInputError(Exception):
    """The documents or the questions cannot be used; the message names them and says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched and what is asked."""

    passages: list[Passage]
    questions: list[str]
    rounds: int

    @property
    def jobs(self) -> list[str]:
        """One question a job."""
        return self.questions * self.rounds

    def __str__(self) -> str:
        files = len({passage.trail[0] for passage in self.passages})
        times = "" if self.rounds == 1 else f", each asked {self.rounds} times"
        return f"{len(self.questions):,} questions{times}; {len(self.passages):,} passages of {files:,} documents"


def plan(docs: Path | None, questions: Path | None) -> Plan:
    """Reads what the user named, else the project's own documents. Raises BadInputError where there is no text."""
    found = passages.read_folder(docs) if docs else own_documents()
    if not found:
        raise BadInputError(f"{docs} holds no text: it needs at least one of *{', *'.join(passages.SUFFIXES)} with a paragraph in it")
    if questions:
        return Plan(found, read_questions(questions), rounds=1)
    asked = passages.questions_of(found)
    if not asked:
        raise BadInputError(f"{docs} holds no sentence to ask about: name a file of questions with --questions")
    asked = asked[:: math.ceil(len(asked) / AT_MOST)]
    return Plan(found, asked, rounds=math.ceil(AT_LEAST / len(asked)))


def own_documents() -> list[Passage]:
    """The guide that comes with the demo and, in a checkout of the project, its documents."""
    here = Path(__file__).resolve()
    found = passages.read_folder(here.parent / "corpus", "guide/")
    root = here.parents[3]
    if (root / "pyproject.toml").is_file() and here.is_relative_to(root / "src" / "chute"):
        for path in sorted(root.glob("*.md")):
            found += passages.read_document(path, path.name)
        found += passages.read_folder(root / "docs", "docs/")
    return found


def read_questions(path: Path) -> list[str]:
    """One question a line; blank lines are no questions."""
    found: list[str] = []
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if len(line) > LONGEST_QUESTION:
                most = f"a question has {LONGEST_QUESTION:,} characters at most, this one {len(line):,}"
                raise BadInputError(f"{path}, line {number}: {most}")
            if question := line.strip():
                found.append(question)
    if not found:
        raise BadInputError(f"{path} holds no question: it needs one a line")
    return found


def run(chosen: Plan, signals: Signals) -> bool:
    """Plays the demo. True if every job completed."""
    with stage(signals) as running:
        click.echo(f"server   embedded Valkey {running.server_version}, {running.url}")
        click.echo(f"worker   chute {' '.join(WORK)} (pid {running.worker.pid})")
        app.write_passages(chosen.passages)
        _await_worker(running)
        replies = ask(chosen.jobs, running)
    signals.let_go()
    answered = sum(reply.answer is not None for reply in replies)
    click.echo(f"answer   {answered:,}/{len(replies):,} jobs ({chosen})")
    summary = report.summarize(replies)
    for line in (*report.table(summary, len(chosen.passages)), *report.errors(replies), *report.samples(replies), *what_next()):
        click.echo(line)
    return summary.failed == 0


def ask(questions: Sequence[str], running: Stage) -> list[Reply]:
    """Puts every question as one job and waits for all results, in the order of the questions."""
    jobs = app.jobs.enqueue_many(app.answer.bind(question, asked=time.time()) for question in questions)
    replies: list[Reply] = []
    with _bar(len(questions)) as progress:
        for question, job in zip(questions, jobs, strict=True):
            replies.append(_wait(question, job, running))
            progress.advance(progress.task_ids[0])
    return replies


def _await_worker(running: Stage) -> None:
    """Returns when the worker works the queue: what it needs to start is no waiting time of a job."""
    give_up = time.monotonic() + PATIENCE
    while not admin.stats(app.jobs.endpoint, app.jobs.name).workers:
        running.check()
        if time.monotonic() > give_up:
            raise FailedError(f"the worker had not begun to work after {PATIENCE:g} s")
        time.sleep(0.02)


def _wait(question: str, job: chute.Job[Answer], running: Stage) -> Reply:
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        try:
            return Reply(question, job.result(timeout=0.5))
        except TimeoutError:
            running.check()
        except (chute.errors.JobFailed, chute.errors.ResultUnavailable) as failure:
            return Reply(question, None, str(failure))
    raise FailedError(f"no answer for {PATIENCE:g} s; the worker is alive, and job {job.id} is {job.status()}")


@contextmanager
def _bar(total: int) -> Generator[Progress]:
    """A bar on stderr, if that is a terminal. It goes when it is full: what remains is the line on stdout."""
    console = Console(stderr=True)
    columns = (TextColumn("answer  "), BarColumn(), MofNCompleteColumn(), TextColumn("jobs"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task("", total=total)
        yield progress


def what_next() -> list[str]:
    """What to try after the demo."""
    return [
        "next: chute demo --docs DIR --questions FILE     your own documents and questions, one a line",
        "      chute work MODULE:QUEUE                    your own tasks; chute work --help",
    ]
