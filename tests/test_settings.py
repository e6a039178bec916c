"""settings.py: each variable, its default, and that it is read when it is asked for."""

from pathlib import Path

import pytest

from chute import settings


def test_the_server_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.server_url() is None
    monkeypatch.setenv("REDIS_URL", "redis://one")
    assert settings.server_url() == ("redis://one", "REDIS_URL")
    monkeypatch.setenv("CHUTE_URL", "redis://two")
    assert settings.server_url() == ("redis://two", "CHUTE_URL")
    monkeypatch.setenv("CHUTE_URL", "")
    assert settings.server_url() == ("redis://one", "REDIS_URL"), "an empty variable names no server"


def test_where_the_embedded_server_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CHUTE_HOME", "~/mine")
    assert settings.home() == tmp_path / "mine"
    monkeypatch.setenv("CHUTE_HOME", "relative")
    assert settings.home() == Path.cwd() / "relative"
    monkeypatch.delenv("CHUTE_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert settings.home() == tmp_path / "state" / "chute"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert settings.home() == tmp_path / ".local" / "state" / "chute"


def test_the_intervals_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHUTE_BEAT", raising=False)
    monkeypatch.delenv("CHUTE_DEAD_AFTER", raising=False)
    assert (settings.beat_every(), settings.dead_after()) == (5.0, 30.0)
    monkeypatch.setenv("CHUTE_BEAT", "0.2")
    monkeypatch.setenv("CHUTE_DEAD_AFTER", "1.5")
    assert (settings.beat_every(), settings.dead_after()) == (0.2, 1.5)


def test_what_outlives_us_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHUTE_URL", "REDIS_URL", "AWS_SECRET_ACCESS_KEY", "LC_ALL"):
        monkeypatch.setenv(name, "C")
    assert settings.bare().keys() & {"CHUTE_URL", "REDIS_URL", "AWS_SECRET_ACCESS_KEY"} == set()
    assert {"PATH", "LC_ALL"} <= settings.bare().keys()
