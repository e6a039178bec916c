"""A handler that forks: its child has a copy of the worker around it, its event loop and its connections, and must not go on as it.

The child may do what it was made for. It ends with the handler, as a process ends; and the signals that stop the worker end it, as they end others.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, ClassVar, NoReturn, TypeAlias

Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None


class Here:
    """Of this process."""

    child = False
    """It was forked while a worker ran in it. The hot path reads this, so it costs what reading a name costs."""
    workers = 0
    before: ClassVar[dict[signal.Signals, Handler]] = {}
    """What the signals that stop its worker did before."""


class _Mask(threading.local):
    """Of this thread, while it forks: the signals that it did not hear before."""

    heard_not: set[int | signal.Signals] | None = None


_mask = _Mask()


@contextmanager
def known() -> Iterator[None]:
    """While a worker runs in this process."""
    Here.child = False
    Here.workers += 1
    try:
        yield
    finally:
        Here.workers -= 1


@contextmanager
def heard(signals: tuple[signal.Signals, ...]) -> Iterator[None]:
    """While these signals stop the worker. What they did before is taken down first."""
    Here.before.update({each: signal.getsignal(each) for each in signals})
    try:
        yield
    finally:
        Here.before.clear()


def end(error: BaseException | None = None, *, waits: bool = False) -> NoReturn:
    """In the child: the handler has returned, has raised, or waits for an event loop that is its parent's. Ends this process, and nothing of the
    worker's with it."""
    code: Any = 0
    if isinstance(error, SystemExit):
        code = error.code
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    elif waits:
        code = "chute: a process that a handler forks cannot wait on the worker's event loop; asyncio.run in it has one of its own"
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it
            stream.flush()
    os._exit((code or 0) & 0xFF)


def _before() -> None:
    """Right before a fork. A signal that reaches the child before it has its own handlers would tell the worker, by what they share, to stop: it
    waits."""
    if Here.before:
        _mask.heard_not = signal.pthread_sigmask(signal.SIG_BLOCK, Here.before)


def _after() -> None:
    """Right after it, in the parent; in the child once its handlers are set."""
    if _mask.heard_not is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _mask.heard_not)
        _mask.heard_not = None


def _in_child() -> None:
    """Right after it, in the child. What that forks in its turn inherits what it hears, as ever."""
    Here.child = Here.workers > 0
    if Here.child and Here.before:
        signal.set_wakeup_fd(-1)  # the parent's: it would take our signals for its own
        for each, handler in Here.before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
        Here.before.clear()
    _after()


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_in_child)
