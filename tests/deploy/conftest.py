"""What some of these tests need of the machine: `pytest.mark.usefixtures("a_prometheus")`."""

import os
import shutil
import sys

import pytest

from deploy.prometheus import installed
from deploy.users import grant
from servers import Kind, Server, StartServer, binary


@pytest.fixture(scope="session")
def a_prometheus() -> None:
    """Prometheus and promtool."""
    if not installed() and os.environ.get("CHUTE_REQUIRE_PROMETHEUS") != "1":
        pytest.skip("no prometheus and promtool in PATH (CHUTE_REQUIRE_PROMETHEUS=1 makes this a failure)")


@pytest.fixture(scope="session")
def a_root() -> None:
    """Root on Linux, with the programs that containers are made of: there all of it works, and must."""
    if (sys.platform != "linux" or os.geteuid() != 0) and os.environ.get("CHUTE_REQUIRE_ROOT") != "1":
        pytest.skip("needs root on Linux (CHUTE_REQUIRE_ROOT=1 makes this a failure)")
    needed = ("unshare", "nsenter", "setpriv", "redis-server", "redis-cli")
    assert all(map(shutil.which, needed)), f"one is missing: {', '.join(needed)}"


@pytest.fixture(params=["valkey", "redis"])
def guarded(request: pytest.FixtureRequest, start_server: StartServer) -> Server:
    """A server that knows the users. CHUTE_REQUIRE_REDIS=1 makes a missing Redis a failure."""
    kind: Kind = request.param
    if binary(kind) is None and os.environ.get("CHUTE_REQUIRE_REDIS") != "1":
        pytest.skip(f"no {kind}-server (CHUTE_REQUIRE_REDIS=1 makes this a failure)")
    server: Server = start_server(kind, "--appendonly", "yes", tcp=True)
    grant(server)
    return server
