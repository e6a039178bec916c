"""Fixtures for tests of a running worker."""

import pytest


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats and judgement twenty times as fast as in production."""
    monkeypatch.setenv("CHUTE_BEAT", "0.1")
    monkeypatch.setenv("CHUTE_DEAD_AFTER", "1.5")
