"""The pytest plugin: fixtures around `chute.testing`. Installed with Chute, or asked for with `pytest -p chute.testing.plugin`.

Nothing is started or changed for a test that asks for none of them. Under pytest-xdist every worker process has a server of its own. In an
asyncio test, `await chute.aclose()` closes the connections of its loop: a fixture cannot.
"""

from collections.abc import Callable, Iterator

import pytest

from chute.connection import endpoint
from chute.testing import door
from chute.testing.burst import Drained, drain
from chute.testing.immediate import Inline, inline
from chute.testing.throwaway import Throwaway, using


@pytest.fixture(scope="session")
def _chute_throwaway() -> Iterator[Throwaway]:
    started = Throwaway()
    yield started
    started.stop()


@pytest.fixture
def chute_server(_chute_throwaway: Throwaway) -> Iterator[str]:
    """An empty server for this test, used by every queue; its URL. One process serves a whole session."""
    with using(_chute_throwaway.address):
        endpoint().run(door.empty())
        yield _chute_throwaway.url


@pytest.fixture
def chute_drain(chute_server: str) -> Callable[..., Drained]:
    """`chute.testing.drain` on an empty server: `assert chute_drain(jobs).completed == 1`."""
    return drain


@pytest.fixture
def chute_inline() -> Iterator[Inline]:
    """Jobs of this test run when they are enqueued, without a server: see `chute.testing.inline`."""
    with inline() as block:
        yield block
