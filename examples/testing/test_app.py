"""Tests of an app that enqueues jobs, with the fixtures that come with Chute: nothing to configure, no server to start.

In this directory:

    pytest
"""

import pytest
from app import mail, send, sign_up

import chute
import chute.testing


def test_a_task_is_a_function():
    assert send("ada@example.org", "Hello") == "Hello -> ada@example.org"


def test_what_is_enqueued(chute_server):
    # chute_server: a real, empty server for this test, whatever CHUTE_URL says.
    sign_up("ada@example.org")
    chute.testing.assert_enqueued(send, to="ada@example.org", subject="Welcome")
    assert chute.testing.assert_enqueued(send, subject="How do you like it?").due_in > 86_000


def test_what_comes_of_it(chute_drain):
    # chute_drain: runs a real worker on that server until nothing is ready.
    job = sign_up("ada@example.org")
    assert chute_drain(mail).completed == 1
    assert job.result(timeout=0) == "Welcome -> ada@example.org"


def test_the_mail_of_tomorrow(chute_drain):
    sign_up("ada@example.org")
    assert chute_drain(mail).completed == 1
    chute.testing.advance(mail, 86_400)  # nobody waits for a delay, nor for a retry
    assert chute_drain(mail).completed == 1


def test_a_failure(chute_drain):
    job = sign_up("nowhere")
    assert chute_drain(mail).failed == 1
    with pytest.raises(chute.errors.JobFailed, match="nowhere is no address"):
        job.result(timeout=0)


def test_without_a_server(chute_inline):
    # chute_inline: enqueue runs the job at once, by the worker's own steps; delays count for nothing.
    assert sign_up("ada@example.org").result() == "Welcome -> ada@example.org"
