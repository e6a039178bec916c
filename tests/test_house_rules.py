"""The rules of this house, read off the source: one direction, small things, one door to the server, few knobs, a small surface.

There are no exemptions but the ones that are named here, and a name that is no longer needed fails as well.
"""

import ast
import graphlib
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import chute

ROOT = Path(__file__).parents[1]
SRC, TESTS = ROOT / "src" / "chute", ROOT / "tests"

LAYERS = (
    "keys duration settings likeness script release pool keeper place rest scrape tls worker.clock worker.fork",  # names and numbers; the keeper stands alone
    "errors envelope address rights",
    "context outcome policy signature version server",  # what a job is, and the server that is there
    "around",
    "spans sentry",
    "trace operation",
    "endpoint",
    "topology",
    "atlas",
    "target",
    "nodes",
    "connection",
    "store line",  # the one door to the server
    "holdings sight lines",
    "waiting admin metrics resource roster steps",
    "finding",
    "result explain snapshot convoy doctor.door doctor.remark",
    "doctor.look doctor.ways",
    "doctor.servers doctor.users doctor.leftovers",
    "doctor",
    "call",
    "task",
    "queue",  # what people call
    "worker.board worker.wire worker.charge worker.trouble worker.meter worker.route",
    "worker.beats",
    "worker.lane",
    "worker.held",
    "worker.guard",
    "worker.helper",
    "worker.verdict",
    "worker.desk",
    "worker.slots worker.finish",
    "worker.start",
    "worker.execute worker.threads",
    "worker.claim worker.shuttle worker.results",
    "worker.engine",
    "worker.reclaim",
    "worker.leave worker.care",
    "worker.search worker.measure worker.info",
    "worker.tend",
    "worker",
    "supervisor.child",
    "supervisor.settle supervisor.watch",
    "supervisor.agent",
    "supervisor.figures supervisor",
    "chute",  # the public face
    "testing.door testing.hand testing.throwaway testing.burst",
    "testing.clock testing.expect testing.immediate",
    "testing",
    "testing.plugin",
    "demo demo.index demo.passages demo.report demo.stage",
    "demo.app",
    "demo.run",
    "bench bench.door",
    "bench.report",
    "bench.app",
    "bench.stage",
    "bench.measure",
    "cli cli.messages cli.heap",
    "cli.load cli.records cli.table cli.keyboard",
    "cli.common cli.pages",
    "cli.logs",
    "cli.child cli.changes cli.report cli.expose cli.steering",
    "cli.panels",
    "cli.bench cli.dead cli.demo cli.doctor cli.explain cli.metrics cli.pause cli.ps cli.push cli.result cli.server cli.stats cli.top cli.work",
    "cli.commands",
    "__main__",
)
"""A module imports from the layers above it in this list, and from nowhere else."""

PUBLIC_OPTIONS = {"queue.Queue.task", "task.Task.options", "cli.work.work", "cli.bench.bench"}
"""The functions with more than 6 parameters: each of theirs is an option that people give by its name."""

SPEAK_TO_THE_SERVER = {
    "store", "holdings", "sight", "script", "keys", "keeper", "server", "testing.door", "testing.throwaway", "bench.door", "doctor.door",
}  # fmt: skip
"""keeper, server and testing.throwaway speak to the server that they start, before any client is there; testing.door has what only tests send,
bench.door what only a bench does, doctor.door what only a doctor asks."""

READ_THE_ENVIRONMENT = {"settings", "demo.stage", "bench.stage"}
"""demo.stage and bench.stage give their own processes another one."""

SUPPRESSIONS = {"noqa": 14, "type: ignore": 8, "pyright: ignore": 0}
"""At most so many in src."""

PUBLIC = [
    "Call", "Context", "GiveUp", "Job", "Queue", "Resource", "Retry", "Snooze", "Task", "Worker", "aclose", "as_completed", "context", "errors", "gather",
]  # fmt: skip

WITHOUT_A_TEST: set[str] = {
    "__main__", "bench", "bench.door", "bench.measure", "bench.stage", "chute", "cli", "cli.commands", "cli.common", "cli.demo", "cli.messages",
    "cli.pages", "demo", "demo.app",
    "demo.stage", "holdings", "testing.door", "testing.hand",
    "cli.child", "cli.expose", "cli.report", "spans", "supervisor.agent", "supervisor.child", "supervisor.settle", "worker.guard", "worker.held",
    "worker.measure", "worker.wire", "connection", "lines", "operation", "topology", "atlas", "target", "worker.route", "worker.shuttle", "worker.desk",
    "worker.verdict", "doctor.door", "doctor.leftovers", "doctor.look", "doctor.remark", "doctor.users",
}  # fmt: skip
"""The modules that no test file mirrors: faces, data, and what the tests of their callers run whole."""

