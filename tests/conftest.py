"""Fixtures for every test: a clean real server, an environment that reaches nothing of the user's, and checks that nothing is left behind.

`server` is a Valkey and `each_server` a Valkey and a Redis in turn; both are started once a session and emptied before each test. After
each test its keys are compared with what a clean stop of all workers may leave; `@pytest.mark.leaves("leases", "workers")` names further
kinds (the word before the first colon) that a test leaves on purpose.
"""

import os
import shutil
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from leaks import leaks
from servers import Kind, Server, StartServer, binary, left_behind, short_directory, until

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")

_FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "leaves(*kinds): the kinds of keys that this test leaves on the server on purpose")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(scope="session", autouse=True)
def _no_process_left() -> Iterator[None]:
    """Set up before and so torn down after every other fixture: by then each server that was started here has ended."""
    yield
    assert until(lambda: not left_behind(), 2), f"processes were left behind: {left_behind()}"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reaches a server that the user's environment names, nor the user's embedded server."""
    monkeypatch.delenv("CHUTE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    directory = short_directory()
    monkeypatch.setenv("CHUTE_HOME", str(directory / "home"))
    yield
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def _session_servers() -> Iterator[dict[Kind, Server]]:
    started: dict[Kind, Server] = {}
    yield started
    for server in started.values():
        server.stop()


@pytest.fixture
def server(request: pytest.FixtureRequest, _session_servers: dict[Kind, Server]) -> Iterator[Server]:
    """A clean Valkey."""
    yield from _clean("valkey", request, _session_servers)


@pytest.fixture(params=["valkey", "redis"])
def each_server(request: pytest.FixtureRequest, _session_servers: dict[Kind, Server]) -> Iterator[Server]:
    """A clean Valkey, then a clean Redis. CHUTE_REQUIRE_REDIS=1 makes a missing Redis a failure."""
    if request.param == "redis" and binary("redis") is None and os.environ.get("CHUTE_REQUIRE_REDIS") != "1":
        pytest.skip("no redis-server in PATH (CHUTE_REQUIRE_REDIS=1 makes this a failure)")
    yield from _clean(request.param, request, _session_servers)


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Starts a server of the test's own, `start_server("redis", "--maxmemory", "10mb", tcp=True)`, and ends it with the test."""
    started: list[Server] = []

    def start(kind: Kind, *options: str, tcp: bool = False) -> Server:
        server = Server(kind, *options, tcp=tcp)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


def _clean(kind: Kind, request: pytest.FixtureRequest, started: dict[Kind, Server]) -> Iterator[Server]:
    if kind not in started:
        started[kind] = Server(kind)
    server = started[kind]
    server.reset()
    yield server
    server.close_clients()
    if request.node.stash.get(_FAILED, True) or not server.running():
        return
    kinds = {kind for mark in request.node.iter_markers("leaves") for kind in mark.args}
    with server.new_client() as client:
        left = leaks(client, kinds)
    assert not left, f"keys that a clean stop of all workers must not leave: {left}"
