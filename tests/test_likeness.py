"""What is most like a word: a slip is found, what is unlike only where anything will do, a very long word in no time."""

import time

import pytest

from chute.likeness import likest

KNOWN = ["answer", "summarize", "translate"]


@pytest.mark.parametrize(("word", "meant"), [("anwser", "answer"), ("summarise", "summarize"), ("xyz", ""), ("", "")])
def test_a_slip_is_found(word: str, meant: str) -> None:
    assert likest(word, KNOWN) == meant


def test_something_is_where_anything_will_do() -> None:
    assert likest("xyz", KNOWN, however_unlike=True) in KNOWN
    assert likest("xyz", [], however_unlike=True) == ""


def test_a_long_word_takes_no_longer() -> None:
    began = time.process_time()
    likest("a" * 1_000_000, ["a" * 200] * 5)
    assert time.process_time() - began < 0.5