OF_NO_MODULE = {
    "cli/test_clear.py", "test_benchmarks_peers.py", "test_chaos.py", "test_dangerous_calls.py", "test_examples.py", "test_fuzz.py", "test_house_rules.py",
    "test_new_user.py", "test_protocol_model.py", "test_readme.py", "test_secrets.py", "test_servers.py", "test_state_machine.py",
    "test_supply_chain.py", "test_topologies.py", "worker/test_descriptors.py", "worker/test_degraded.py", "test_typing.py", "test_wait_model.py",
    "test_web.py",
}  # fmt: skip
OF_NO_MODULE_EITHER = ("contract", "deploy", "docs", "scripts")
"""Tests of promises, of the monitoring, of the documentation, of the scripts and of the tests themselves."""


def module(path: Path) -> str:
    """The name of a module in this file: without the package's, which stands for its face."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "chute"


TREES = {module(path): ast.parse(path.read_text()) for path in sorted(SRC.rglob("*.py"))}
SOURCES = {module(path): path.read_text() for path in SRC.rglob("*.py")}
MODULES = pytest.mark.parametrize("name", TREES)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def imports(name: str) -> set[str]:
    """The modules of ours that a module imports, wherever in it that stands."""
    found: set[str] = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names if each.name.split(".")[0] == "chute"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports by dots"
            source = node.module or ""
            if source.split(".")[0] == "chute":
                below = {each.name: f"{source}.{each.name}" for each in node.names}
                found |= {path if path.removeprefix("chute.") in TREES else source for path in below.values()}
    return {each.removeprefix("chute.") for each in found}


def functions(name: str) -> Iterator[tuple[str, Function]]:
    """Every function of a module with its full name."""

    def inside(node: ast.AST, path: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield f"{path}.{child.name}", child
            named = isinstance(child, Function | ast.ClassDef)
            yield from inside(child, f"{path}.{child.name}" if named else path)  # type: ignore[attr-defined]

    yield from inside(TREES[name], name)


def parameters(function: Function) -> int:
    """How many arguments a caller can give."""
    args = function.args
    names = [each.arg for each in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"])) + bool(args.vararg) + bool(args.kwarg)


def docstrings(tree: ast.AST) -> set[int]:
    """Strings that stand alone: they document."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def texts(name: str) -> list[str]:
    """The strings of a module that do something."""
    documenting = docstrings(TREES[name])
    nodes = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.Constant) and id(node) not in documenting]
    return [
        node.value if isinstance(node.value, str) else node.value.decode("latin-1") for node in nodes if isinstance(node.value, str | bytes)
    ]


def comments(source: str) -> list[str]:
    return [token.string for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT]


def test_every_module_has_one_layer() -> None:
    named = " ".join(LAYERS).split()
    assert sorted(named) == sorted(TREES)


@MODULES
def test_imports_go_downwards(name: str) -> None:
    level = {each: place for place, layer in enumerate(LAYERS) for each in layer.split()}
    upwards = {other for other in imports(name) if level[other] >= level[name]}
    assert not upwards, f"{name} is not above {upwards}"


def test_no_import_cycle() -> None:
    order = list(graphlib.TopologicalSorter({name: imports(name) for name in TREES}).static_order())
    assert {"__main__", "cli.work"} <= set(order)


@MODULES
def test_a_module_is_short_and_says_what_it_is_for(name: str) -> None:
    assert len(SOURCES[name].splitlines()) <= 300
    assert ast.get_docstring(TREES[name])


@MODULES
def test_functions_are_short(name: str) -> None:
    long = {path: lines for path, each in functions(name) if (lines := (each.end_lineno or 0) - each.lineno + 1) > 40}
    assert not long


def test_functions_take_few_parameters() -> None:
    assert {path for name in TREES for path, each in functions(name) if parameters(each) > 6} == PUBLIC_OPTIONS


@MODULES
def test_what_is_public_is_documented(name: str) -> None:
    bare: list[str] = []

    def look(node: ast.Module | ast.ClassDef, path: str) -> None:
        for child in node.body:
            if not isinstance(child, Function | ast.ClassDef) or child.name.startswith("_"):
                continue
            overload = isinstance(child, Function) and any(ast.unparse(each) == "overload" for each in child.decorator_list)
            if not overload and not ast.get_docstring(child):
                bare.append(f"{path}.{child.name}")
            if isinstance(child, ast.ClassDef):
                look(child, f"{path}.{child.name}")

    look(TREES[name], name)
    assert not bare


