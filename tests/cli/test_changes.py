"""Which source file changed."""

import os
from pathlib import Path

import pytest

from chute.cli.changes import Changes


def test_what_is_changed_added_or_removed_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    file = tmp_path / "shop" / "tasks.py"
    file.write_text("a = 1\n")
    changes = Changes()
    assert not changes.look()
    os.utime(file, ns=(1, 1))
    assert changes.look() == "shop/tasks.py"
    assert not changes.look()
    (tmp_path / "new.py").touch()
    assert changes.look() == "new.py"
    file.unlink()
    assert changes.look() == "shop/tasks.py"
    assert not changes.look()


@pytest.mark.parametrize("path", [".venv/lib/x.py", "venv/x.py", "node_modules/x.py", "a/__pycache__/x.py", ".git/x.py", "notes.txt"])
def test_what_is_no_source_of_the_user_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    changes = Changes()
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    assert not changes.look()
