"""Every page does what it shows: each block of Python or console is run on a server of its own, or says why it is not."""

import re
from pathlib import Path

import pytest

from docs.pages import PAGES, ROOT, Block, blocks, play
from shell import Shell

ANY_PAGE = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


@ANY_PAGE
def test_a_page_does_what_it_shows(path: Path) -> None:
    played = [block for block in blocks(path.read_text()) if not block.reason and not block.example]
    if not played:
        return
    with Shell() as shell:
        for block in played:
            play(shell, block)
        shell.stop()


@ANY_PAGE
def test_every_block_is_seen(path: Path) -> None:
    fences = re.findall(r"^ *```(?:python|console)\b", path.read_text(), re.MULTILINE)
    assert len(fences) == len(blocks(path.read_text())), "a block is indented, or its fence says more than its language"


def test_what_is_not_run_says_why_or_is_an_example() -> None:
    every = {path.name: blocks(path.read_text()) for path in PAGES}
    reasons = [f"{name}: {block.reason}" for name, page in every.items() for block in page if block.reason]
    print(f"{sum(map(len, every.values()))} blocks, {len(reasons)} of them not run:", *reasons, sep="\n")
    for page in every.values():
        for block in page:
            if block.example:
                assert block.example.exists(), block.example
                assert block.example.relative_to(ROOT / "examples").as_posix() in (ROOT / "examples/README.md").read_text()
    assert len(reasons) <= 10


@pytest.mark.parametrize(
    "block",
    [
        Block("python", "print(1)  # 2\n", ""),
        Block("python", "print(1)\n", ""),
        Block("python", "print(1)  # 1\n1 / 0\n", ""),
        Block("console", "$ echo 1\n2\n", ""),
        Block("console", "$ echo 1\n", ""),
        Block("console", "$ printf '1\\n2\\n'\n1\n...\n3\n", ""),
    ],
    ids=lambda block: block.text,
)
def test_a_block_that_shows_something_else_fails(block: Block) -> None:
    with Shell() as shell, pytest.raises(AssertionError):
        play(shell, block)
