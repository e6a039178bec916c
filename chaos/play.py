"""Plays one row on one server: sets the stage, lets the row act, waits for quiet, ends everything, asks the judge -> an entry of the ledger."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

import canary
from chaos import checker, final, oracle
from chaos.checker import Findings
from chaos.fleet import Failure, Skipped
from chaos.rows import Row
from chaos.stage import Stage
from chaos.story import stories
from servers import Kind

STRUCK = 0.9
"""At least so many of the faults must have met held work."""


EXPECTED = ("the first run raises", "this one always raises", "waiting for jobs", "another: --url")
"""Words in the log of a worker whose handlers do what the load asks for."""


class Entry(msgspec.Struct):
    """One line of the ledger. `complaints` is empty when the row passed."""

    row: str
    server: str
    seed: int
    accepted: int = 0
    unknown: int = 0
    faults: int = 0
    struck: int = 0
    lost: int = 0
    stranded: int = 0
    duplicates: int = 0
    bound: int = 0
    recovery: float = 0.0
    resume: float = 0.0
    outage: float = 0.0
    seconds: float = 0.0
    skipped: str = ""
    """Why it was not played."""
    complaints: list[str] = msgspec.field(default_factory=list)
    doubts: list[str] = msgspec.field(default_factory=list)
    """Figures beyond the row's limits. What else the machine does may be the reason, so they are complaints only when seen twice."""

    @property
    def doubtful(self) -> bool:
        """Nothing but a second look can tell whether it passed."""
        return bool(self.doubts) and not self.complaints

    @property
    def why_red(self) -> list[str]:
        """All that is wrong, in words."""
        return [*self.complaints, *self.doubts]


def play(row: Row, kind: Kind, seed: int, times: int, src: Path) -> Entry:
    """The row from beginning to end."""
    entry, began = Entry(row.id, kind, seed), time.monotonic()
    with Stage(row.place(kind, *row.options), seed, times, src) as stage:
        try:
            row.run(stage)
            stage.drain()
            stage.compare(row.asked)
            shown = canary.found_in_processes(stage.fleet.pids(), environment=False)
            entry.complaints += stage.fleet.retire()
            shown += canary.found_below(stage.notes)
            entry.complaints += [f"a password is shown: {line}" for line in shown]
            history = oracle.read(stage.notes)
            found = checker.judge(history, final.read(stage.client), stage.faults)
        except Failure as failure:  # the rest of the row cannot be judged
            history, found = oracle.read(stage.notes), Findings()
            entry.complaints = [*stage.complaints, str(failure)]
        except Skipped as skipped:
            history, found = oracle.read(stage.notes), Findings()
            entry.skipped = str(skipped)
        else:
            if row.forgets:
                found = Findings(left=found.left, recovery=found.recovery, resume=found.resume)
            if row.copies:
                found.over = found.stale = []
            if row.ordered:
                found.disordered = checker.disordered(history.all_runs())
            found.outage = checker.outage(history.all_runs(), stage.faults) if row.outage else 0.0
            for line in stories(history, stage.faults, found):
                print(f"{row.id} {kind} {line}", file=sys.stderr)
            entry.complaints += [*stage.complaints, *found.violations()]
            entry.doubts += _limits(row, stage, found)
        if entry.complaints or entry.doubts:
            _tell(stage, row, kind)
    entry.accepted, entry.unknown, entry.lost = len(history.accepted), len(history.unknown), len(found.lost)
    entry.stranded = len(found.stranded)
    entry.faults, entry.struck = len(stage.faults), sum(fault.held > 0 for fault in stage.faults)
    entry.duplicates, entry.bound = found.duplicates, found.bound
    entry.recovery, entry.resume, entry.outage = found.recovery, found.resume, found.outage
    entry.seconds = time.monotonic() - began
    return entry


def _limits(row: Row, stage: Stage, found: Findings) -> Iterator[str]:
    """What the row itself demands of the figures."""
    figures = (
        ("recovery began", found.recovery, row.recovery),
        ("work went on", found.resume, row.resume),
        ("the next job was begun", found.outage, row.outage),
    )
    for what, figure, limit in figures:
        if limit is not None and figure > stage.limit(limit):
            yield f"{what} after {figure:.2f} s, the limit is {limit:g} s, on this machine now {stage.limit(limit):.2f} s"
    struck = sum(fault.held > 0 for fault in stage.faults)
    if len(stage.faults) < row.least or struck < STRUCK * len(stage.faults):
        yield f"void: {len(stage.faults)} faults, of which {struck} met held work; {row.least} are needed, nine of ten with work"


def _tell(stage: Stage, row: Row, kind: str) -> None:
    """What the logs say that is no part of the load, for whoever looks for the reason."""
    for path in sorted(stage.notes.glob("*.log")):
        lines = path.read_text(errors="replace").splitlines()
        for line in [line for line in lines if not any(words in line for words in EXPECTED)][-20:]:
            print(f"{row.id} {kind} {path.stem}: {line}", file=sys.stderr)
    for line in stage.place.log().splitlines()[-60:]:
        print(f"{row.id} {kind} server: {line}", file=sys.stderr)
