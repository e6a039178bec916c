"""README's first page as a user of the installed package plays it: its files, its commands in their order, its output."""

import re
from collections.abc import Iterator

import pytest

from first_page import README, first_job, play_console, play_python
from shell import Shell


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """A user with the worker of README running."""
    with Shell() as shell, first_job(shell):
        yield shell


def test_the_first_page_is_as_it_says(shell: Shell) -> None:
    play_console(shell)


def test_the_python_of_the_first_page_runs(shell: Shell) -> None:
    play_python(shell)


def test_the_first_page_is_short_and_names_both_commands_at_once() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert "make demo" in "\n".join(lines[:16])
    assert "make test" in "\n".join(lines[:16])


def test_what_the_first_page_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert target.startswith("https://") or (README.parent / target).exists(), target
