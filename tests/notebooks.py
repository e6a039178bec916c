"""A notebook's kernel for tests: the real one, in processes of its own, which is given cells and told to interrupt them.

Run as a program it is what stands between: it starts the kernel, runs a cell for each line of its input, prints what the cell shows and
then `.`, and passes a Ctrl-C of its own on as the interrupt of the kernel.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest

DIRECTORIES = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
END = "."


def keep_out_of_home(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Has Jupyter write nothing into the user's home, nor read anything there."""
    for name in DIRECTORIES:
        monkeypatch.setenv(name, str(directory / name))


class Notebook:
    """A notebook that is open in a directory. Ends with its `with` block."""

    def __init__(self, cwd: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd, env=environment, text=True
        )
        self.pid = int(self.run("import os\nprint(os.getpid())"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # also while a cell runs, or when the kernel was killed, which nobody is told of
        self._process.communicate(timeout=30)

    def run(self, cell: str) -> str:
        """What the cell shows, an error's name and message included."""
        self.begin(cell)
        return self.end()

    def begin(self, cell: str) -> None:
        """Runs a cell that may last; `end` waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(cell) + "\n")
        self._process.stdin.flush()

    def end(self) -> str:
        """What the cell has shown, when it has ended."""
        assert self._process.stdout is not None
        shown = ""
        while (line := self._process.stdout.readline().strip()) != END:
            assert line, f"the notebook has ended: {shown}"
            shown += json.loads(line)
        return shown.strip()

    def interrupt(self) -> None:
        """What the stop button does."""
        self._process.send_signal(signal.SIGINT)


def _serve() -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit())
    signal.signal(signal.SIGINT, lambda _signal, _frame: os.kill(manager.provisioner.pid, signal.SIGINT))

    def show(message: dict[str, Any]) -> None:
        content = message["content"]
        text = {"stream": content.get("text"), "error": f"{content.get('ename')}: {content.get('evalue')}"}.get(message["msg_type"])
        text = text or content.get("data", {}).get("text/plain")
        if text:
            print(json.dumps(text), flush=True)

    try:
        for line in sys.stdin:
            client.execute_interactive(json.loads(line), allow_stdin=False, output_hook=show)
            print(END, flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    _serve()
