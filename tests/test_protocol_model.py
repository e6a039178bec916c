"""The protocol keeps every job in any order of events, and each of its rules is needed: without one the search finds what goes wrong."""

import pytest

from protocol_model import Rules, search


def test_nothing_is_lost_stuck_or_run_too_often() -> None:
    found = search(workers=2, jobs=2, faults=2, rules=Rules())
    assert found.violation == "", found.state
    assert found.states > 150_000, "the search must not have shrunk"


@pytest.mark.parametrize(
    ("bug", "violation"),
    [
        pytest.param(Rules(claim_writes_a_lease=False), "lost", id="a claim writes no lease"),
        pytest.param(Rules(claim_is_fenced=False), "stuck", id="a closed worker may claim"),
        pytest.param(Rules(claim_has_a_number_of_its_own=False), "lost", id="a repeated claim has the old number"),
        pytest.param(
            Rules(finish_looks_for_the_lease=False), "finished twice", id="a finish does not look for its lease",
        ),
        pytest.param(Rules(finish_is_repeated=False), "stuck", id="an unanswered finish is not repeated"),
        pytest.param(Rules(doubts_are_looked_for=False), "stuck", id="an unanswered claim is forgotten"),
        pytest.param(Rules(only_doubts_are_looked_for=False), "ran too often", id="claims under way are adopted too"),
        pytest.param(Rules(adopts_once=False), "ran too often", id="a lease is adopted again"),
        pytest.param(Rules(doubts_last_until_the_deadline=False), "stuck", id="a doubt ends before the deadline"),
        pytest.param(Rules(judge_sees_progress=False), "ran too often", id="a judge closes the living"),
    ],
)  # fmt: skip
def test_each_rule_is_needed(bug: Rules, violation: str) -> None:
    found = search(workers=2, jobs=2, faults=1, rules=bug)
    assert found.violation == violation