COMMAND = re.compile(
    r"(APPEND|AUTH|B?[LR]POP|BLMOVE|BZPOP|CLIENT|COMMAND|CONFIG|DEL|EVAL|EXPIRE|FCALL|FLUSH|GETDEL|GETEX|GET$|H(DEL|GET|INCR|KEYS|LEN|MGET|SET)|INCR|"
    r"INFO|L(INDEX|LEN|MOVE|POS|RANGE|REM|SET|TRIM)|[LR]PUSH|MSET|MULTI|PING|PUBLISH|S(ADD|CARD|ISMEMBER|MEMBERS|REM)$|SCAN|SCRIPT|SET$|SETEX|SETNX|"
    r"SHUTDOWN|SUBSCRIBE|TIME$|TTL|UNLINK|WAIT|X[A-Z]+|Z[A-Z]+)[A-Z]*( |$)"
)
KEY = re.compile(r"(queue|result|first|leases|info|workers|tags|scheduled|dead|refused|unique|cancelled|cron|once|counts):(\S|$)")
METHODS = {
    "blmove", "blpop", "brpop", "eval", "evalsha", "execute_command", "expire", "hdel", "hget", "hgetall", "hset", "llen", "lmove", "lpop", "lpush",
    "lrange", "pipeline", "publish", "rpop", "rpush", "sadd", "script_load", "setex", "xadd", "xdel", "xrange", "xtrim", "zadd", "zcard", "zrange",
}  # fmt: skip


def test_the_patterns_know_a_command_and_a_key_when_they_see_one() -> None:
    for text in ("LPUSH", "LLEN", "EVALSHA", "HGETALL", "XREVRANGE", "ZCARD", "CLIENT", "SADD", "INFO server", "BLMOVE", "GET", "WAITAOF"):
        assert COMMAND.match(text), text
    assert all(map(KEY.match, ("queue:", "queue:jobs", "result:", "leases:{")))
    for text in ("FILE", "QUEUE", "ENTRY", "GETTING", "SETUP", "queue: it is", "the queue", "MODULE"):
        assert not COMMAND.match(text), text
        assert not KEY.match(text), text


@pytest.mark.parametrize("name", sorted(TREES.keys() - SPEAK_TO_THE_SERVER))
def test_one_door_to_the_server(name: str) -> None:
    assert not [text for text in texts(name) if COMMAND.match(text) or KEY.match(text)]
    called = {node.func.attr for node in ast.walk(TREES[name]) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    assert not called & METHODS


@pytest.mark.parametrize("name", sorted(TREES.keys() - READ_THE_ENVIRONMENT))
def test_the_environment_is_read_in_one_place(name: str) -> None:
    names = {node.attr for node in ast.walk(TREES[name]) if isinstance(node, ast.Attribute)}
    names |= {each.name for node in ast.walk(TREES[name]) if isinstance(node, ast.ImportFrom) for each in node.names}
    assert not names & {"environ", "environb", "getenv", "getenvb"}


@MODULES
def test_composition_only(name: str) -> None:
    ours = {node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)} - {"ChuteError"}
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ClassDef):
            assert not {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases} & ours, node.name
            assert not {child.name for child in node.body if isinstance(child, Function)} & {"__getattr__", "__getattribute__"}, node.name


def test_suppressions_are_counted() -> None:
    found = [comment for source in SOURCES.values() for comment in comments(source)]
    for kind, limit in SUPPRESSIONS.items():
        lines = [comment for comment in found if kind in comment]
        assert len(lines) <= limit, lines


@pytest.mark.parametrize("path", sorted([*SRC.rglob("*.py"), *TESTS.rglob("*.py")]), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_is_a_banner(path: Path) -> None:
    assert not [comment for comment in comments(path.read_text()) if re.search(r"[-=#*~_]{4,}", comment)]


def test_the_public_names() -> None:
    assert chute.__all__ == PUBLIC
    assert len(PUBLIC) <= 16
    assert all(hasattr(chute, name) for name in PUBLIC)


def test_work_has_few_options() -> None:
    shown = subprocess.run([sys.executable, "-m", "chute", "work", "--help"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", shown, re.MULTILINE)
    assert {"--concurrency", "--help"} < set(options)
    assert len(set(options) - {"--help"}) <= 12


def mirror(name: str) -> Path:
    """The test file of a module; a package's own is inside its folder."""
    parts = name.split(".")
    package = SRC.joinpath(*parts).is_dir()
    return TESTS.joinpath(*(parts if package else parts[:-1]), f"test_{parts[-1]}.py")


def test_tests_mirror_modules() -> None:
    files = {path for path in TESTS.rglob("test_*.py") if path.relative_to(TESTS).parts[0] not in OF_NO_MODULE_EITHER}
    mirrors = {mirror(name): name for name in TREES}
    assert {path.relative_to(TESTS).as_posix() for path in files - mirrors.keys()} == OF_NO_MODULE
    assert {name for path, name in mirrors.items() if path not in files} == WITHOUT_A_TEST
