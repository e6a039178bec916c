"""A new user at a shell: what documents show is played here as they would play it. Knows no page, and which of their words mean what."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from servers import short_directory, until

BIN = Path(sys.executable).parent
MASKS = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z"), "TIME"),
    (re.compile(r"^\d\d:\d\d:\d\d ", re.MULTILINE), "CLOCK "),
    (re.compile(r"\d{13}-\d+"), "ENTRY"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "WORKER"),
    (re.compile(r"\d+\.\d/s"), "RATE"),
    (re.compile(r"\b\d+\.\d+ ?s\b"), "SECONDS"),
    (re.compile(r"Valkey \d+\.\d+\.\d+"), "Valkey VERSION"),
    (re.compile(r" +"), " "),
]


def transcript(block: str) -> list[tuple[str, str]]:
    """(command, output) of a console block."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output.strip()) for command, _, output in (part.partition("\n") for part in parts)]


NOT_THE_USERS = ("CHUTE", "MAKE", "MFLAGS", "PYTEST", "PYTHON", "REDIS", "VIRTUAL_ENV", "XDG")
"""What the variables of whoever runs the tests begin with that a new user does not have."""

SHARED = {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config"}
"""Where the package index is named and its caches are; the places are those below the home of whoever runs the tests."""


@dataclass
class Shell:
    """A new user's home, a folder in it where everything happens, and at most one program that runs beside. Gone after a `with` block.

    `path` is where programs are found, `first` is typed before each command, as in a new terminal.
    """

    path: str = f"{BIN}:{os.environ['PATH']}"
    first: str = ""
    home: Path = field(default_factory=short_directory)
    beside: subprocess.Popen[bytes] | None = None
    ended: list[tuple[str, float]] = field(default_factory=list)
    """Each command with the moment of its end."""

    def __post_init__(self) -> None:
        self.folder.mkdir()

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        if self.beside:
            self.beside.kill()
            self.beside.wait()
        self.run("chute server stop")
        shutil.rmtree(self.home, ignore_errors=True)

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

    def run(self, command: str) -> str:
        """What the command prints, both streams as on a terminal."""
        return self.finish(command).stdout.decode()

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

    def start(self, command: str, last: str) -> str:
        """Starts a program that runs on, in place of the one before; what it has said once `last` is among that."""
        self.stop()
        said = self.folder.parent / "beside.out"
        with said.open("wb") as stream:
            words = ["bash", "-c", f"{self.first}exec {command}"]
            self.beside = subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=stream, stderr=stream)
        assert until(lambda: last in said.read_text(), 30), f"{command}: {said.read_text()}"
        return said.read_text()

    def stop(self) -> None:
        """Ctrl-C for the program that runs beside."""
        if self.beside:
            self.beside.send_signal(signal.SIGINT)
            assert self.beside.wait(30) == 0
            self.beside = None

    def masked(self, text: str) -> str:
        """The text as a document could have printed it."""
        text = re.sub(r"^chute: a server also answers at localhost:6379.*\n", "", text, flags=re.MULTILINE)
        text = text.replace(str(self.folder), "/home/you/x").replace(str(self.home), "/home/you").strip()
        for pattern, mask in MASKS:
            text = pattern.sub(mask, text)
        return text

    def play(self, command: str, shown: str) -> None:
        """Runs a command; what it prints must be what is shown."""
        if not command.startswith("redis-cli"):
            self.same(self.run(command), shown)
        elif shutil.which("redis-cli"):  # it numbers and quotes for a terminal only
            plain = re.sub(r'^ *\d+\) "|"$|^\(integer\) ', "", shown, flags=re.MULTILINE).replace(r"\"", '"')
            self.same(self.run(command), plain)

    def same(self, said: str, shown: str) -> None:
        """What was said must be what is shown, but for what is masked; a line `...` stands for any text."""
        said, shown = self.masked(said), self.masked(shown)
        pattern = ".*".join(re.escape(part.strip("\n")) for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE))
        assert re.fullmatch(pattern, said, re.DOTALL), f"this was said:\n{said}\n\nand this is shown:\n{shown}"
