"""Shows an error as each of those does who show variables, onto the screen."""

import sys
import traceback
from typing import Any

import rich.console
import rich.traceback


def show(what: str) -> None:
    """Onto the screen, as prints of tasks are."""
    print(what, file=sys.stderr, flush=True)


def show_error(error: BaseException, *, richly: bool = True) -> None:
    """As each of those does who show variables. `richly`: as Rich does, too, which takes its time."""
    show("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
    behind: Any = error
    while behind is not None:
        show(f"{behind!r} {behind} {behind.args!r} {vars(behind)!r}")
        behind = behind.__cause__ or behind.__context__
    if not richly:
        return
    shown = rich.traceback.Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=60, extra_lines=0
    )
    rich.console.Console(file=sys.stderr, width=300).print(shown)
