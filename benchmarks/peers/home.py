"""The environments of peers under `.cache/peers`: made once, made anew when their pins change. Knows nothing of what runs in them."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "peers"
PREPARE_SECONDS = 600


class Home(Protocol):
    """Where a peer's programs are, and where they run."""

    @property
    def programs(self) -> Path: ...

    @property
    def work(self) -> Path: ...

    def prepare(self) -> str | None: ...

    def versions(self) -> str: ...


@dataclass(frozen=True)
class PythonHome:
    """A virtual environment with exactly what `requirements/<name>.txt` pins."""

    name: str
    libraries: tuple[str, ...]
    """What `versions` tells."""
    minimum: tuple[int, int] = (3, 11)

    @property
    def folder(self) -> Path:
        """The environment itself."""
        return CACHE / self.name

    @property
    def pins(self) -> Path:
        """The file with the exact versions."""
        return HERE / "requirements" / f"{self.name}.txt"

    @property
    def programs(self) -> Path:
        """Where its commands are."""
        return self.folder / "bin"

    @property
    def work(self) -> Path:
        """Where the apps are."""
        return HERE / "apps"

    def prepare(self) -> str | None:
        """Makes the environment, or says why that is impossible."""
        interpreter = find_python(self.minimum)
        if interpreter is None:
            return f"{self.name} needs Python {self.minimum[0]}.{self.minimum[1]} or newer, and none was found"
        made_of = f"{interpreter}\n{self.pins.read_text()}"
        if is_made(self.folder, made_of):
            return None
        shutil.rmtree(self.folder, ignore_errors=True)
        uv = str(Path(sys.executable).with_name("uv"))
        index = {"UV_DEFAULT_INDEX": os.environ["PIP_INDEX_URL"]} if "PIP_INDEX_URL" in os.environ else {}
        make([uv, "venv", "-q", "--no-project", "--python", interpreter, str(self.folder)], index)
        make([uv, "pip", "sync", "-q", "--compile-bytecode", "--python", str(self.programs / "python"), str(self.pins)], index)
        note_made(self.folder, made_of)
        return None

    def versions(self) -> str:
        """The libraries that count, and Python."""
        ask = (
            "import sys, platform; from importlib.metadata import version; "
            "print(*(f'{name} {version(name)}' for name in sys.argv[1:]), f'Python {platform.python_version()}', sep=', ')"
        )
        return make([str(self.programs / "python"), "-c", ask, *self.libraries]).strip()


@dataclass(frozen=True)
class NodeHome:
    """What `node/package-lock.json` pins, with the programs of `node` beside it, since Node looks for libraries beside a program."""

    name: str
    libraries: tuple[str, ...]

    @property
    def work(self) -> Path:
        """The folder with the programs and the libraries."""
        return CACHE / self.name

    @property
    def programs(self) -> Path:
        """Where the interpreter is."""
        return Path(shutil.which("node") or "node").parent

    def prepare(self) -> str | None:
        """Makes the folder, or says why that is impossible."""
        if not shutil.which("node") or not shutil.which("npm"):
            return f"{self.name} needs node and npm, and they are not on the PATH"
        made_of = "".join(path.read_text() for path in sorted((HERE / "node").iterdir()))
        if is_made(self.work, made_of):
            return None
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(HERE / "node", self.work)
        make(["npm", "ci", "--silent", "--ignore-scripts", "--prefix", str(self.work)])
        note_made(self.work, made_of)
        return None

    def versions(self) -> str:
        """The libraries that count, and Node."""
        packages = [json.loads((self.work / "node_modules" / name / "package.json").read_text()) for name in self.libraries]
        node = make([str(self.programs / "node"), "--version"]).strip().removeprefix("v")
        return ", ".join([*(f"{each['name']} {each['version']}" for each in packages), f"Node {node}"])


def find_python(minimum: tuple[int, int]) -> str | None:
    """An interpreter that is new enough: ours, else one on the PATH or under pyenv that starts."""
    if sys.version_info[:2] >= minimum:
        return str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))
    names = [f"python{minimum[0]}.{minor}" for minor in range(minimum[1], minimum[1] + 4)]
    pyenv = Path.home() / ".pyenv" / "versions"
    found = [path for name in names for path in (shutil.which(name), *map(str, sorted(pyenv.glob(f"*/bin/{name}")))) if path]
    return next((path for path in found if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0), None)


def is_made(folder: Path, made_of: str) -> bool:
    """Whether a folder was completed from just this."""
    note = folder / "made-of"
    return note.exists() and note.read_text() == made_of


def note_made(folder: Path, made_of: str) -> None:
    """Notes that a folder is complete."""
    (folder / "made-of").write_text(made_of)


def make(words: list[str], more: dict[str, str] | None = None) -> str:
    """Runs a command and returns what it printed. Raises `RuntimeError` with its complaint."""
    done = subprocess.run(words, env={**os.environ, **(more or {})}, capture_output=True, text=True, timeout=PREPARE_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:] or done.stdout[-2000:]}")
    return done.stdout
