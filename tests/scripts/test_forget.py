"""State tables of forget: the result of a job that failed is gone before it runs anew, one that completed stays."""

from typing import Any

import pytest

from chute.script import FORGET
from scripts.table import QUEUE, Expiring, Table


def forget(table: Table) -> Any:
    return table.call(FORGET.on(result="result:a")())


@pytest.mark.parametrize(
    "before", [{"status": "failed", "error": "old"}, {"status": "expired"}, {"question": "why"}, "a string", ["a", "list"]]
)
def test_deletes_what_is_no_completed_result(table: Table, before: Any) -> None:
    table.given({QUEUE: ["b"], "result:a": Expiring(before), "result:b": Expiring({"status": "failed"})})
    assert forget(table) == 1
    assert table.state() == {QUEUE: ["b"], "result:b": Expiring({"status": "failed"})}
    assert forget(table) == 0


def test_spares_a_completed_one(table: Table) -> None:
    before = table.given({"result:a": Expiring({"status": "completed"})})
    assert forget(table) == 0
    assert table.state() == before
