"""MODULE[:ATTR[,ATTR=WEIGHT...]] -> the queues of the user's module, MODULE:TASK -> a task. Every mistake is answered with what to do about it."""

import importlib
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from chute import place
from chute.errors import ChuteError
from chute.likeness import likest
from chute.queue import Queue
from chute.task import Task

Chosen = list[tuple[Queue, int | None]]
"""Queues with their weights; None: before all that have one, in this order."""
Write = Callable[[str], str]
"""The command to write for another module."""


class LoadError(ChuteError):
    """The module or what it holds cannot be worked."""


def load(target: str) -> Chosen:
    """Imports the module (the current directory is importable) and finds the queues. Raises LoadError."""
    name, colon, attributes = target.partition(":")
    module = _import(name, lambda other: f"chute work {other}{colon}{attributes}")
    chosen = [_queue(module, each) for each in attributes.split(",")] if colon else _all(module)
    for queue, _ in chosen:
        if not queue.tasks:
            raise LoadError(
                f"queue {queue.name} in {name} has no task, so nothing could be run. A task is a function under @{_variable(module, queue)}.task"
            )
    return chosen


def load_task(target: str) -> tuple[str, str, Task[..., Any, Any]]:
    """Imports the module and finds one task; the module, the name that it has there, and the task. Raises LoadError."""
    name, colon, attribute = target.partition(":")
    module = _import(name, lambda other: f"chute bench {other}:{attribute or 'TASK'}")
    found = getattr(module, attribute, None)
    if isinstance(found, Task):
        return name, attribute, found
    known = [each for each, value in vars(module).items() if isinstance(value, Task)]
    if not known:
        raise LoadError(f'no task in module "{name}". A task is a function of it under @jobs.task, where jobs = chute.Queue("jobs")')
    meant = likest(attribute, known, however_unlike=True)
    wrong = f'"{attribute}" is no task' if attribute else f"the name of a task is missing {'after the colon' if colon else 'after a colon'}"
    raise LoadError(f"{wrong} (tasks in {name}: {', '.join(known)}). Write: chute bench {name}:{meant}")


def _import(name: str, write: Write) -> ModuleType:
    try:
        here = str(Path.cwd())
    except FileNotFoundError:
        raise LoadError("the current directory was deleted; go to where the module is") from None
    if here not in sys.path:
        sys.path.insert(0, here)
    if "/" in name or name.endswith(".py"):
        raise LoadError(_is_a_path(name, write))
    if not all(name.split(".")):
        raise LoadError(f'"{name}" is not the name of a module.{_there(name, write)}')
    try:
        module = importlib.import_module(name)
        if instead := _stands_in(module, name):
            raise LoadError(instead)
        return module
    except LoadError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise LoadError(_no_module(name, write)) from None
        raise LoadError(_broken(name, error)) from None
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise LoadError(_broken(name, error)) from None


def _stands_in(module: ModuleType, name: str) -> str:
    """What to say when another module was imported in place of the file here: one of Python's own, or of ours, has the same name."""
    here = Path.cwd() / f"{name}.py"
    if "." in name or not here.is_file() or (module.__file__ and here.samefile(module.__file__)):
        return ""
    return f"{name}.py has the name of another module, which was imported in its place ({module.__file__ or 'built in'}). Give the file another name"


def _is_a_path(name: str, write: Write) -> str:
    path = Path(name.removesuffix(".py"))
    if path.is_absolute() or ".." in path.parts:
        return f'"{name}" is a path; go to its directory and name the module: cd {path.parent}; {write(path.name)}'
    return f'"{name}" is a path; name the module: {write(".".join(path.parts))}'


def _no_module(name: str, write: Write) -> str:
    before, dot, last = name.rpartition(".")
    if dot and isinstance(getattr(sys.modules.get(before), last, None), Queue):
        return f'"{last}" is a queue in module "{before}", not a module. Write: chute work {before}:{last}'
    return f'no module "{name}" here ({Path.cwd()}).{_there(name, write)}'


def _there(name: str, write: Write) -> str:
    """A file of the current directory that may have been meant."""
    there = [path.stem for path in sorted(Path.cwd().glob("*.py")) if "chute" in path.read_text("utf-8", "replace")]
    if not there:
        return " Go to the directory that has it, or install its package"
    meant = likest(name, there, however_unlike=True)
    return f" There is {meant}.py: {write(meant)}"


def _broken(name: str, error: BaseException) -> str:
    what = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
    where = place.of(error)
    hint = ""
    if isinstance(error, SystemExit):
        what, hint = f"it ends Python ({what})", '. Put what only a script should do under: if __name__ == "__main__"'
    elif str(error) == "'module' object is not callable":
        line = traceback.extract_tb(error.__traceback__)[-1].line or ""
        if re.search(r"@(chute\.)?task\b", line):
            hint = '. A task belongs to a queue: write @jobs.task, where jobs = chute.Queue("jobs")'
        elif "chute.queue(" in line:
            hint = ". Write chute.Queue, with a capital Q"
    return f'module "{name}" cannot be imported: {what}{where and f" at {where}"}{hint}'


def _all(module: ModuleType) -> Chosen:
    queues = list(dict.fromkeys(value for value in vars(module).values() if isinstance(value, Queue)))
    if not queues:
        raise LoadError(f'no queue in module "{module.__name__}". A queue is a variable of it: jobs = chute.Queue("jobs")')
    return [(queue, 1) for queue in queues]


def _queue(module: ModuleType, spec: str) -> tuple[Queue, int | None]:
    attribute, equals, weight = spec.partition("=")
    queue = getattr(module, attribute, None)
    if not isinstance(queue, Queue):
        raise LoadError(_no_queue(module, attribute, queue))
    if equals and (not weight.isdigit() or not int(weight)):
        raise LoadError(f'"{spec}": a weight is a whole number from 1, as in {attribute}=2')
    return queue, int(weight) if equals else None


def _no_queue(module: ModuleType, attribute: str, found: object) -> str:
    name = module.__name__
    known = [each for each, value in vars(module).items() if isinstance(value, Queue)]
    if not known:
        return f'"{attribute}" is no queue, and module "{name}" has none. A queue is a variable of it: jobs = chute.Queue("jobs")'
    meant = likest(attribute, known, however_unlike=True)
    what = "is no queue" if found is not None else "does not exist"
    if isinstance(found, Task):
        owner = found.sender.queue
        meant = _variable(module, owner)
        what = f"is a task of queue {owner.name}, not a queue,"
    if not attribute:
        what = f"the name of a queue is missing after the colon (queues in {name}: {', '.join(known)})"
        return f"{what}. Write: chute work {name}:{meant}, or for all of them: chute work {name}"
    return f'"{attribute}" {what} in module "{name}" (its queues: {", ".join(known)}). Write: chute work {name}:{meant}'


def _variable(module: ModuleType, queue: Queue) -> str:
    return next((name for name, value in vars(module).items() if value is queue), "jobs")
