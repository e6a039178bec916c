"""Draws docs/images/panels.svg: plays a load on real workers for a minute and a half, asks a real Prometheus what the panels of the dashboards ask, and plots
the answers. `python tools/panels.py`, on Linux with prometheus in PATH; `python tools/panels.py FILE.svg` draws elsewhere.
"""

import itertools
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))  # the load is played on the stage of the tests

from deploy.boards import BOARDS, filled  # noqa: E402
from deploy.prometheus import Series  # noqa: E402
from deploy.stage import Stage, stage  # noqa: E402
from servers import until  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "panels.svg"
PANELS = (
    ("queue", "Jobs by state"), ("queue", "Oldest job"), ("queue", "Wait"), ("queue", "Outcomes"), ("queue", "Failure ratio"), ("queue", "Duration"),
    ("queue", "Finished by task"), ("queue", "Slots in use"), ("queue", "Duration by task, p90"), ("queue", "Claimed and ended"),
    ("overview", "Workers by queue"), ("overview", "Event loop lag"), ("queue", "Dead letters"), ("queue", "Taken over and dropped"),
    ("overview", "Server memory"),
)  # fmt: skip
PHASES = (
    ("A", 15, 30, "more jobs come than eight slots can do"),
    ("B", 45, 58, "a task fails every time"),
    ("C", 58, 68, "an async def blocks its event loop"),
    ("D", 68, 76, "a process is killed"),
)
"""What is done besides a steady load, from which second to which."""
END = 85
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
WIDTH, HEIGHT, COLUMNS = 380, 215, 3
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 46, 42
"""Of one panel; the plot is what is left."""
HEAD = 64


def play(played: Stage) -> float:
    """The load; when it began."""
    played.push("jobs", "warm", 8, seconds=0.02)
    until(lambda: bool(played.prometheus.query('chute_jobs_finished_total{queue="jobs"}')), 20)
    begin, strokes = time.time(), iter([(58, _block), (61, _block), (64, _block), (68, _kill)])
    at, stroke = next(strokes)
    for turn in range(5 * END):
        time.sleep(max(0.0, begin + turn / 5 - time.time()))
        _push(played, turn, turn / 5)
        if turn / 5 >= at:
            stroke(played)
            at, stroke = next(strokes, (END + 1, _kill))
    return begin


def _push(played: Stage, turn: int, second: float) -> None:
    """What comes in a fifth of a second."""
    played.push("jobs", f"answer{turn}-", 8 if 15 <= second < 30 else 2, seconds=0.15 + 0.02 * (turn * 7 % 11))
    if turn % 3 == 0:
        played.push("jobs", f"flaky{turn}-", 1, seconds=0.05, **{"@task": "flaky"})
    if 45 <= second < 58 and turn % 4 == 0:
        played.push("jobs", f"hopeless{turn}-", 2, seconds=0.3, **{"@task": "hopeless"})


def _block(played: Stage) -> None:
    played.push("jobs", f"block{time.time():.0f}-", 1, seconds=1.3, **{"@task": "block"})


def _kill(played: Stage) -> None:
    os.kill(played.fleet[0].children()[0], signal.SIGKILL)


def answers(played: Stage, begin: float) -> Iterator[tuple[dict[str, Any], list[tuple[str, Series]]]]:
    """Each panel, with its series by their names."""
    for board, title in PANELS:
        panel = next(each for each in BOARDS[board]["panels"] if each["title"] == title and each["type"] == "timeseries")
        found = list[tuple[str, Series]]()
        for target in panel["targets"]:
            expression = filled(target["expr"], "jobs", "5s")
            for number, series in enumerate(played.prometheus.over(expression, begin, begin + END), 1):
                labels = {**series.labels, **({"instance": f"worker {number}"} if "instance" in series.labels else {})}
                name = target["legendFormat"].replace("{{", "{").replace("}}", "}").format(**labels)
                found.append((name, Series(labels, [(at - begin, value) for at, value in series.points])))
        yield panel, found


