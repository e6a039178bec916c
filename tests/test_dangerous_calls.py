"""Nothing here runs what was data: no code from text, no objects from bytes, no shell, no module by a name that somebody else gives.

Read off the source of the package and of everything beside it; what a test is allowed here, it may not do either.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tools", "benchmarks", "chaos", "examples", "fuzz", "deploy", "docs")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
OBJECTS_FROM_BYTES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "copyreg", "joblib", "jsonpickle"}
CODE_FROM_TEXT = {"eval", "exec", "compile", "__import__", "execfile"}
METHODS = {
    "os": {"system", "popen"}, "subprocess": {"getoutput", "getstatusoutput"}, "asyncio": {"create_subprocess_shell"}, "tempfile": {"mktemp"},
    "runpy": {"run_path", "run_module"}, "yaml": {"load", "load_all", "full_load", "unsafe_load", "unsafe_load_all", "Loader", "UnsafeLoader"},
    "importlib": {"import_module", "__import__"}, "builtins": CODE_FROM_TEXT, "code": {"interact", "InteractiveInterpreter"},
}  # fmt: skip
"""Of modules of the standard library and others."""
BY_NAME = {
    "src/chute/cli/load.py": "the module that the user names on the command line",
    "src/chute/bench/app.py": "the same, for a bench",
    "src/chute/cli/common.py": "a module of ours that needs an extra",
    "src/chute/cli/commands.py": "our own commands, from a list",
    "benchmarks/peers/apps/run.py": "an app of ours",
    "fuzz/__main__.py": "a target of ours",
}
"""The files that import a module by a name in a variable, and whose name that is. Never one that a job carries."""


def dangerous(tree: ast.AST) -> Iterator[str]:
    """What a module does that it must not."""
    known: dict[str, str] = {}
    """A name -> what was imported under it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            source = "" if isinstance(node, ast.Import) else f"{node.module}."
            for each in node.names:
                known[each.asname or each.name.partition(".")[0]] = f"{source}{each.name}"
                if (source + each.name).partition(".")[0] in OBJECTS_FROM_BYTES:
                    yield f"{node.lineno}: imports {source}{each.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            owner, _, name = known_as(node, known).rpartition(".")
            if name in METHODS.get(owner, ()) or (not owner and isinstance(node, ast.Name) and name in CODE_FROM_TEXT):
                yield f"{node.lineno}: {ast.unparse(node)}"
        elif (
            isinstance(node, ast.keyword)
            and node.arg == "shell"
            and not (isinstance(node.value, ast.Constant) and node.value.value is False)
        ):
            yield f"{node.value.lineno}: a shell"


def known_as(node: ast.expr, known: dict[str, str]) -> str:
    """What a name stands for, with the module that it comes from."""
    if isinstance(node, ast.Attribute):
        return f"{known_as(node.value, known)}.{node.attr}"
    return known.get(node.id, node.id) if isinstance(node, ast.Name) else ast.unparse(node)


def imports_by_name(found: list[str]) -> list[str]:
    """Those of the findings that are imports by a name."""
    return [each for each in found if each.endswith("import_module")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_run_that_was_data(path: Path) -> None:
    found = list(dangerous(ast.parse(path.read_text())))
    by_name = imports_by_name(found)
    assert [each for each in found if each not in by_name] == []
    assert bool(by_name) == (path.relative_to(ROOT).as_posix() in BY_NAME), by_name


@pytest.mark.parametrize(
    "code",
    [
        "eval(text)", "exec(text)", "compile(text, '', 'exec')", "__import__(name)", "run = eval", "import builtins; builtins.exec(text)",
        "import pickle", "from pickle import loads", "import marshal as m", "from dill import loads", "import shelve", "import os; os.system(x)",
        "from os import system; system(x)", "import os as o; o.popen(x)", "import subprocess; subprocess.run(x, shell=True)", "run(x, shell=yes)",
        "import yaml; yaml.load(x)", "import yaml; yaml.load(x, Loader=yaml.SafeLoader)", "from yaml import unsafe_load; unsafe_load(x)",
        "import importlib; importlib.import_module(x)", "from importlib import import_module; import_module(x)", "import runpy; runpy.run_path(x)",
        "import asyncio; asyncio.create_subprocess_shell(x)", "import tempfile; tempfile.mktemp()", "from subprocess import getoutput; getoutput(x)",
    ],
)  # fmt: skip
def test_it_knows_a_danger_when_it_sees_one(code: str) -> None:
    assert list(dangerous(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "import re; re.compile(x)",
        "client.eval(x)",
        "import yaml; yaml.safe_load(x)",
        "run(x, shell=False)",
        "model.load(x)",
        "def compile_all(): ...",
    ],
)
def test_it_knows_what_is_none(code: str) -> None:
    assert not list(dangerous(ast.parse(code)))


AT_IMPORT = """
import os, sys, sysconfig
noted = []
KINDS = ("socket.", "subprocess.", "shutil.", *("os." + what for what in ("system", "fork", "exec", "spawn", "posix", "remove", "rename", "mkdir")))

def note(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        noted.append((event, args))
    elif event.startswith(KINDS):
        noted.append((event, args))

sys.addaudithook(note)
import chute
during = list(noted)
import socket
socket.socket().close()
open(os.devnull, "w").close()
assert len(noted) > len(during) + 1, "the hook hears nothing"
threads = __import__("threading").active_count()
print(len(during), threads, *during, sep="\\n")
"""


def test_the_import_opens_and_starts_and_writes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-B", "-c", AT_IMPORT]
    done = subprocess.run(
        command, cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert done.stdout.split("\n")[:2] == ["0", "1"], done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
