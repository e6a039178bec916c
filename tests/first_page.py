"""README's first page, and a user who plays it: its commands in their order and what they print, with times and places masked."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from servers import until

README = Path(__file__).resolve().parent.parent / "README.md"
BIN = Path(sys.executable).parent
MASKS = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\d{13}-\d+"), "ENTRY"),
    (re.compile(r"\d+\.\d/s"), "RATE"),
    (re.compile(r"Valkey \d+\.\d+\.\d+"), "Valkey VERSION"),
    (re.compile(r" +"), " "),
]
NOT_THE_USERS = ("CHUTE", "MAKE", "MFLAGS", "PYTEST", "PYTHON", "REDIS", "VIRTUAL_ENV", "XDG")
"""What the variables of whoever runs the tests begin with that a new user does not have."""

SHARED = {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config"}
"""Where the package index is named and its caches are; the places are those below the home of whoever runs the tests."""


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def spans() -> list[str]:
    """The code within the sentences, in its order."""
    prose = re.sub(r"^```.*?^```", "", README.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def transcript(block: str) -> list[tuple[str, str]]:
    """(command, output) of a console block."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output.strip()) for command, _, output in (part.partition("\n") for part in parts)]


@dataclass
class Shell:
    """A new user's home, and a folder in it where everything happens. `first` is typed before each command, as in a new terminal."""

    home: Path
    path: str
    first: str = ""
    ended: list[tuple[str, float]] = field(default_factory=list)
    """Each command with the moment of its end."""

    @property
    def folder(self) -> Path:
        """Where the user works."""
        return self.home / "x"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of whoever runs the tests but the package index and its caches."""
        given = {name: value for name, value in os.environ.items() if not name.startswith(NOT_THE_USERS)}
        shared = {name: os.environ.get(name) or str(Path.home() / place) for name, place in SHARED.items()}
        return given | shared | {"HOME": str(self.home), "PATH": self.path}

    def start(self, command: str, err: Path) -> subprocess.Popen[bytes]:
        """A program that goes on beside the others; a signal reaches it as Ctrl-C would."""
        with err.open("wb") as stream:
            return subprocess.Popen(["bash", "-c", f"{self.first}exec {command}"], cwd=self.folder, env=self.environment, stderr=stream)

    def run(self, command: str, *, cwd: Path | None = None) -> str:
        """What the command prints, both streams as on a terminal."""
        return self.finish(command, cwd=cwd).stdout.decode()

    def finish(self, command: str, *, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        """The command, ended, however it did."""
        done = subprocess.run(
            ["bash", "-c", f"{self.first}{command}"],
            cwd=cwd or self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=240,
            check=False,
        )
        self.ended.append((command, time.monotonic()))
        return done

    def masked(self, text: str) -> str:
        """The text as README could have printed it."""
        text = re.sub(r"^chute: a server also answers at localhost:6379.*\n", "", text, flags=re.MULTILINE)
        text = text.replace(str(self.folder), "/home/you/x").replace(str(self.home), "/home/you").strip()
        for pattern, mask in MASKS:
            text = pattern.sub(mask, text)
        return text


@contextlib.contextmanager
def first_job(shell: Shell) -> Generator[None]:
    """The app of the first page in the user's folder with its worker running, which has said what README says that it does."""
    shell.folder.mkdir()
    (shell.folder / "app.py").write_text(blocks("python")[0])
    command, said = next(pair for block in blocks("console") for pair in transcript(block) if pair[0].startswith("chute work"))
    err = shell.folder / "worker.err"
    worker = shell.start(command, err)
    try:
        assert until(lambda: "waiting for jobs" in err.read_text() or worker.poll() is not None, 30), err.read_text()
        assert shell.masked(err.read_text()) == shell.masked(said)
        yield
        worker.send_signal(signal.SIGINT)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.wait()
        shell.run("chute server stop")


def play_console(shell: Shell) -> None:
    """Everything that the second terminal is told to type prints what README says."""
    played = [pairs for pairs in map(transcript, blocks("console")) if pairs[0][0].startswith(("chute push", "redis-cli"))]
    assert len(played) == 3
    for command, output in (pair for pairs in played for pair in pairs):
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


def play_python(shell: Shell) -> None:
    """The Python of the first page runs beside the worker, and prints what its comments say."""
    _, caller, decorated = blocks("python")
    (shell.folder / "caller.py").write_text(caller)
    (shell.folder / "decorated.py").write_text(f"import chute\nfrom app import jobs\n\n{decorated}\nprint(sorted(jobs.tasks))\n")
    printed = shell.run("python caller.py").splitlines()
    assert printed[0] == "{'answer': 'You asked: What is RAG?'}"
    assert re.fullmatch(r"pending \d+", printed[1])
    assert shell.run("python decorated.py").strip() == "['answer', 'fetch']"
