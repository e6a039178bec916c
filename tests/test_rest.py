"""The rule by which a server that refuses everything is asked seldom."""

import pytest
import redis

from chute import rest
from chute.rest import PAUSE, Rest

REFUSALS = [
    redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    redis.ResponseError("BUSY Redis is busy running a script"),
    redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
    redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
    redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: str(error).split()[0])
def test_one_exchange_at_a_time_until_one_is_accepted(refusal: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(rest.time, "monotonic", lambda: now)
    spared = Rest()
    assert spared.over
    spared.sends()
    assert spared.over
    spared.answered(refusal)
    assert not spared.over
    now += PAUSE
    assert spared.over
    spared.sends()
    assert not spared.over
    spared.answered(refusal)
    now += PAUSE / 2
    assert not spared.over
    now += PAUSE / 2
    assert spared.over
    spared.sends()
    spared.answered(b"OK")
    assert spared.over


@pytest.mark.parametrize(
    "error",
    [redis.exceptions.OutOfMemoryError("command not allowed"), redis.exceptions.NoScriptError("x"), redis.ResponseError("WRONGTYPE")],
)
def test_what_concerns_one_command_stops_no_other(error: Exception) -> None:
    spared = Rest()
    spared.answered(error)
    assert spared.over
