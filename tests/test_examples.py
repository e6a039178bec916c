"""Every example does what its first lines say: run as they tell it, beside real workers."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notebooks import keep_out_of_home
from servers import Server, StartServer

EXAMPLES = Path(__file__).parents[1] / "examples"
NODE = EXAMPLES / "node"


def run(*words: str, cwd: Path = EXAMPLES, url: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, in the directory that its first lines name. `url`: a server of its own choice."""
    return subprocess.run(words, cwd=cwd, env=environment(url), capture_output=True, text=True, timeout=60, check=False)


def environment(url: str) -> dict[str, str]:
    """This one, where it names a server under the name that every example reads."""
    return os.environ | ({"REDIS_URL": url} if url else {})


def lines(*words: str, url: str = "") -> list[str]:
    """What an example printed; it must have gone well."""
    done = run(sys.executable, *words, url=url)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@contextlib.contextmanager
def worker(module: str, url: str = "") -> Iterator[None]:
    """`chute work` beside it; must end by itself when it is asked to."""
    words = [sys.executable, "-m", "chute", "work", module, "--log-level", "warning"]
    process = subprocess.Popen(words, cwd=EXAMPLES, env=environment(url), stderr=subprocess.PIPE, text=True)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
    finally:
        process.kill()
        process.communicate()


def test_quickstart_sync_with_the_server_that_starts_by_itself() -> None:
    try:
        with worker("quickstart_sync"):
            first, *rest = lines("quickstart_sync.py")
    finally:
        run(sys.executable, "-m", "chute", "server", "stop")
    assert re.fullmatch(r"\S{36} (pending|completed)", first)
    assert rest == ["{'answer': 'You asked: What is RAG?'}", *[f"You asked: Question {n}?" for n in (1, 2, 3)]]


def test_quickstart_async(server: Server) -> None:
    with worker("quickstart_async", server.url):
        assert lines("quickstart_async.py", url=server.url) == [
            "one: 20",
            "all: [20, 21, 22]",
            "done: 7",
            "done: 4",
            "later: 5",
        ]


def shown(notebook: Path) -> list[str]:
    """What stands below each cell, with ids masked. What is printed may have come in pieces."""
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    texts = [["".join(output.get("text", "")) + json.dumps(output.get("data", "")) for output in cell["outputs"]] for cell in cells]
    return [re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4,12}){4}", "ID", "".join(each).replace('""', "")) for each in texts]


def test_the_notebook_in_a_real_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_out_of_home(monkeypatch, tmp_path)
    notebook, executed = EXAMPLES / "notebook.ipynb", tmp_path / "executed.ipynb"
    try:
        with worker("quickstart_async"):  # and nobody is told where the server is
            done = run(str(Path(sys.executable).parent / "jupyter"), "execute", f"--output={executed}", notebook.name)
    finally:
        run(sys.executable, "-m", "chute", "server", "stop")
    assert done.returncode == 0, done.stderr
    assert shown(executed) == shown(notebook)
    assert "".join(shown(notebook)).count("<code>ID</code>") == 2


def test_the_tests_of_an_app() -> None:
    done = run(sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist", cwd=EXAMPLES / "testing")
    assert re.search(r"^6 passed in", done.stdout, re.MULTILINE), done.stdout


def test_a_producer_that_knows_nothing_of_us(each_server: Server) -> None:
    assert "chute" not in re.findall(r"^(?:import|from) (\w+)", (EXAMPLES / "plain_redis_producer.py").read_text(), re.MULTILINE)
    with worker("quickstart_sync", each_server.url):
        assert lines("plain_redis_producer.py", "Who", "are you?", url=each_server.url) == ["completed You asked: Who are you?"]


def test_retries_and_dead_letters(server: Server) -> None:
    said = lines("retries_and_dead_letters.py", url=server.url)
    for order, runs in {1: 2, 2: 2, 3: 1, 4: 1, 5: 3}.items():
        assert [line for line in said if line.startswith(f"order {order}, run ")] == [f"order {order}, run {n + 1}" for n in range(runs)]
    assert [line for line in said if ", run " not in line] == [
        "order 1 was charged in run 2",
        "order 2 was charged in run 2",
        "failed for good: GiveUp: the card was stolen",
        "failed for good: KeyError: 'no such customer'",
        "failed for good: ConnectionError: the bank did not answer",
    ]
    chute = [sys.executable, "-m", "chute", "dead"]
    listed = [json.loads(line) for line in run(*chute, "list", "orders", "--json", url=server.url).stdout.splitlines()]
    assert sorted((json.loads(letter["job"])["order"], letter["reason"]) for letter in listed) == [
        (3, "gave_up"),
        (4, "gave_up"),
        (5, "failed"),
    ]
    assert run(*chute, "requeue", "orders", "--all", url=server.url).returncode == 0
    with server.new_client() as client:
        assert client.llen("queue:orders") == 3


@pytest.fixture(scope="session")
def node_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node example with its package, installed once; CHUTE_REQUIRE_NODE=1 makes it a failure where that cannot be."""
    required = os.environ.get("CHUTE_REQUIRE_NODE") == "1"
    if not (shutil.which("node") and shutil.which("npm")):
        reason = "no node and npm in PATH (CHUTE_REQUIRE_NODE=1 makes this a failure)"
        pytest.fail(reason) if required else pytest.skip(reason)
    directory = tmp_path_factory.mktemp("node")
    for name in ("producer.mjs", "package.json", "package-lock.json", ".npmrc"):
        shutil.copy(NODE / name, directory)
    done = run("npm", "ci", "--no-audit", "--no-fund", cwd=directory)
    if done.returncode:
        reason = f"npm could not install the package (CHUTE_REQUIRE_NODE=1 makes this a failure): {done.stderr[-500:]}"
        pytest.fail(reason) if required else pytest.skip(reason)
    return directory


def test_a_producer_in_node(node_package: Path, start_server: StartServer) -> None:
    server = start_server("valkey", tcp=True)
    with worker("quickstart_sync", server.tcp_url):
        done = run("node", "producer.mjs", "Who are you?", cwd=node_package, url=server.tcp_url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "completed You asked: Who are you?\n", "")


def test_the_lock_of_the_node_example_pins_and_names_no_registry() -> None:
    locked = json.loads((NODE / "package-lock.json").read_text())["packages"]
    wanted = json.loads((NODE / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    for name, package in locked.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


def test_the_list_of_examples_is_complete() -> None:
    listed = set(re.findall(r"\]\(([^)]+)\)", (EXAMPLES / "README.md").read_text()))
    programs = [path for path in EXAMPLES.rglob("*") if path.suffix in (".ipynb", ".mjs", ".py") and "node_modules" not in path.parts]
    assert listed == {path.relative_to(EXAMPLES).as_posix() for path in programs}
