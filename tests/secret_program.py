"""A program that puts jobs in where it cannot, and shows what it then gets in every way there is: `secret_program.py [--work] [FILE...]`.

Each file has a URL, so that no variable of this program has it; without one, the environment names the server. `--work`: runs a worker too.
"""

import asyncio
import os
import sys
from pathlib import Path

import chute
from canary import found_in_objects, found_in_processes
from servers import children
from showing import show, show_error

WORK = "--work" in sys.argv
FILES = [Path(word) for word in sys.argv[1:] if word != "--work"]


def queue(file: Path | None, name: str = "jobs") -> chute.Queue:
    """A queue on the server that the file names."""
    return chute.Queue(name, url=file and file.read_text())


async def work(file: Path | None) -> None:
    """What the system tells of the process that beats for a worker, which has the password from nobody but us."""
    async with chute.Worker(queue(file)) as worker:
        show(repr(worker))
        await asyncio.sleep(0.7)
        below = children(os.getpid())
        show(f"{len(below)} children")
        for line in found_in_processes(below, environment=file is not None):
            show(line)


async def in_asyncio_code(file: Path | None) -> None:
    """Each way to use a queue."""
    for use in (lambda: queue(file).adepth(), lambda: queue(file).job("x").aresult(timeout=0.1)):
        try:
            show(repr(await use()))
        except Exception as error:
            show_error(error, richly=False)
    if WORK:
        await work(file)
    await chute.aclose()


def in_blocking_code(file: Path | None) -> None:
    """The same."""
    uses = (lambda: queue(file).push({}), lambda: queue(file, "no name"), lambda: queue(file).job("x").result(timeout=0.1))
    for use in uses:
        try:
            show(repr(use()))
        except Exception as error:
            show_error(error, richly=use is uses[0])


def main() -> None:
    """Everything."""
    for each in FILES or [None]:
        show(f"with {each}")
        in_blocking_code(each)
        asyncio.run(in_asyncio_code(each))
    for line in found_in_objects():
        show(line)
    show("at its end")


if __name__ == "__main__":
    main()
