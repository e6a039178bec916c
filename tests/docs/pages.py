"""The pages of docs/, their code blocks, and how each is played. A block is run, or a comment above it says why it is not:

    <!-- not run: it needs two machines -->

A page is played from its top to its end in one folder. A python block that opens with the name of a file is that file; any other is a program,
with `await` allowed anywhere, and the comment behind each of its `print` is what that prints. A console block shows commands with their
whole output; `...` stands for any text. `chute work` runs on, beside what follows, until the next one or the end of the page.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from shell import Shell, transcript

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n+)?```(?P<language>python|console)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_EXAMPLE = re.compile(r'--8<-- "(examples/[\w./]+)"\n')
_PROGRAM = """\
import ast, asyncio, types
code = compile(open("program.txt").read(), "program.txt", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
waits = types.FunctionType(code, {"__name__": "__main__", "__builtins__": __builtins__})()
if waits is not None:
    asyncio.run(waits)
"""


@dataclass(frozen=True)
class Block:
    """A block of code and, where it is not to be run, the reason."""

    language: str
    text: str
    reason: str

    @property
    def example(self) -> Path | None:
        """The file that the block is: examples have tests of their own."""
        found = _EXAMPLE.fullmatch(self.text)
        return ROOT / found[1] if found else None


def blocks(page: str) -> list[Block]:
    """The blocks of a page that show Python or a terminal, in their order."""
    return [Block(found["language"], found["text"], found["reason"] or "") for found in _FENCE.finditer(page)]


def play(shell: Shell, block: Block) -> None:
    """Runs a block; what it prints must be what the page shows."""
    if block.language == "python":
        _play_python(shell, block.text)
        return
    for command, shown in transcript(block.text):
        if command.startswith("chute work ") and "waiting for jobs" in shown:
            shell.same(shell.start(command, "waiting for jobs"), shown)
        else:
            shell.play(command, shown)


def _play_python(shell: Shell, text: str) -> None:
    if name := re.match(r"# (\w+\.py)\n", text):
        (shell.folder / name[1]).write_text(text)
        return
    (shell.folder / "program.txt").write_text(text)
    (shell.folder / "program.py").write_text(_PROGRAM)
    printing = [line for line in text.splitlines() if re.match(r"\s*print\(", line)]
    comments = [line.partition(")  # ")[2] or f"(no comment says what this prints: {line.strip()})" for line in printing]
    shell.same(shell.run("python program.py"), "\n".join(comments))
