"""README's first page as a new user plays it: its files, its commands in their order, its output (times and places masked)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import until
from shell import Shell, transcript

README = Path(__file__).resolve().parent.parent / "README.md"
WORK = "chute work app:jobs"


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


CONSOLE = [transcript(block) for block in blocks("console")]


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """A user with the worker of README running."""
    with Shell() as shell:
        (shell.folder / "app.py").write_text(blocks("python")[0])
        (_, shown), *_ = next(block for block in CONSOLE if block[0][0] == WORK)
        shell.same(shell.start(WORK, "waiting for jobs"), shown)
        yield shell
        shell.stop()


def test_the_first_page_is_as_it_says(shell: Shell) -> None:
    played = [block for block in CONSOLE if block[0][0].startswith(("chute push", "redis-cli"))]
    assert len(played) == 3
    for command, output in (pair for block in played for pair in block):
        if command.startswith("chute stats"):
            assert until(lambda: '"scheduled":0' in shell.run("chute stats --json"), 20)
        if "HGETALL" in command:  # a person is slower than the worker
            shell.run("chute result job_124 --wait 5")
        shell.play(command, output)


def test_the_python_of_the_first_page_runs(shell: Shell) -> None:
    _, caller, decorated = blocks("python")
    (shell.folder / "caller.py").write_text(caller)
    (shell.folder / "decorated.py").write_text(f"import chute\nfrom app import jobs\n\n{decorated}\nprint(sorted(jobs.tasks))\n")
    printed = shell.run("python caller.py").splitlines()
    assert printed[0] == "{'answer': 'You asked: What is RAG?'}"
    assert re.fullmatch(r"pending \d+", printed[1])
    assert shell.run("python decorated.py").strip() == "['answer', 'fetch']"


def test_the_first_page_is_short_and_names_both_commands_at_once() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert "make demo" in "\n".join(lines[:16])
    assert "make test" in "\n".join(lines[:16])


def test_what_the_first_page_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert target.startswith("https://") or (README.parent / target).exists(), target
