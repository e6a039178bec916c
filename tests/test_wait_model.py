"""The wait protocol loses no wake-up in any order of events, and each of its rules is needed: without one the search finds a loss."""

import pytest

from wait_model import Rules, State, search

PUSHES = ("nnhh", "hhnn", "nhnh", "nhhn")


@pytest.mark.parametrize("want", [1, 2])
@pytest.mark.parametrize("workers", [2, 3])
def test_no_wake_up_is_lost(workers: int, want: int) -> None:
    found = [search(workers, pushes, 2, Rules(want=want)) for pushes in PUSHES]
    assert sum(each.states for each in found) > {2: 6_000, 3: 60_000}[workers], "the search must not have shrunk"
    assert [lost for each in found for lost in each.lost] == []


@pytest.mark.parametrize(
    "bug",
    [
        pytest.param(Rules(wake_after_claim=False), id="a claim does not pass the wake on"),
        pytest.param(Rules(wake_when_fenced=False), id="a fenced claim does not pass the wake on"),
        pytest.param(Rules(high_rings_the_bell=False), id="a high job never shows in the public list"),
        pytest.param(Rules(reclaim_to_the_public_list=False), id="a reclaimed job does not show in the public list"),
    ],
)
def test_each_rule_is_needed(bug: Rules) -> None:
    lost = [state for workers in (2, 3) for pushes in PUSHES for state in search(workers, pushes, 1, bug).lost]
    assert len(lost) >= 1
    assert all("blocked" in state.phases for state in lost)


def test_a_lost_wake_up_is_seen_as_such() -> None:
    """The smallest case by hand: one worker sleeps, a high job is put where no sleeper looks."""
    found = search(1, "h", 0, Rules(high_rings_the_bell=False))
    assert found.lost == [State((), (1,), ("blocked",), (0,), ((),), "", 0)]
    assert search(1, "h", 0, Rules()).lost == []
