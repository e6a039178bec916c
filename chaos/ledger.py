"""The ledger for people: one line a row and server, then what is wrong in words; and the same to keep. Pure."""

from collections.abc import Iterable

import msgspec

from chaos.play import Entry


class Ledger(msgspec.Struct):
    """What was played, and the command that plays it again."""

    command: str
    entries: list[Entry]


HEAD = (
    "row",
    "server",
    "accepted",
    "unknown",
    "faults",
    "struck work",
    "lost",
    "stranded",
    "dup / bound",
    "recovery",
    "resume",
    "outage",
    "took",
    "verdict",
)


def verdict(entry: Entry) -> str:
    """In one word."""
    if entry.skipped:
        return "skipped"
    return "RED" if entry.why_red else "ok"


def line(entry: Entry) -> tuple[str, ...]:
    """The cells of one entry."""
    share = f"{100 * entry.struck / entry.faults:.0f} %" if entry.faults else "-"
    return (
        entry.row,
        entry.server,
        f"{entry.accepted:,}",
        f"{entry.unknown:,}",
        f"{entry.faults:,}",
        share,
        f"{entry.lost:,}",
        f"{entry.stranded:,}",
        f"{entry.duplicates:,} / {entry.bound:,}",
        f"{entry.recovery:.2f} s" if entry.recovery else "-",
        f"{entry.resume:.2f} s" if entry.resume else "-",
        f"{entry.outage:.2f} s" if entry.outage else "-",
        f"{entry.seconds:.0f} s",
        verdict(entry),
    )


def kept(command: str, entries: Iterable[Entry]) -> bytes:
    """The ledger as JSON."""
    return msgspec.json.format(msgspec.json.encode(Ledger(command, list(entries))), indent=1) + b"\n"


def table(entries: Iterable[Entry]) -> str:
    """All entries under one head, and below it what is wrong."""
    entries = list(entries)
    rows = [HEAD, *map(line, entries)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for entry in entries:
        reasons = [f"skipped: {entry.skipped}"] if entry.skipped else entry.why_red
        lines += [f"{entry.row} {entry.server}: {reason}" for reason in reasons]
    red, skipped = sum(bool(entry.why_red) for entry in entries), sum(bool(entry.skipped) for entry in entries)
    played = f"{len(entries)} rows, {red} red" + (f", {skipped} skipped" if skipped else "")
    faults, lost = sum(entry.faults for entry in entries), sum(entry.lost for entry in entries)
    lines.append(f"{played} · {faults:,} faults, {lost:,} jobs lost of {sum(entry.accepted for entry in entries):,} accepted")
    return "\n".join(lines)
