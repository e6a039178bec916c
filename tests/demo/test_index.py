"""The index finds what a plain reading of the formula finds."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chute.demo.index import K1, B, Index, words_of

WORDS = st.sampled_from(["the", "of", "job", "queue", "worker", "lease", "tag", "beat", "redis", "x"])
TEXTS = st.lists(st.lists(WORDS, min_size=1, max_size=12).map(" ".join), min_size=1, max_size=12)
QUESTIONS = st.lists(st.one_of(WORDS, st.just("unheard")), max_size=8).map(" ".join)


def slow_scores(texts: list[str], question: str) -> list[float]:
    """Okapi BM25, term by term and text by text."""
    bags = [Counter(text.split()) for text in texts]
    mean = sum(bag.total() for bag in bags) / len(bags)
    scores = []
    for bag in bags:
        score = 0.0
        for word in set(question.split()):
            holding = sum(word in other for other in bags)
            idf = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
            score += idf * bag[word] * (K1 + 1) / (bag[word] + K1 * (1 - B + B * bag.total() / mean))
        scores.append(score)
    return scores


@given(TEXTS, QUESTIONS)
def test_the_best_is_the_best_of_the_slow_way(texts: list[str], question: str) -> None:
    scores = slow_scores(texts, question)
    found = Index(texts).best(question)
    if max(scores) == 0:
        assert found is None
    else:
        assert found is not None
        number, score = found
        assert score == pytest.approx(max(scores))
        assert scores[number] == pytest.approx(max(scores))


def test_a_rare_word_counts_more_than_common_ones() -> None:
    texts = ["the worker and the queue", "the queue and the server", "the lease of the job", "the worker of the queue"]
    assert Index(texts).best("the queue and the lease") == (2, pytest.approx(Index(texts).best("the lease")[1]))  # type: ignore[index]


def test_of_equal_texts_the_first_is_taken() -> None:
    found = Index(["other", "same words", "same words"]).best("words")
    assert found is not None
    assert found[0] == 1


@pytest.mark.parametrize("texts", [[], [""], ["", "..."]])
def test_nothing_is_found_in_nothing(texts: list[str]) -> None:
    assert Index(texts).best("anything") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is RAG?", ["what", "is", "rag"]),
        ("job_id: Straße", ["job", "id", "strasse"]),
        ("redis队列 works", ["redis", "队", "列", "works"]),
        ("--- !!", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words
