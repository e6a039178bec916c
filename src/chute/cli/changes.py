"""Which source file changed, for `chute work --reload`: looks at the times of the .py files below the current directory."""

import os
from collections.abc import Iterator
from pathlib import Path

PASSED_OVER = {"__pycache__", "node_modules", "site-packages", "venv", "env"}


class Changes:
    """Files and their times, as they were when last looked at."""

    def __init__(self) -> None:
        self._root = Path.cwd()
        self._seen = dict(self._times())

    def look(self) -> str:
        """A file that was changed, added or removed since the last look; "" = none."""
        before, self._seen = self._seen, dict(self._times())
        changed = sorted(path for path in before.keys() | self._seen.keys() if before.get(path) != self._seen.get(path))
        return os.path.relpath(changed[0], self._root) if changed else ""

    def _times(self) -> Iterator[tuple[str, int]]:
        for folder, folders, files in os.walk(self._root):
            folders[:] = [name for name in folders if name not in PASSED_OVER and not name.startswith(".")]
            for name in files:
                if name.endswith(".py"):
                    path = os.path.join(folder, name)
                    try:
                        yield path, os.stat(path).st_mtime_ns
                    except OSError:
                        continue  # gone meanwhile
