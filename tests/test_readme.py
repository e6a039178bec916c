"""README's first page as a new user plays it: its files, its commands in their order, its output (times and places masked)."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers import short_directory, until

README = Path(__file__).resolve().parent.parent / "README.md"
BIN = Path(sys.executable).parent
MASKS = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\d{13}-\d+"), "ENTRY"),
    (re.compile(r"\d+\.\d/s"), "RATE"),
    (re.compile(r"Valkey \d+\.\d+\.\d+"), "Valkey VERSION"),
    (re.compile(r" +"), " "),
]


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def transcript(block: str) -> list[tuple[str, str]]:
    """(command, output) of a console block."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output.strip()) for command, _, output in (part.partition("\n") for part in parts)]


@dataclass
class Shell:
    """A new user's home, and a folder in it where everything happens."""

    home: Path

    @property
    def folder(self) -> Path:
        """Where the user works."""
        return self.home / "x"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of whoever runs the tests."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTE", "REDIS", "XDG"))}
        return kept | {"HOME": str(self.home), "PATH": f"{BIN}:{os.environ['PATH']}"}

    def run(self, command: str) -> str:
        """What the command prints, both streams as on a terminal."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return done.stdout.decode()

    def masked(self, text: str) -> str:
        """The text as README could have printed it."""
        text = re.sub(r"^chute: a server also answers at localhost:6379.*\n", "", text, flags=re.MULTILINE)
        text = text.replace(str(self.folder), "/home/you/x").replace(str(self.home), "/home/you").strip()
        for pattern, mask in MASKS:
            text = pattern.sub(mask, text)
        return text


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """A user with the worker of README running."""
    shell = Shell(short_directory())
    shell.folder.mkdir()
    (shell.folder / "app.py").write_text(blocks("python")[0])
    err = shell.folder / "worker.err"
    with err.open("wb") as stream:
        worker = subprocess.Popen([BIN / "chute", "work", "app:jobs"], cwd=shell.folder, env=shell.environment, stderr=stream)
    try:
        assert until(lambda: "waiting for jobs" in err.read_text(), 30), err.read_text()
        yield shell
        worker.send_signal(signal.SIGINT)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.wait()
        shell.run("chute server stop")
        shutil.rmtree(shell.home, ignore_errors=True)


def test_the_first_page_is_as_it_says(shell: Shell) -> None:
    console = [transcript(block) for block in blocks("console")]
    (_, said), *_ = next(block for block in console if block[0][0] == "chute work app:jobs")
    assert shell.masked((shell.folder / "worker.err").read_text()) == shell.masked(said)
    played = [block for block in console if block[0][0].startswith(("chute push", "redis-cli"))]
    assert len(played) == 3
    for command, output in (pair for block in played for pair in block):
        if command.startswith("redis-cli"):
            _play_redis_cli(shell, command, output)
            continue
        if command.startswith("chute stats"):
            assert until(lambda: '"scheduled":0' in shell.run("chute stats --json"), 20)
        assert shell.masked(shell.run(command)) == shell.masked(output), command


def _play_redis_cli(shell: Shell, command: str, output: str) -> None:
    """It numbers and quotes for a terminal only; and a person is slower than the worker."""
    if shutil.which("redis-cli"):
        wait = "chute result job_124 --wait 5 >/dev/null; " if "HGETALL" in command else ""
        plain = re.sub(r"^ *\d+\) \"|\"$|^\(integer\) ", "", output, flags=re.MULTILINE)
        assert shell.masked(shell.run(f"{wait}{command}")) == shell.masked(plain), command


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
