"""Writes the figures of benchmarks/results into docs/performance.md, between its marks, and the plot beside it. `make docs` runs it."""

import re
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import report  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "images" / "drain.svg"
PARTS = re.compile(r"(<!-- of the last run: (?P<what>[\w. -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, run: report.Run) -> str:
    """The page with the figures of a run: after each mark the tables of the scenarios that it names, or `targets`, or `machine`."""
    return PARTS.sub(lambda part: f"{part[1]}\n{report.part(run, part['what'].split())}\n\n{part[3]}", page)


if __name__ == "__main__":
    last = msgspec.json.decode((RESULTS / "figures.json").read_bytes(), type=report.Run)
    PAGE.write_text(filled(PAGE.read_text(), last))
    PLOT.write_text(report.plot(last))
