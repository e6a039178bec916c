"""The image of deploy/container/Dockerfile as far as it goes without an engine: its own steps, run as they are written, into a folder.

What is not so: the base image is this machine with its Python, and uv is the one of the tests, in place of the one that is downloaded.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.dockerfile import Stage, context, stages
from deploy.pods import TOOLS, Container, Mount, tools
from deploy.prometheus import ROOT

UV = Path(sys.executable).parent / "uv"
PYTHON = f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin"
"""The path of the base image."""
PLACE = "/opt/chute"
"""What is copied from one stage to the other."""
OF_THE_INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX", "PIP_INDEX_URL", "SSL_", "http", "https", "HTTP", "HTTPS", "no_proxy", "NO_PROXY")


@dataclass(frozen=True)
class Image:
    """`files`: what it has at /opt/chute."""

    files: Path
    stage: Stage

    @property
    def env(self) -> dict[str, str]:
        """What is set in each container."""
        return {name: value.replace("$PATH", PYTHON) for name, value in self.stage.env.items()}

    @property
    def command(self) -> list[str]:
        """What a container starts."""
        return self.stage.command

    def mounts(self, app: Path) -> list[Mount]:
        """Its files, with a user's module in them."""
        return [("ro", self.files, PLACE), ("ro", app, self.stage.last("WORKDIR"))]


def build(home: Path, lock: Path = ROOT / "requirements.lock") -> Image:
    """Runs the steps of the first stage in a container that has nothing but what .dockerignore lets through."""
    first, last = stages()
    assert ("COPY", f"--from=build {PLACE} {PLACE}") in last.steps
    files, source, given = home / "files", home / "src", home / "context"
    for each in (files, source, given):
        each.mkdir()
    for each in context():
        shutil.copytree(each, given / each.name, ignore=shutil.ignore_patterns("__pycache__")) if each.is_dir() else shutil.copy(
            each, given
        )
    shutil.copy(lock, given / "requirements.lock")
    env = {name: value for name, value in os.environ.items() if name.startswith(OF_THE_INDEX)}
    cache = subprocess.run([UV, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    mounts: list[Mount] = [*tools(uv=str(UV)), ("rw", files, PLACE), ("rw", source, "/src"), ("rw", Path(cache), "/root/.cache/uv")]
    mounts += [("ro", path, "/root/.config/uv") for path in [Path.home() / ".config" / "uv"] if path.exists()]
    tmp = home / "tmp"
    tmp.mkdir()
    for instruction, text in first.steps:
        if instruction == "COPY":
            copy(given, source, text)
        elif instruction == "RUN" and not text.startswith("pip install"):
            script = re.sub(r"--mount=\S+ ", "", text)
            told = {**env, **first.env, "HOME": "/root", "PATH": f"{TOOLS}:{PYTHON}"}
            with Container(["sh", "-euc", script], told, [*mounts, ("rw", tmp, "/tmp")], cwd="/src", uid=0) as container:
                container.finish()
    return Image(files, last)


def copy(given: Path, to: Path, text: str) -> None:
    """COPY of files into the folder of the step, or of a folder under its name."""
    *sources, target = text.split()
    for each in sources:
        if (given / each).is_dir():
            shutil.copytree(given / each, to / target)
        else:
            shutil.copy(given / each, to / target)
