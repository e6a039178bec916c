"""What goes wrong again and again is said once, and once more when it is over."""

import logging

import pytest

from chute.worker import clock
from chute.worker.trouble import AGAIN, Trouble


def test_it_is_said_once_when_it_changes_and_when_it_is_over(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.WARNING, "chute.worker")
    trouble = Trouble("all is well")
    trouble.ends()
    for _ in range(3):
        trouble.says("no room")
    trouble.says("no disk")
    trouble.ends()
    trouble.ends()
    trouble.says("no disk")
    assert caplog.messages == ["no room", "no disk", "all is well", "no disk"]
    later = clock.now() + AGAIN + 1
    monkeypatch.setattr(clock, "now", lambda: later)
    trouble.says("no disk")
    assert caplog.messages[4:] == ["no disk"]
