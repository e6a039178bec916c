"""The screen of `chute top`: a snapshot and what was chosen -> something to draw. Pure; nothing is read and nothing is done here."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.layout import Layout
from rich.table import Table
from rich.text import Text

from chute.admin import Letter
from chute.cli.messages import printable
from chute.cli.steering import View
from chute.cli.table import duration
from chute.roster import Member
from chute.snapshot import Snapshot, Watched

WIDE = 76
"""Columns from which on everything is shown; below, the columns that people miss least go."""
BARS = "▁▂▃▄▅▆▇█"
HELP = "↑↓ select · p pause · r resume · R requeue dead letters · q quit"
BRIEF = "↑↓ select · p pause · r resume · R requeue · q quit"
FIGURES = ("depth", "running", "dead", "rate", "oldest")
LOW = 12
"""Lines below which there are only queues."""
_FIXED, _FIXED_LOW = 8, 4
"""Lines that are always there: the first, the heads and gaps of the parts, a message, the keys."""


def draw(snapshot: Snapshot, view: View, where: str, width: int, height: int) -> Layout:
    """The whole screen, so many columns and lines."""
    queues, wide = snapshot.queues, width >= WIDE
    members = sorted((each for queue in queues for each in queue.members), key=lambda each: each.queue != view.selected)
    room = max(2, height - (_FIXED if height >= LOW else _FIXED_LOW))
    queue_lines = min(len(queues) or 1, max(1, room // 2)) if height >= LOW else room
    member_lines = min(len(members) or 1, max(1, (room - queue_lines) // 2))
    below = [
        Layout(_members(members[:member_lines], len(members), wide=wide), size=member_lines + 2),
        Layout(_failures(snapshot, wide=wide)),
    ]
    screen = Layout()
    screen.split_column(
        Layout(_head(snapshot, where), size=1),
        Layout(
            _queues(_around(queues, view.selected, queue_lines), view.selected, wide=wide), size=queue_lines + 2 if height >= LOW else None
        ),
        *(below if height >= LOW else ()),
        Layout(Text(printable(view.message) or " ", style="bold yellow" if view.asking else "yellow", no_wrap=True), size=1),
        Layout(Text(HELP if wide else BRIEF, style="dim", no_wrap=True, overflow="ellipsis"), size=1),
    )
    return screen


def sparkline(values: Sequence[int]) -> str:
    """A bar for each value, the highest one full; nothing where nothing was."""
    most = max(values, default=0)
    return "".join(BARS[max(0, -(-value * len(BARS) // most) - 1)] if value else " " for value in values)


def _head(snapshot: Snapshot, where: str) -> Text:
    at = datetime.fromtimestamp(snapshot.at, UTC).strftime("%H:%M:%S UTC")
    return Text.assemble(("chute top", "bold"), f" · {at} · {printable(where)}", no_wrap=True, overflow="ellipsis")


def _around(queues: Sequence[Watched], selected: str, lines: int) -> Sequence[Watched]:
    """As many queues as there are lines, the selected one among them."""
    place = next((place for place, each in enumerate(queues) if each.stats.queue == selected), 0)
    begin = max(0, min(place - lines // 2, len(queues) - lines))
    return queues[begin : begin + lines]


def _queues(queues: Sequence[Watched], selected: str, *, wide: bool) -> Table | Text:
    if not queues:
        return Text("no worker has ever worked a queue here: chute work MODULE")
    table = _table(["queue"], FIGURES, [f"last {len(queues[0].minutes)} min"] if wide else [])
    for each in queues:
        stats = each.stats
        name = Text(stats.queue, style="bold reverse" if stats.queue == selected else "")
        if stats.paused:
            name.append(" paused", style="yellow")
        dead = Text(f"{stats.dead:,}", style="red" if stats.dead else "")
        figures = (f"{stats.depth:,}", f"{stats.running:,}", dead, f"{stats.rate:,.1f}/s", duration(stats.oldest_age))
        more = [Text(sparkline(each.minutes), style="green")] if wide else []
        table.add_row(name, *figures, *more)
    return table


def _members(members: Sequence[Member], total: int, *, wide: bool) -> Table:
    head = "worker" if len(members) == total else f"worker ({len(members)} of {total:,})"
    table = _table([head, "queue", *(["host"] if wide else [])], [*(["age"] if wide else []), "held"], ["runs"])
    for each in members:
        place = [_text(f"{each.host}:{each.pid}" if each.host else "-")] if wide else []
        age = [duration(each.age)] if wide else []
        held = f"{each.held:,}/{each.slots or '-'}"
        table.add_row(each.worker[:8], each.queue, *place, *age, held, _text(_jobs(each)))
    return table


def _jobs(member: Member) -> str:
    """What it runs, the oldest first."""
    return ", ".join(f"{job.task or '?'} {job.job_id or '(no id)'} {duration(job.age)}" for job in member.jobs[:5])


def _failures(snapshot: Snapshot, *, wide: bool) -> Table:
    letters: Iterable[tuple[str, Letter]] = ((each.stats.queue, letter) for each in snapshot.queues for letter in each.failures)
    table = _table(["failed", *(["queue"] if wide else []), "reason", "job"], [], ["error"])
    for queue, letter in sorted(letters, key=lambda pair: pair[1].at, reverse=True):
        ago = f"{duration(max(0.0, snapshot.at - letter.at.timestamp()))} ago"
        name = " ".join(letter.fields.get(part) or "" for part in ("task", "job_id")).strip()
        error = (letter.fields.get("error") or "").partition("\n")[0]
        table.add_row(ago, *([queue] if wide else []), *map(_text, (letter.fields.get("reason") or "", name, error)))
    return table


def _table(words: Sequence[str], figures: Sequence[str], last: Sequence[str]) -> Table:
    """A table without lines around it; what comes last gets the room that is left."""
    table = Table(box=None, expand=True, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    for word in words:
        table.add_column(word, no_wrap=True, overflow="ellipsis", ratio=None, max_width=24)
    for figure in figures:
        table.add_column(figure, justify="right", no_wrap=True)
    for each in last:
        table.add_column(each, no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def _text(value: str) -> Text:
    """Words that came from elsewhere: no markup, no control characters."""
    return Text(printable(value))
