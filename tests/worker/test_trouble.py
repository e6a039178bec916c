"""What goes wrong again and again is said once, and once more when it is over."""

import logging

import pytest

from chute.worker import clock
from chute.worker.trouble import AGAIN, QUIET, Trouble


def test_it_is_said_once_when_it_changes_and_when_it_is_over(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.WARNING, "chute.worker")
    now = 100.0
    monkeypatch.setattr(clock, "now", lambda: now)
    trouble = Trouble("all is well")
    trouble.ends()
    for _ in range(3):
        trouble.says("no room")
        trouble.ends()
    trouble.says("no disk")
    now += QUIET + 1
    trouble.ends()
    trouble.ends()
    trouble.says("no disk")
    now += AGAIN + 1
    trouble.says("no disk")
    assert caplog.messages == ["no room", "no disk", "all is well", "no disk", "no disk"]
