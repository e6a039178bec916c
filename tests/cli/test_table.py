"""Tables for people: words to the left, figures to the right, nothing cut."""

import pytest

from chute.cli.table import duration, show_table

ROWS = [("a", "word", "1"), ("a-longer-name", "w", "1,000")]


def test_words_stand_left_and_figures_right(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_table(("name", "second", "n"), ROWS, left=2)
    assert capsys.readouterr().out.splitlines() == [
        "name           second      n",
        "a              word        1",
        "a-longer-name  w       1,000",
    ]


def test_where_there_is_no_room_it_is_told_in_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    show_table(("name", "second", "n"), ROWS, left=2)
    assert capsys.readouterr().out.splitlines() == ["a", "  second word, n 1", "a-longer-name", "  second w, n 1,000"]


def test_what_would_steer_the_terminal_is_a_dot(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name", "n"), [("\x1b[31mred\nline\u202e é", "1")])
    assert capsys.readouterr().out.splitlines()[1] == "·[31mred·line· é  1"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (119.94, "119.9 s"),
        (120, "2.0 min"),
        (7199, "120.0 min"),
        (7200, "2.0 h"),
        (172_800, "2.0 d"),
        (1e9, "11,574.1 d"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
