"""The figures follow from the replies."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chute.demo.report import WIDTH, Answer, Reply, errors, percentile, samples, shorten, summarize, table


def reply(question: str, waited: float = 0.5, started: float = 10.0, source: str = "a.md") -> Reply:
    return Reply(question, Answer("text", source, 1.0, waited, started, started + 0.1))


def test_the_figures_are_those_of_the_replies() -> None:
    replies = [reply(f"q{number}", waited=number / 100, started=10 + number / 100) for number in range(1, 100)]
    summary = summarize([*replies, Reply("bad", None, "ValueError: no"), reply("unheard", source="", waited=1.0, started=11.0)])
    assert (summary.jobs, summary.completed, summary.failed, summary.unknown) == (101, 100, 1, 1)
    assert summary.wait_p50 == pytest.approx(0.50)
    assert summary.wait_p99 == pytest.approx(0.99)
    assert summary.rate == pytest.approx(100 / (11.1 - 10.01))


def test_without_an_answer_there_is_no_rate() -> None:
    summary = summarize([Reply("bad", None, "E: x")])
    assert math.isnan(summary.wait_p50)
    assert table(summary, 3)[1] == " rate     unknown (each one a BM25 search over 3 passages; first start to last end)"
    assert not any("waited" in row for row in table(summary, 3))
    assert errors([Reply("bad", None, "E: x")]) == [" failed   bad: E: x"]
    assert samples([Reply("bad", None, "E: x")]) == []


def test_the_table() -> None:
    assert table(summarize([reply("a"), reply("b", source="")]), 1234) == [
        " jobs     2   completed 2 · failed 0",
        " rate     20/s (each one a BM25 search over 1,234 passages; first start to last end)",
        " waited   p50 0.50 s · p99 0.50 s (all were queued at once)",
        " unknown  1 of them share no word with any passage",
    ]


@given(st.lists(st.floats(0, 1e6), min_size=1).map(sorted), st.floats(0.01, 1))
def test_a_percentile_is_the_smallest_value_that_reaches_its_share(ordered: list[float], share: float) -> None:
    value = percentile(ordered, share)
    assert sum(other <= value for other in ordered) >= share * len(ordered) * (1 - 1e-12)
    assert sum(other < value for other in ordered) < share * len(ordered)


def test_samples_prefer_questions_and_spread_over_the_run() -> None:
    replies = [reply(f"Sentence {number}.") for number in range(9)] + [reply(f"Question {number}?") for number in range(9)] * 2
    assert [line for line in samples(replies) if line.startswith(" Q")] == [" Q  Question 0?", " Q  Question 3?", " Q  Question 6?"]
    assert samples([reply("only one.")]) == [" Q  only one.", ' A  a.md: "text"']
    assert [line for line in samples([reply("one."), reply("two?")]) if line.startswith(" Q")] == [" Q  one.", " Q  two?"]


@given(st.text())
def test_a_shortened_text_is_one_line_without_control_characters(text: str) -> None:
    short = shorten(text)
    assert short.isprintable()
    assert len(short) <= WIDTH + 2


def test_a_text_is_cut_between_words() -> None:
    assert shorten("one two three", 9) == "one two …"
    assert shorten("one\x1b[31m two\n", 90) == "one [31m two"
