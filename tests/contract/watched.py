"""A worker's module that notices what a hostile entry must never bring about: an import, a file, a process, a connection, code."""

import sys

import chute

jobs = chute.Queue("watched")
seen: list[str] = []
_EVENTS = frozenset(
    ("import", "exec", "compile", "open", "os.system", "subprocess.Popen", "socket.connect", "os.exec", "os.fork", "pickle.find_class")
)
_watching = False


def _notice(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event in _EVENTS:
        seen.append(f"{event} {str(arguments)[:200]}")


sys.addaudithook(_notice)


@jobs.task(default=True, retries=0)
async def answer(question: str) -> dict[str, str]:
    return {"answer": question}


@jobs.task(retries=0)
async def watch(on: bool) -> list[str]:
    """Starts or stops to notice; gives what was noticed."""
    global _watching  # noqa: PLW0603 - one hook a process, and it cannot be removed
    _watching = on
    return seen
