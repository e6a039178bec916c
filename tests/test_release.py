"""The version, also where there is none."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from chute.release import VERSION

SOURCE = Path(__file__).parents[1] / "src"
WITHOUT = """
import importlib.metadata


def version(name):
    raise importlib.metadata.PackageNotFoundError(name)


importlib.metadata.version = version
"""


def test_it_is_that_of_what_is_installed() -> None:
    assert version("chute") == VERSION


@pytest.mark.parametrize("words", ["import chute", "import sys; sys.argv[1:] = ['--version']; import chute.__main__"])
def test_a_checkout_that_is_only_on_the_path_works(words: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", WITHOUT + words], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
