"""deploy/container/Dockerfile as data: its stages, their steps, and the few of these that say what a container is. Runs nothing."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from deploy.prometheus import ROOT

FILE = ROOT / "deploy" / "container" / "Dockerfile"
Step = tuple[str, str]
"""An instruction and what follows it."""


@dataclass(frozen=True)
class Stage:
    """What it is made of, and the steps."""

    base: str
    steps: list[Step]

    def all(self, name: str) -> list[str]:
        """What follows each instruction of that name."""
        return [text for instruction, text in self.steps if instruction == name]

    def last(self, name: str) -> str:
        """What follows the last instruction of that name; empty where there is none."""
        return (self.all(name) or [""])[-1]

    @property
    def env(self) -> dict[str, str]:
        """What ENV sets."""
        return dict(re.findall(r"(\w+)=(\S+)", " ".join(self.all("ENV"))))

    @property
    def command(self) -> list[str]:
        """What is started, without what is given to it."""
        words: list[str] = json.loads(self.last("ENTRYPOINT"))
        return words


def stages(text: str = FILE.read_text()) -> list[Stage]:
    """The stages in their order; arguments before the first are put in."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for line in filter(None, text.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            for name, value in arguments.items():
                rest = rest.replace(f"${{{name}}}", value)
            found.append(Stage(rest, []))
        elif found:
            found[-1].steps.append((instruction, rest))
        else:
            assert instruction == "ARG", line
            arguments |= [rest.split("=")]
    return found


def context() -> list[Path]:
    """What .dockerignore lets through, which names what is not ignored, and everything below it."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    return [ROOT / line[1:] for line in lines if line.startswith("!")]
