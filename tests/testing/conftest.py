"""The fixtures of the plugin, whether it is installed as one or not; each test begins with nothing seen."""

import pytest

from chute.testing.plugin import _chute_throwaway, chute_drain, chute_inline, chute_server  # noqa: F401 - pytest finds them by name
from testing.tasks import SEEN


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()
