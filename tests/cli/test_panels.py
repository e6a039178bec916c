"""The screen of `chute top`: everything is there, and it fits."""

import io

import pytest
from rich.console import Console

from chute.cli.panels import draw, sparkline
from chute.cli.steering import View
from chute.snapshot import Snapshot
from cli.made import snapshot, watched

MANY = snapshot(*[watched(f"queue-{n}", dead=n, members=3, failures=4) for n in range(30)])


def screen(now: Snapshot, view: View, width: int, height: int) -> list[str]:
    """The lines of a terminal of that size."""
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(draw(now, view, "server here", width, height), height=height)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def test_everything_at_eighty_columns() -> None:
    now = snapshot(watched("jobs", dead=2, failures=2), watched("mail", paused=True, members=0))
    lines = screen(now, View("mail", message="queue mail is paused"), 80, 24)
    assert lines[0] == "chute top · 22:13:20 UTC · server here"
    assert lines[1].split() == ["queue", "depth", "running", "dead", "rate", "oldest", "last", "20", "min"]
    assert lines[2].split() == ["jobs", "12,345", "3", "2", "17.2/s", "4.5", "s", "▁▁▂▂▃▃▃▄▄▅▅▆▆▆▇▇███"]
    assert lines[3].startswith("mail paused ")
    assert lines[5].split() == ["worker", "queue", "host", "age", "held", "runs"]
    assert lines[6].startswith("00000000  jobs   a-host:4711  60.0 min   3/8  answer job-0 0.0 s, answer job-1")
    assert lines[8].split() == ["failed", "queue", "reason", "job", "error"]
    assert lines[9] == "0.0 s ago  jobs   failed  answer job-x  ValueError: x"
    assert lines[-2:] == ["queue mail is paused", "↑↓ select · p pause · r resume · R requeue dead letters · q quit"]


def test_without_a_message_the_line_is_empty() -> None:
    lines = screen(snapshot(watched("jobs")), View("jobs"), 80, 24)
    assert lines[-2] == ""


@pytest.mark.parametrize("width", [60, 76, 80, 132])
@pytest.mark.parametrize("height", [8, 10, 24, 60])
def test_it_fits(width: int, height: int) -> None:
    lines = screen(MANY, View("queue-20", message="m" * 200), width, height)
    assert len(lines) == height
    assert all(len(line) <= width for line in lines)
    assert "q quit" in lines[-1]
    assert any(line.startswith("queue-20 ") for line in lines), "the selected queue is always there"


def test_sixty_columns_have_the_figures() -> None:
    lines = screen(snapshot(watched("jobs", dead=2, failures=2)), View("jobs"), 60, 24)
    assert lines[1].split() == ["queue", "depth", "running", "dead", "rate", "oldest"]
    assert lines[2].split() == ["jobs", "12,345", "3", "2", "17.2/s", "4.5", "s"]


def test_the_workers_of_the_selected_queue_come_first() -> None:
    lines = screen(MANY, View("queue-20"), 80, 24)
    place = next(place for place, line in enumerate(lines) if line.startswith("worker (4 of 90)"))
    assert [line.split()[1] for line in lines[place + 1 : place + 4]] == ["queue-20"] * 3


def test_no_queue_at_all() -> None:
    assert "no worker has ever worked a queue here" in "\n".join(screen(snapshot(), View(), 80, 24))


def test_words_from_elsewhere_steer_nothing() -> None:
    now = snapshot(watched("jobs", dead=1, failures=1, error="\x1b[2J[bold]x[/bold]\u202e"))
    text = "\n".join(screen(now, View("jobs", message="\x1b]0;title\x07"), 80, 24))
    assert "·[2J[bold]x[/bold]·" in text
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([0, 0], "  "), ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"), ([1, 1_000_000, 0], "▁█ "), ([500_000, 1_000_000], "▄█")],
)
def test_bars(values: list[int], bars: str) -> None:
    assert sparkline(values) == bars
