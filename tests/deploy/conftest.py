"""These tests need a Prometheus."""

import os

import pytest

from deploy.prometheus import installed


@pytest.fixture(scope="session", autouse=True)
def _a_prometheus() -> None:
    if not installed() and os.environ.get("CHUTE_REQUIRE_PROMETHEUS") != "1":
        pytest.skip("no prometheus and promtool in PATH (CHUTE_REQUIRE_PROMETHEUS=1 makes this a failure)")
