"""What a key means, from what was chosen before."""

import pytest

from chute.cli.steering import Deed, View, press, settle
from cli.made import watched

QUEUES = [watched("a"), watched("b", dead=3), watched("c")]
QUESTION = "requeue all 3 dead letters of queue b? y/n"


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("a", "down", "b"),
        ("a", "j", "b"),
        ("b", "up", "a"),
        ("b", "k", "a"),
        ("a", "up", "a"),
        ("c", "j", "c"),
        ("b", "x", "b"),
        ("", "j", "b"),
    ],
)
def test_a_queue_is_selected(before: str, key: str, after: str) -> None:
    view, deed = press(View(before), key, QUEUES)
    assert (view.selected, deed) == (after, None)


@pytest.mark.parametrize(("key", "deed"), [("p", "pause"), ("r", "resume"), ("q", "quit"), ("", None), ("escape", None), ("y", None)])
def test_a_key_is_a_deed(key: str, deed: Deed | None) -> None:
    assert press(View("b", message="old"), key, QUEUES) == (View("b"), deed)


def test_dead_letters_go_back_after_a_yes() -> None:
    asked, deed = press(View("b"), "R", QUEUES)
    assert (asked, deed) == (View("b", asking=True, message=QUESTION), None)
    answered, deed = press(asked, "y", QUEUES)
    assert (answered.asking, deed) == (False, "requeue")


@pytest.mark.parametrize("key", ["n", "q", "escape", "down", "R", "p", ""])
def test_without_a_yes_nothing_is_done(key: str) -> None:
    assert press(View("b", asking=True, message=QUESTION), key, QUEUES) == (View("b", message="nothing was requeued"), None)


def test_where_nothing_is_dead_nothing_is_asked() -> None:
    assert press(View("a"), "R", QUEUES) == (View("a", message="queue a has no dead letters"), None)


def test_a_queue_that_has_gone_is_no_longer_selected() -> None:
    assert settle(View("gone", asking=True), QUEUES) == View("a")
    assert settle(View("b", asking=True), QUEUES) == View("b", asking=True)
    assert settle(View("gone"), []) == View("")


@pytest.mark.parametrize("key", ["p", "r", "R", "j", "k"])
def test_without_queues_there_is_nothing_to_do(key: str) -> None:
    assert press(View(), key, []) == (View(), None)
    assert press(View(), "q", []) == (View(), "quit")
