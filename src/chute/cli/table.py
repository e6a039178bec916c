"""Tables for people: as wide as their figures, and in words where the terminal is narrower. Nothing is cut."""

import shutil
import textwrap
from collections.abc import Sequence

import click

from chute.cli.messages import printable

UNBROKEN = "\u00a0"
Row = Sequence[str]


def show_table(columns: Row, rows: Sequence[Row], left: int = 1) -> None:
    """A line a row under a head; the first `left` columns are words, the others figures. Where the terminal is narrower, each row in words that
    are wrapped."""
    rows = [tuple(map(printable, row)) for row in rows]
    cells = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = shutil.get_terminal_size((10_000, 0)).columns  # where there is no terminal, there is room
    if sum(widths) + 2 * (len(widths) - 1) > room:
        for name, *figures in rows:
            _in_words(name, columns[1:], figures, room)
        return
    for number, row in enumerate(cells):
        words = [*map(str.ljust, row[:left], widths), *map(str.rjust, row[left:], widths[left:])]
        line = "  ".join(words).rstrip()
        click.echo(click.style(line, bold=True) if not number else line)


def duration(seconds: float | None) -> str:
    """Seconds for people, `-` where nobody knows."""
    if seconds is None:
        return "-"
    for unit, size, limit in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds / 86_400:,.1f} d"


def _in_words(name: str, columns: Row, figures: Row, room: int) -> None:
    pairs = [f"{word} {figure}".replace(" ", UNBROKEN) for word, figure in zip(columns, figures, strict=True)]
    words = textwrap.fill(", ".join(pairs), room, initial_indent="  ", subsequent_indent="  ")
    click.echo(f"{click.style(name, bold=True)}\n{words.replace(UNBROKEN, ' ')}")
