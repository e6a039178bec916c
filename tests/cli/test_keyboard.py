"""Keys out of a real terminal, which is afterwards as it was."""

import contextlib
import os
import pty
import termios
from collections.abc import Iterator

import pytest

from chute.cli.keyboard import Keyboard, keys


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("", []),
        ("pR", ["p", "R"]),
        ("\x1b[A\x1bOB", ["up", "down"]),
        ("j\x1b[1;5Ck", ["j", "", "k"]),
        ("\x1b", ["escape"]),
        ("\x1b[15~q", ["", "q"]),
        ("é\n", ["é", "\n"]),
    ],
)
def test_names_of_keys(typed: str, names: list[str]) -> None:
    assert keys(typed) == names


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    for fd in (master, slave):
        os.close(fd)


def test_keys_come_at_once_and_unseen(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    with Keyboard(slave) as keyboard:
        assert keyboard.read(0) == []
        os.write(master, b"j\x1b[B")
        assert keyboard.read(5) == ["j", "down"]
        os.set_blocking(master, False)
        with pytest.raises(BlockingIOError):
            os.read(master, 10)  # nothing was echoed


def test_the_terminal_is_afterwards_as_it_was(terminal: tuple[int, int]) -> None:
    _, slave = terminal
    before = termios.tcgetattr(slave)
    with contextlib.suppress(RuntimeError), Keyboard(slave):
        assert termios.tcgetattr(slave) != before
        raise RuntimeError("inside")
    assert termios.tcgetattr(slave) == before


def test_a_terminal_that_has_gone_says_quit() -> None:
    master, slave = pty.openpty()
    with Keyboard(slave) as keyboard:
        os.close(master)
        assert keyboard.read(5) == ["q"]
    os.close(slave)