def picture(panels: Sequence[tuple[dict[str, Any], list[tuple[str, Series]]]]) -> str:
    """All of them, and above them what was played."""
    width, height = COLUMNS * WIDTH + 20, math.ceil(len(panels) / COLUMNS) * HEIGHT + HEAD + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#f4f5f7"/>',
        '<text x="16" y="26" font-size="16" font-weight="600">One queue on two processes of four slots each, for a minute and a half</text>',
        f'<text x="16" y="46">{escape(" · ".join(f"{letter}: {what}" for letter, *_, what in PHASES))}</text>',
    ]
    for number, (panel, series) in enumerate(panels):
        x, y = 10 + number % COLUMNS * WIDTH, HEAD + number // COLUMNS * HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_panel(panel, series), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: dict[str, Any], series: list[tuple[str, Series]]) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    lines = [_by_second(each) for _, each in series]
    if stacked:
        lines = _piled(lines)
    step = _step(max((value for line in lines for value in line.values()), default=0), defaults["unit"])
    top = step * max(1, math.ceil(max((value for line in lines for value in line.values()), default=0) / step - 1e-9))
    yield f'<rect x="4" y="4" width="{WIDTH - 8}" height="{HEIGHT - 8}" rx="4" fill="#fff" stroke="#dcdfe4"/>'
    yield f'<text x="14" y="24" font-weight="600" font-size="12">{escape(panel["title"])}</text>'
    yield from _phases()
    for tick in range(round(top / step) + 1):
        y = _y(tick * step, top)
        yield f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#e6e8eb"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end" fill="#666">{escape(_said(tick * step, defaults["unit"]))}</text>'
    for second in range(0, END, 20):
        yield f'<text x="{_x(second)}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle" fill="#666">{second} s</text>'
    for limit in defaults["thresholds"]["steps"][1:]:
        if limit["value"] <= top and limit["color"] != "green":
            colour = {"yellow": "#c99700", "red": "#d62728"}[limit["color"]]
            yield f'<path d="M{LEFT} {_y(limit["value"], top)}H{WIDTH - RIGHT}" stroke="{colour}" stroke-dasharray="6 4"/>'
    for line, colour, below in reversed([*zip(lines, itertools.cycle(COLOURS), [{}, *lines], strict=False)]):
        yield _area(line, below, top, colour) if stacked else _line(line, top, colour)
    yield from _legend([name for name, _ in series])


def _phases() -> Iterator[str]:
    """Bands behind the plot."""
    for letter, start, end, _ in PHASES:
        width, height = _x(end) - _x(start) - 1, HEIGHT - TOP - BOTTOM + 12
        yield f'<rect x="{_x(start)}" y="{TOP - 12}" width="{width:.1f}" height="{height}" fill="#eef0f4"/>'
        yield f'<text x="{_x(start) + width / 2:.1f}" y="{TOP - 3}" text-anchor="middle" font-size="9" fill="#777">{letter}</text>'


def _legend(names: list[str]) -> Iterator[str]:
    x = 14.0
    for name, colour in zip(names, itertools.cycle(COLOURS), strict=False):
        yield f'<rect x="{x:.0f}" y="{HEIGHT - 20}" width="10" height="4" fill="{colour}"/>'
        yield f'<text x="{x + 14:.0f}" y="{HEIGHT - 14}">{escape(name)}</text>'
        x += 26 + 6.2 * len(name)


def _line(line: dict[int, float], top: float, colour: str) -> str:
    """With a gap where nothing is known."""
    path = "".join(f"{'L' if second - 1 in line else 'M'}{_x(second)} {_y(value, top)}" for second, value in sorted(line.items()))
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>'


def _area(line: dict[int, float], below: dict[int, float], top: float, colour: str) -> str:
    seconds = sorted(line)
    upper = [f"{_x(second)} {_y(line[second], top)}" for second in seconds]
    lower = [f"{_x(second)} {_y(below.get(second, 0), top)}" for second in reversed(seconds)]
    return f'<path d="M{"L".join([*upper, *lower])}Z" fill="{colour}" fill-opacity=".55" stroke="{colour}" stroke-width=".8"/>'


def _by_second(series: Series) -> dict[int, float]:
    return {round(at): value for at, value in series.points if not math.isnan(value)}


def _piled(lines: list[dict[int, float]]) -> list[dict[int, float]]:
    """Each upon those before it."""
    piled, found = dict.fromkeys(range(END + 1), 0.0), []
    for line in lines:
        piled = {second: value + line.get(second, 0) for second, value in piled.items()}
        found.append(piled)
    return found


def _x(second: float) -> float:
    return round(LEFT + second / END * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - min(1, value / top) * (HEIGHT - TOP - BOTTOM), 1)


def _step(highest: float, unit: str) -> float:
    """A round number of which two to five reach the highest value."""
    base = 1024.0**2 if unit == "bytes" else 1.0
    least = max(highest / base, 1 if unit == "short" else 1e-3) / 4
    power = 10 ** math.floor(math.log10(least))
    step: float = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= least - 1e-12)
    return base * (max(1, math.ceil(step)) if unit == "short" else step)


UNITS: dict[str, Callable[[float], str]] = {
    "s": lambda value: f"{value:g} s" if value >= 1 or not value else f"{value * 1000:g} ms",
    "percentunit": lambda value: f"{value * 100:g} %",
    "bytes": lambda value: f"{value / 1024**2:g} MiB",
    "suffix: jobs/s": lambda value: f"{value:g} /s",
}


def _said(value: float, unit: str) -> str:
    return UNITS.get(unit, lambda each: f"{each:g}")(round(value, 9))


def main() -> None:
    """Plays and draws."""
    with stage(("jobs", ("--processes", "2", "--concurrency", "4"))) as played:
        begin = play(played)
        drawn = picture([*answers(played, begin)])
    path = Path(sys.argv[1]) if sys.argv[1:] else PICTURE
    path.parent.mkdir(exist_ok=True)
    path.write_text(drawn)
    print(f"{path}: {len(PANELS)} panels, {len(drawn) // 1024} KiB")


if __name__ == "__main__":
    main()
