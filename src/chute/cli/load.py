"""MODULE[:ATTR[,ATTR=WEIGHT...]] -> the queues of the user's module. Every mistake is answered with what to do about it."""

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

import click

from chute.queue import Queue

OURS = Path(__file__).parents[1]
Chosen = list[tuple[Queue, int | None]]
"""Queues with their weights; None: before all that have one, in this order."""


class LoadError(click.ClickException):
    """The module or what it holds cannot be worked."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Says so as every other message does."""
        click.echo(f"chute: {self.message}", err=True)


def load(target: str) -> Chosen:
    """Imports the module (the current directory is importable) and finds the queues. Raises LoadError."""
    name, colon, attributes = target.partition(":")
    module = _import(name, target)
    chosen = [_queue(module, each) for each in attributes.split(",")] if colon and attributes else _all(module)
    for queue, _ in chosen:
        if not queue.tasks:
            raise LoadError(
                f"queue {queue.name} in {name} has no task, so nothing could be run. A task is a function under @{_variable(module, queue)}.task"
            )
    return chosen


def _import(name: str, target: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise LoadError(_no_module(name, target)) from None
        raise LoadError(_broken(name, error)) from None
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise LoadError(_broken(name, error)) from None


def _no_module(name: str, target: str) -> str:
    if name.endswith(".py"):
        return f'"{name}" is a file; name the module: chute work {target.replace(".py", "", 1)}'
    there = [path.stem for path in sorted(Path.cwd().glob("*.py")) if "chute" in path.read_text("utf-8", "replace")][:3]
    hint = f" There is {there[0]}.py: chute work {there[0]}" if there else " Go to the directory that has it, or install its package"
    return f'no module "{name}" here ({Path.cwd()}).{hint}'


def _broken(name: str, error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    what: object = error
    if isinstance(error, SyntaxError) and error.filename:
        what, where = error.msg, f" at {Path(error.filename).name}:{error.lineno}"
    return f'module "{name}" cannot be imported: {type(error).__name__}: {what}{where}'


def _is_users(file: str) -> bool:
    """Whether a file is neither Python's import machinery nor ours: the place to look at is where the user called us."""
    return "importlib" not in file and not Path(file).is_relative_to(OURS)


def _all(module: ModuleType) -> Chosen:
    queues = list(dict.fromkeys(value for value in vars(module).values() if isinstance(value, Queue)))
    if not queues:
        raise LoadError(f'no queue in module "{module.__name__}". A queue is a variable of it: jobs = chute.Queue("jobs")')
    return [(queue, 1) for queue in queues]


def _queue(module: ModuleType, spec: str) -> tuple[Queue, int | None]:
    attribute, equals, weight = spec.partition("=")
    queue = getattr(module, attribute, None)
    if not isinstance(queue, Queue):
        known = ", ".join(name for name, value in vars(module).items() if isinstance(value, Queue)) or "none"
        what = "is no queue" if queue is not None else "does not exist"
        raise LoadError(f'"{attribute}" {what} in module "{module.__name__}" (its queues: {known})')
    if equals and (not weight.isdigit() or not int(weight)):
        raise LoadError(f'"{spec}": a weight is a whole number from 1, as in {attribute}=2')
    return queue, int(weight) if equals else None


def _variable(module: ModuleType, queue: Queue) -> str:
    return next((name for name, value in vars(module).items() if value is queue), "jobs")
