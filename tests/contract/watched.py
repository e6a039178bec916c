"""A worker's module that notices what a hostile entry must never bring about: an import, a file, a process, a connection, code."""

import contextlib
import os
import pickle
import socket
import subprocess
import sys
from fractions import Fraction

import chute

jobs = chute.Queue("watched")
seen: list[str] = []
_EVENTS = ("import", "exec", "compile", "open", "os.", "subprocess.", "socket.", "ctypes.", "pickle.", "marshal.", "shutil.", "code.")
_watching = False


def _notice(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event.startswith(_EVENTS):
        seen.append(f"{event} {str(arguments)[:200]}")


sys.addaudithook(_notice)


@jobs.task(default=True, retries=0)
async def answer(question: str) -> dict[str, str]:
    return {"answer": question}


@jobs.task(retries=0)
async def watch(on: bool) -> None:
    """Starts or stops to notice."""
    global _watching  # noqa: PLW0603 - one hook a process, and it cannot be removed
    _watching = on


@jobs.task(retries=0)
async def noticed() -> list[str]:
    """What was noticed."""
    return seen


@jobs.task(retries=0)
def reach() -> None:
    """Does each of the things once, so that a hook that sees nothing is found out."""
    __import__("wave")
    exec(compile("1", "here", "eval"))  # noqa: S102
    with contextlib.suppress(OSError), open("/nowhere") as _:
        pass
    with contextlib.suppress(OSError), socket.socket() as one:
        one.connect(("127.0.0.1", 9))
    os.system("true")  # noqa: S605
    subprocess.run(["true"], check=True)
    pickle.loads(pickle.dumps(Fraction(1)))  # noqa: S301
