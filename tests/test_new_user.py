"""The first five minutes: a fresh clone, or the wheel in an empty environment, and README's commands in their order until the first result.

Nothing of the developer's own `.venv` takes part: not its packages, not its programs. What is cloned is the last commit, and README is read
from the working tree, so the two must agree before they are committed. Shows how long it took: `pytest -rP tests/test_new_user.py`.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from first_page import README, blocks, first_job, play_console, play_python, spans
from shell import BIN, Shell, transcript

ROOT = README.parent
pytestmark = [
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone: no .git to clone from"),
    pytest.mark.timeout(300),  # packages may have to be fetched
]


@pytest.fixture
def user() -> Iterator[Shell]:
    """Somebody on this machine with its python3, an empty home, and a clone in it."""
    mine = [str(Path(sys.base_prefix) / "bin"), *(place for place in os.environ["PATH"].split(":") if place != str(BIN))]
    with Shell(":".join(mine)) as user:
        user.ended.append(("", time.monotonic()))
        subprocess.run(["git", "clone", "-q", ROOT, user.home / "chute"], check=True)  # as the developer, whose git may read it
        yield user


def expect(user: Shell, command: str, cwd: Path) -> str:
    """What a command prints that must go well. Where it does not and no package index can be reached, the test says so and ends."""
    done = user.finish(command, cwd=cwd)
    printed = done.stdout.decode()
    if done.returncode and not index_answers():
        pytest.skip(f"no package index can be reached, and {command!r} needs one")
    assert done.returncode == 0, f"{command}: {printed}"
    return printed


def index_answers() -> bool:
    """Whether one package can be looked up at the index, without the cache."""
    words = [str(BIN / "uv"), "pip", "compile", "-q", "--no-cache", "--no-deps", "-"]
    return subprocess.run(words, input=b"click\n", capture_output=True, timeout=120, check=False).returncode == 0


def tell(user: Shell, *commands: str) -> None:
    """Prints the seconds from the beginning to the end of the first of each of these commands."""
    (_, began), *ended = user.ended
    for word in commands:
        print(f"{next(at for command, at in ended if command.startswith(word)) - began:5.1f} s to the end of: {word}")


def test_a_fresh_clone_shows_the_demo_and_runs_the_first_job(user: Shell) -> None:
    clone = user.home / "chute"
    named = spans()
    activate = ". .venv/bin/activate"
    assert named.index("make setup") < named.index(activate)

    (demo, _), *_ = transcript(blocks("console")[0])
    shown = expect(user, demo, clone)
    assert re.search(r"^ jobs +[1-9],\d{3}   completed [1-9],\d{3} · failed 0$", shown, re.MULTILINE), shown
    expect(user, "make setup", clone)
    assert expect(user, "git status --porcelain", clone) == ""
    assert not (user.home / ".local").exists(), "the demo leaves something behind"

    user.first = f"{activate.replace('.venv', str(clone / '.venv'))} && "
    with first_job(user):
        play_console(user)
        play_python(user)
    tell(user, demo, "chute result")


@pytest.mark.skipif(importlib.util.find_spec("ensurepip") is None, reason="python3 makes no environment with pip: it has no ensurepip")
def test_the_wheel_in_an_empty_environment_runs_the_first_job(user: Shell) -> None:
    expect(user, "python3 -m venv env", user.home)
    user.first = f". {user.home}/env/bin/activate && "
    expect(user, "pip wheel -q --no-deps --wheel-dir dist ./chute", user.home)
    shutil.rmtree(user.home / "chute")
    [wheel] = (user.home / "dist").iterdir()

    install = next(span for span in spans() if span.startswith("pip install"))
    user.ended[:] = [("", time.monotonic())]
    expect(user, re.sub(r"'(.*)'", rf"'\1 @ file://{wheel}'", install), user.home)
    with first_job(user):
        play_console(user)
        play_python(user)
    tell(user, install.split("'")[0], "chute result")
