"""The types of the public surface, under two checkers: what is right passes, and what is wrong is an error on exactly its line."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORRECT, WRONG = ROOT / "tests" / "typing" / "correct.py", ROOT / "tests" / "typing" / "wrong.py"
Found = dict[Path, dict[int, str]]


def mypy() -> Found:
    """The errors that mypy finds, by file and line."""
    words = ["--strict", "--config-file=", "--no-error-summary", "--no-pretty", "--show-absolute-path", str(CORRECT), str(WRONG)]
    ran = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found: Found = {CORRECT: {}, WRONG: {}}
    for path, line, message in re.findall(r"^(.+?):(\d+): error: (.*)$", ran.stdout, re.MULTILINE):
        found[Path(path)][int(line)] = message
    return found


def pyright() -> Found:
    """The errors that pyright finds with the settings of the project, by file and line."""
    program = Path(sys.executable).with_name("pyright")
    ran = subprocess.run([str(program), "--outputjson", str(CORRECT), str(WRONG)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found: Found = {CORRECT: {}, WRONG: {}}
    for each in json.loads(ran.stdout)["generalDiagnostics"]:
        found[Path(each["file"])][each["range"]["start"]["line"] + 1] = each["message"]
    return found


def marked() -> set[int]:
    """The lines that must be errors."""
    return {number for number, line in enumerate(WRONG.read_text().splitlines(), 1) if "# error" in line}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_right_calls_pass_and_wrong_ones_are_errors_where_they_stand(checker: Callable[[], Found]) -> None:
    found = checker()
    assert found[CORRECT] == {}
    assert len(marked()) >= 13
    missed, unmarked = marked() - found[WRONG].keys(), {line: found[WRONG][line] for line in found[WRONG].keys() - marked()}
    assert (missed, unmarked) == (set(), {})
