"""Writes the table of hostile entries into docs/security.md, between its marks, from the table of verdicts of the tests. `make docs` runs it."""

import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

from contract.corpus import CASES, RUNS, TABLE  # noqa: E402

PAGE = ROOT / "docs" / "security.md"
PART = re.compile(r"(<!-- of the corpus -->\n).*?(<!-- end -->)", re.DOTALL)
TOLD = {
    "not-json": "rubbish, pickles, YAML, XML, gzip, other formats",
    "not-an-object": "JSON that is no object",
    "encodings": "bytes that are not UTF-8, marks, half pairs, control characters, twins",
    "numbers": "NaN, infinity, overflow, a million digits",
    "structure": "nesting, a million keys, colliding and repeated ones",
    "job-id": "ids of every kind",
    "task-name": "modules, attributes, builtins, URLs as names of tasks",
    "arguments": "unknown, missing, of wrong types, too many",
    "control-fields": "claims about attempts, deaths, times, headers, and fields that nobody knows",
    "sizes": "up to and beyond 1 MiB",
}


def table() -> str:
    """A row for each group of entries: how many, and what becomes of them."""
    groups = list(dict.fromkeys(case.group for case in CASES))
    rows = [f"| {TOLD[group]} | {sum(case.group == group for case in CASES)} | {_verdicts(group)} |" for group in groups]
    bad = sum(not name.good for name in TABLE.queues)
    rows.append(f"| names of queues | {len(TABLE.queues)} | {bad} refused where they are given, {len(TABLE.queues) - bad} taken |")
    whole = sum(given.fields == ["@value"] for given in TABLE.results)
    rows.append(f"| values of tasks | {len(TABLE.results)} | {whole} kept whole in `@value`, {len(TABLE.results) - whole} as fields |")
    return "\n".join(["| what is pushed | cases | what becomes of them |", "| --- | --- | --- |", *rows])


def filled(page: str) -> str:
    """The page with the table as it is now."""
    return PART.sub(lambda part: f"{part[1]}\n{table()}\n\n{part[2]}", page)


def _verdicts(group: str) -> str:
    counts = Counter(case.verdict for case in CASES if case.group == group)
    return ", ".join(f"{count} run" if verdict == RUNS else f"{count} `{verdict}`" for verdict, count in counts.most_common())


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
