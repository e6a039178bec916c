"""README's first page as a user of the installed package plays it: its files, its commands in their order, its output."""

import os
import re
import shutil
from collections.abc import Iterator

import pytest

from first_page import BIN, README, Shell, first_job, play_console, play_python
from servers import short_directory


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """A user with the worker of README running."""
    shell = Shell(short_directory(), f"{BIN}:{os.environ['PATH']}")
    try:
        with first_job(shell):
            yield shell
    finally:
        shutil.rmtree(shell.home, ignore_errors=True)


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
