"""A new user at a shell: what documents show is played here as they would play it. Knows no page, and which of their words mean what."""

import os
import re
import shutil
import signal
import subprocess
import sys
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


@dataclass
class Shell:
    """A new user's home, a folder in it where everything happens, and at most one program that runs beside. Gone after a `with` block."""

    home: Path = field(default_factory=short_directory)
    beside: subprocess.Popen[bytes] | None = None

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
        """Nothing of whoever runs the tests."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTE", "REDIS", "XDG", "PYTEST"))}
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

    def start(self, command: str, last: str) -> str:
        """Starts a program that runs on, in place of the one before; what it has said once `last` is among that."""
        self.stop()
        said = self.folder.parent / "beside.out"
        with said.open("wb") as stream:
            words = ["bash", "-c", f"exec {command}"]
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
