"""Writes the ledgers of chaos/results into docs/reliability.md, between its marks. `make docs` runs it."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from chaos.__main__ import ROWS  # noqa: E402
from chaos.ledger import Ledger, verdict  # noqa: E402
from chaos.play import Entry  # noqa: E402
from chaos.seeded import BUGS, Planted  # noqa: E402

RESULTS = ROOT / "chaos" / "results"
PAGE = ROOT / "docs" / "reliability.md"
PARTS = re.compile(r"(<!-- of the last run: (?P<what>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = (
    "| row | what is done, and what must hold | server | faults | accepted | lost | run again, of those that may | recovery | |\n"
    + "| --- " * 9
    + "|\n"
)


def proves(struck: int) -> str:
    """How often it may fail at most, with 95 % confidence, after so many faults without a failure: the rule of three."""
    return f"{300 / struck:.2g} %" if struck else "-"


def cells(entry: Entry) -> str:
    """A line of the table."""
    row = ROWS[entry.row]
    recovery = f"{entry.recovery:.1f} s" if entry.recovery else ""
    repeats = f"{entry.duplicates:,} of {entry.bound:,}" if entry.bound else ""
    what = f"{row.what}: {row.expected}"
    return f"| {row.id} | {what} | {entry.server} | {entry.struck:,} | {entry.accepted:,} | {entry.lost:,} | {repeats} | {recovery} | {verdict(entry)} |"


def rows(ledger: Ledger) -> str:
    """A table of rows."""
    said = [f"* {each.row} on {each.server}: {why}" for each in ledger.entries for why in each.why_red or [each.skipped] if why]
    return "\n".join(
        [
            f"`{ledger.command}`",
            "",
            HEAD.strip(),
            *map(cells, ledger.entries),
            *(["", "What was said of those that are not ok:", "", *said] if said else []),
        ]
    )


def sums(entries: Iterable[Entry]) -> str:
    """All entries of each server together, rows aside in which a server itself loses what it answered."""
    lines = [
        "| server | rows | faults that met held work | jobs accepted | lost | so a fault loses a job in less than |",
        "| --- " * 6 + "|",
    ]
    entries = [entry for entry in entries if not ROWS[entry.row].forgets]
    for server in sorted({entry.server for entry in entries}):
        ours = [entry for entry in entries if entry.server == server]
        struck, lost = sum(entry.struck for entry in ours), sum(entry.lost for entry in ours)
        accepted = sum(entry.accepted for entry in ours)
        lines.append(f"| {server} | {len(ours)} | {struck:,} | {accepted:,} | {lost:,} | {'-' if lost else proves(struck)} |")
    return "\n".join(lines)


def score(planted: list[Planted]) -> str:
    """The bugs, and whether they were caught."""
    first = {bug.what for bug in BUGS}
    twelve = [each for each in planted if each.what in first]
    said = f"{sum(each.caught for each in twelve)} of {len(twelve)}"
    lines = [
        f"**{said}** of the first table, {sum(each.caught for each in planted)} of {len(planted)} of all.",
        "",
        "| bug | row | |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {each.what} | {each.row} | {'caught' if each.caught else 'MISSED'} |" for each in planted]
    return "\n".join(lines)


def read(name: str) -> Ledger:
    """A ledger that was kept."""
    return msgspec.json.decode((RESULTS / f"{name}.json").read_bytes(), type=Ledger)


def part(what: str) -> str:
    """What stands after a mark."""
    if what == "bugs":
        return score(msgspec.json.decode((RESULTS / "bugs.json").read_bytes(), type=list[Planted]))
    if what == "sums":
        return sums(read("all").entries)
    return rows(read(what))


if __name__ == "__main__":
    PAGE.write_text(PARTS.sub(lambda found: f"{found[1]}\n{part(found['what'])}\n\n{found[3]}", PAGE.read_text()))
