"""place.py: the line to look at is the user's own, however deep in libraries the error was raised."""

import ast
import importlib
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import chute
from chute import place

HERE = Path(__file__)


def raised(act: Callable[[], object]) -> BaseException:
    """What the act raises."""
    try:
        act()  # any
    except Exception as error:
        return error
    raise AssertionError


def line_of(text: str) -> int:
    """The number of the line of this file that ends with a mark."""
    return next(number for number, line in enumerate(HERE.read_text().splitlines(), 1) if line.endswith(f"# {text}"))


def own() -> None:
    raise KeyError("own")  # raised here


def in_the_library() -> None:
    json.loads("{")  # the library is called here


def in_ours() -> None:
    chute.Queue("no name")  # ours is called here


def nested() -> None:
    def inner() -> None:
        own()

    inner()


@pytest.mark.parametrize(
    ("act", "mark"),
    [(own, "raised here"), (in_the_library, "the library is called here"), (in_ours, "ours is called here"), (nested, "raised here")],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_the_innermost_line_of_the_user(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], mark: str) -> None:
    monkeypatch.chdir(HERE.parent)
    assert place.of(raised(act)) == f"{HERE.name}:{line_of(mark)}"
    monkeypatch.chdir("/")
    assert place.of(raised(act)) == f"{HERE}:{line_of(mark)}"


def test_also_of_an_error_that_a_thread_brought() -> None:
    errors: list[BaseException] = []
    thread = threading.Thread(target=lambda: errors.append(raised(in_the_library)))
    thread.start()
    thread.join()
    assert place.of(errors[0]).endswith(f"{HERE.name}:{line_of('the library is called here')}")


def test_an_installed_package_is_not_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "venv" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "installed_here.py").write_text("def act():\n    1 / 0\n")
    (tmp_path / "users_here.py").write_text("import installed_here\n\ndef act():\n    installed_here.act()\n")
    monkeypatch.setattr(sys, "path", [str(packages), str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    assert place.of(raised(importlib.import_module("users_here").act)) == "users_here.py:4"
    alone = place.of(raised(importlib.import_module("installed_here").act))
    assert alone.endswith(f"{HERE.name}:{line_of('any')}"), "who called it"


def test_a_file_that_is_no_python_is_the_place_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crooked_here.py").write_text("\ndef (\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    assert place.of(raised(lambda: importlib.import_module("crooked_here"))) == "crooked_here.py:2"
    assert place.of(raised(lambda: ast.literal_eval("("))).startswith(f"{HERE}:")


def test_nothing_is_known_of_what_was_never_raised() -> None:
    assert place.of(ValueError()) == ""
