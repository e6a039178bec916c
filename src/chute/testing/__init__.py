"""Tests of programs that use Chute: a real server that is thrown away, a worker for as long as there is work, a clock, and assertions.

    with chute.testing.server():
        answer.options(delay=60).enqueue("What is RAG?")
        chute.testing.assert_enqueued(answer, question="What is RAG?")
        chute.testing.advance(jobs, 60)
        assert chute.testing.drain(jobs).completed == 1

Under pytest the fixtures `chute_server`, `chute_drain` and `chute_inline` do the same (see `plugin`). Only `inline` stands in for something:
there is no server in it. What `server` and `inline` choose holds for the whole process, so tests that run in threads beside each other share it.
"""

from chute.testing.burst import Drained, adrain, drain
from chute.testing.clock import advance
from chute.testing.expect import Enqueued, assert_enqueued, enqueued
from chute.testing.immediate import Inline, inline
from chute.testing.throwaway import Block, server

__all__ = ["Block", "Drained", "Enqueued", "Inline", "adrain", "advance", "assert_enqueued", "drain", "enqueued", "inline", "server"]
