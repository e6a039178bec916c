"""The whole of it as its documentation shows it, and its names."""

import inspect

import chute.testing
from testing.tasks import answer, jobs


def test_the_walk_of_the_documentation() -> None:
    with chute.testing.server():
        job = answer.options(delay=60).enqueue("What is RAG?")
        chute.testing.assert_enqueued(answer, question="What is RAG?")
        chute.testing.advance(jobs, 60)
        assert chute.testing.drain(jobs).completed == 1
        assert job.result(5) == {"answer": "What is RAG? (en)"}


def test_its_names_are_there_and_documented() -> None:
    for name in chute.testing.__all__:
        assert inspect.getdoc(getattr(chute.testing, name)), name
