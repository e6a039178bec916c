"""README's first page, and a user who plays it: its commands in their order and what they print."""

import contextlib
import re
from collections.abc import Generator
from pathlib import Path

from servers import until
from shell import Shell, transcript

README = Path(__file__).resolve().parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def spans() -> list[str]:
    """The code within the sentences, in its order."""
    prose = re.sub(r"^```.*?^```", "", README.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


@contextlib.contextmanager
def first_job(shell: Shell) -> Generator[None]:
    """The app of the first page in the user's folder with its worker running, which has said what README says that it does."""
    (shell.folder / "app.py").write_text(blocks("python")[0])
    command, shown = next(pair for block in blocks("console") for pair in transcript(block) if pair[0].startswith("chute work"))
    shell.same(shell.start(command, "waiting for jobs"), shown)
    yield
    shell.stop()


def play_console(shell: Shell) -> None:
    """Everything that the second terminal is told to type prints what README says."""
    played = [pairs for pairs in map(transcript, blocks("console")) if pairs[0][0].startswith(("chute push", "redis-cli"))]
    assert len(played) == 3
    for command, shown in (pair for pairs in played for pair in pairs):
        if command.startswith("chute stats"):
            assert until(lambda: '"scheduled":0' in shell.run("chute stats --json"), 20)
        if "HGETALL" in command:  # a person is slower than the worker
            shell.run("chute result job_124 --wait 5")
        shell.play(command, shown)


def play_python(shell: Shell) -> None:
    """The Python of the first page runs beside the worker, and prints what its comments say."""
    _, caller, decorated = blocks("python")
    (shell.folder / "caller.py").write_text(caller)
    (shell.folder / "decorated.py").write_text(f"import chute\nfrom app import jobs\n\n{decorated}\nprint(sorted(jobs.tasks))\n")
    printed = shell.run("python caller.py").splitlines()
    assert printed[0] == "{'answer': 'You asked: What is RAG?'}"
    assert re.fullmatch(r"pending \d+", printed[1])
    assert shell.run("python decorated.py").strip() == "['answer', 'fetch']"
