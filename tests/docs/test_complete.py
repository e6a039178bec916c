"""Nothing that people can use is missing in the pages: public names, options of commands, variables, reasons. Read off the source."""

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

import chute
import chute.errors
import chute.testing
from benchmarks import report
from chute.cli.commands import cli
from chute.keys import MOST_PARTITIONS
from chute.worker import MAX_QUEUES
from docs.pages import DOCS, ROOT

SRC = ROOT / "src" / "chute"
PLUMBING = {
    "Job": set[str](),
    "Queue": {"endpoint"},
    "Resource": {"open", "close"},
    "Task": {"sender"},
    "Worker": {"stop"},
    "Call": {"confirm", "kept", "returns", "seal"},
}
"""What is public in these classes for other modules, and not for people."""


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def shown(name: str) -> set[str]:
    """The members that the reference shows of a name."""
    block = re.search(rf"^::: chute\.{name}\n    options:\n(?:      (?!members).*\n)*      members: (.*)$", page("api"), re.MULTILINE)
    assert block, f"docs/api.md has no ::: chute.{name}"
    return set(re.findall(r"\w+", block[1])) - {"false"}


def test_every_public_name_is_in_the_reference() -> None:
    named = set(re.findall(r"^::: chute\.(\w+)(?:\.context)?$", page("api"), re.MULTILINE))
    assert named == {*chute.__all__, "testing"}
    assert shown("testing") == set(chute.testing.__all__)
    assert shown("errors") == {
        name for name, value in vars(chute.errors).items() if inspect.isclass(value) and issubclass(value, chute.errors.ChuteError)
    }


@pytest.mark.parametrize("name", [name for name in chute.__all__ if inspect.isclass(getattr(chute, name))])
def test_every_member_is_in_the_reference(name: str) -> None:
    members = {member for member, value in vars(getattr(chute, name)).items() if callable(value) or isinstance(value, property)}
    public = {member for member in members if not member.startswith("_")}
    plumbing = PLUMBING.get(name, set())
    assert plumbing <= public, "a name that is no longer needed"
    assert shown(name) == public - plumbing


@pytest.mark.parametrize("name", [*chute.__all__, *chute.testing.__all__])
def test_every_public_name_is_explained_on_a_page(name: str) -> None:
    text = "".join(path.read_text() for path in DOCS.glob("*.md") if path.stem != "api")
    assert re.search(rf"\b{name}\b", text)


@pytest.mark.parametrize(
    ("function", "name"),
    [(chute.Queue.task, "tasks"), (chute.Task.options, "tasks"), (chute.Worker.__init__, "workers")],
)
def test_every_option_of_python_is_explained(function: Any, name: str) -> None:
    for option in inspect.signature(function).parameters.values():
        if option.kind is option.KEYWORD_ONLY:
            assert re.search(rf"`[^`\n]*\b{option.name}\b", page(name)), option.name


def tool(name: str) -> Any:
    """A module of tools/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_of_the_commands_is_what_they_say() -> None:
    assert page("commands") == tool("commands").page(), "docs/commands.md is old: make docs"


def test_the_table_of_hostile_input_is_that_of_the_tests() -> None:
    corpus = tool("corpus")
    assert f"<!-- of the corpus -->\n\n{corpus.table()}\n\n<!-- end -->" in page("security"), "docs/security.md is old: make docs"


def options(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    for each in command.params:
        if isinstance(each, click.Option):
            yield from ((name, word) for word in each.opts)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            yield from options(below, f"{name} {word}")


@pytest.mark.parametrize(("command", "option"), [*options(cli, "chute")])
def test_every_option_of_a_command_is_explained(command: str, option: str) -> None:
    if option == "--version":
        return
    section = re.split(r"^#+ ", page("commands"), flags=re.MULTILINE)
    assert any(part.startswith(f"{command}\n") and f"`{option}" in part for part in section)


def texts(path: Path) -> set[str]:
    return {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_variable_is_explained() -> None:
    read = {text for text in texts(SRC / "settings.py") if re.fullmatch(r"[A-Z_]{4,}", text)}
    assert {"CHUTE_URL", "CHUTE_HOME"} < read
    for variable in {*read, "NO_COLOR"}:
        assert f"`{variable}`" in page("workers"), variable


def reasons() -> set[str]:
    """What is given to Refused as its first word, and what a job that failed can be stopped or ended for."""
    found = {"gave_up", "failed"}
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in ("Refused", "envelope.Refused", "Stop", "policy.Stop", "Failed", "outcome.Failed")
                and node.args
            ):
                first = node.args[0]
                found |= {first.value} if isinstance(first, ast.Constant) and isinstance(first.value, str) else set()
    return found


def test_every_reason_is_explained_and_no_other() -> None:
    table = page("retries").partition("## Every reason")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == reasons()


def test_every_key_is_explained() -> None:
    """The prefixes of keys.py, of which `unique` belongs to what is not there yet."""
    prefixes = set(re.findall(r'f"(\w+):\{', (SRC / "keys.py").read_text())) - {"unique"}
    assert {"queue", "dead", "counts"} < prefixes
    assert set(re.findall(r"^\| `(\w+):", page("keys"), re.MULTILINE)) == prefixes


def test_every_benchmark_that_a_page_names_is_there() -> None:
    named = {path for page in DOCS.glob("*.md") for path in re.findall(r"\bpython -m (benchmarks\.\w+)", page.read_text())}
    assert "benchmarks.failover" in named
    assert all((ROOT / f"{path.replace('.', '/')}.py").is_file() for path in named), named


def test_the_figures_of_performance_are_those_of_the_last_run() -> None:
    """`python tools/performance.py` writes them."""
    run = msgspec.json.decode((ROOT / "benchmarks" / "results" / "figures.json").read_bytes(), type=report.Run)
    assert re.findall(r"<!-- of the last run: ([\w. -]+) -->\n\n(.*?)\n\n<!-- end -->", page("performance"), re.DOTALL) == [
        (names, report.part(run, names.split())) for names in re.findall(r"<!-- of the last run: ([\w. -]+) -->", page("performance"))
    ]
    assert (DOCS / "images" / "drain.svg").read_text() == report.plot(run)


def test_the_most_partitions_are_those_of_the_source() -> None:
    assert f"1 to {MOST_PARTITIONS}: a worker works {MAX_QUEUES} lists" in page("scaling")
    assert f"n = 0 to {MOST_PARTITIONS - 1};" in page("keys")
