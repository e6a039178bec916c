"""The tables themselves: a state that is written is the state that is read."""

import pytest

from scripts.table import Expiring, Scored, Table

pytestmark = pytest.mark.leaves("string", "list", "hash", "set", "zset", "stream", "a")


def test_a_state_is_read_as_it_was_written(table: Table) -> None:
    state = {
        "string": "a",
        "list": ["left", "right", "\udcff\udcfe"],
        "hash": {"field": "value", "\udcff": ""},
        "set": {"a", "b"},
        "zset": Scored({"a": 1.5, "b": 1_700_000_000_123.0}),
        "stream": [{"body": "\udcff"}, {"body": "b", "reason": "failed"}],
        "expiring": Expiring({"status": "completed"}),
    }
    assert table.given(state) is state
    assert table.state() == state


def test_a_state_holds_every_key(table: Table) -> None:
    table.given({"a": "1"})
    table.client.set("unexpected", "2", ex=60)
    assert table.state() == {"a": "1", "unexpected": Expiring("2")}
