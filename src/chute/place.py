"""Where an error was raised in the user's own code: the innermost line that is neither Python's, nor an installed package's, nor ours. Pure.

A log line and a load error name it, so that nobody has to read a traceback through libraries.
"""

import contextlib
import os
from traceback import walk_tb

_PYTHON = os.path.dirname(os.__file__) + os.sep
_OURS = os.path.dirname(__file__) + os.sep
_INSTALLED = tuple(f"{os.sep}{name}-packages{os.sep}" for name in ("site", "dist"))


def of(error: BaseException) -> str:
    """The place as "shop/tasks.py:12", relative to the current directory where it is inside; "" when no line of a file is known."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno and _users(error.filename):
        return f"{_near(error.filename)}:{error.lineno}"
    files = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename[:1] != "<"]
    own = [each for each in files if _users(each[0])] or files
    return f"{_near(own[-1][0])}:{own[-1][1]}" if own else ""


def ours(file: str) -> bool:
    """Whether this is a file of Chute."""
    return file.startswith(_OURS)


def _users(file: str) -> bool:
    return not file.startswith(("<", _PYTHON, _OURS)) and not any(part in file for part in _INSTALLED)


def _near(file: str) -> str:
    with contextlib.suppress(OSError):  # the directory may be gone
        return file.removeprefix(os.getcwd() + os.sep)
    return file
