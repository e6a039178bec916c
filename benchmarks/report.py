"""A run as people read it: what it was measured on, the targets, tables of medians, and a plot of the drains."""

import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from html import escape
from pathlib import Path

import msgspec

from benchmarks.figures import Figure, Key, Spread, spreads
from benchmarks.targets import TARGETS, Of
from chute.release import VERSION
from servers import Kind, binary

BAR, LEFT, RIGHT = 22, 190, 110
"""Pixels of a line of the plot, and beside its bars."""


class Run(msgspec.Struct):
    """All that one run measured, and on what."""

    machine: dict[str, str]
    figures: list[Figure]

    @property
    def servers(self) -> list[str]:
        """The kinds of servers, as they came."""
        return list(dict.fromkeys(figure.server for figure in self.figures))


def machine(versions: Iterable[str]) -> dict[str, str]:
    """What it is measured on. `versions`: of what takes part besides."""
    model = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    return {
        "processor": f"{os.cpu_count()} cores, {model}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "chute": VERSION,
        "load before": f"{os.getloadavg()[0]:.2f}",
        "besides": "; ".join(versions),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def text(run: Run) -> str:
    """The whole of it in Markdown."""
    scenarios = list(dict.fromkeys(figure.scenario for figure in run.figures))
    return (
        "# What was measured\n\n" + "\n\n".join(f"## {name}\n\n{part(run, [name])}" for name in ("machine", "targets", *scenarios)) + "\n"
    )


def part(run: Run, names: list[str]) -> str:
    """The tables of some scenarios; `targets` and `machine` are two parts more."""
    found = spreads(run.figures)
    tables = list[str]()
    for name in names:
        if name == "machine":
            lines = [f"* {what}: {value}" for what, value in run.machine.items() if value]
        elif name == "targets":
            lines = _targets(run, found)
        else:
            lines = _table({key: spread for key, spread in found.items() if key.scenario == name})
        title = [f"**{name}**", ""] if len(names) > 1 else []
        tables.append("\n".join(title + lines))
    return "\n\n".join(tables)


def _targets(run: Run, found: dict[Key, Spread]) -> list[str]:
    lines = [f"| | wanted | {' | '.join(run.servers)} |", f"| --- | --- |{' --- |' * len(run.servers)}"]
    for target in TARGETS:
        cells = list[str]()
        for server in run.servers:
            value = target.value(Of(found, server))
            cells.append("-" if value is None else f"{_number(value)}{'' if target.met(value) else ' **missed**'}")
        if set(cells) != {"-"}:
            lines.append(f"| {target.what} | {target.wanted} | {' | '.join(cells)} |")
    return lines


def _table(found: dict[Key, Spread]) -> list[str]:
    """A line for each system, a column for each quantity: the median, and the least and the most of its rounds."""
    quantities = list(dict.fromkeys(key.quantity for key in found))
    lines = [f"| server | system | {' | '.join(quantities)} |", f"| --- | --- |{' --- |' * len(quantities)}"]
    cells: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for key, spread in found.items():
        cells[key.server, key.system][key.quantity] = _cell(spread)
    for (server, system), row in cells.items():
        lines.append(f"| {server} | {system} | {' | '.join(row.get(quantity, '') for quantity in quantities)} |")
    return lines


def _cell(spread: Spread) -> str:
    if spread.rounds == 1:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.least)} to {_number(spread.most)})"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def plot(run: Run) -> str:
    """The drains of all systems as bars, quickest first: an SVG that is legible on light and on dark."""
    found = spreads(run.figures)
    rates = {
        key.system: spread
        for key, spread in found.items()
        if key.quantity == "jobs/s" and key.server == run.servers[0] and key.scenario in {"drain", "peers"}
    }
    ordered = sorted(rates.items(), key=lambda each: -each[1].median)
    width, height = 760, BAR * len(ordered) + 34
    most = max(spread.median for spread in rates.values())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" rx="6" fill="#fff"/>',
        f'<text x="12" y="20" fill="#333">jobs a second from one worker process, results stored ({escape(run.servers[0])})</text>',
    ]
    for place, (system, spread) in enumerate(ordered):
        y = 30 + BAR * place
        long = max(1.0, (width - LEFT - RIGHT) * spread.median / most)
        colour = "#0072b2" if system == "chute" else "#bbb"
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end" fill="#333">{escape(system)}</text>',
            f'<rect x="{LEFT}" y="{y + 3}" width="{long:.1f}" height="{BAR - 6}" fill="{colour}"/>',
            f'<text x="{LEFT + long + 6:.1f}" y="{y + 15}" fill="#333">{spread.median:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def server_versions(kinds: Iterable[Kind]) -> list[str]:
    """Of the servers that take part."""
    said = list[str]()
    for kind in kinds:
        program = binary(kind)
        words = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout.split()
        said.append(f"{kind} {next(word for word in words if word.startswith('v='))[2:]}")
    return said
