"""Which jobs pay for the death of a process."""

import json

import pytest

from chute import envelope
from chute.outcome import Failed
from chute.worker.charge import charged

NOTE = b',"@deaths":1'


def test_each_death_is_noted_in_the_job_and_its_own_bytes_stay() -> None:
    body = b'{"job_id":"a", "n": 1.0e2,"@task":"t"}'
    once = charged(body)
    assert isinstance(once, bytes)
    assert json.loads(once) == {"job_id": "a", "n": 100.0, "@task": "t", "@deaths": 1}
    assert b"1.0e2" in once
    twice = charged(once)
    assert isinstance(twice, bytes)
    assert json.loads(twice)["@deaths"] == 2


@pytest.mark.parametrize("deaths", [2, 3, 1000])
def test_the_third_death_is_the_last(deaths: int) -> None:
    end = charged(b'{"job_id":"a","@task":"t","@deaths":%d}' % deaths)
    assert isinstance(end, Failed)
    assert end.reason == "poison"
    times = f"{deaths + 1} times, the last time with nothing else running"
    assert end.error == f"the process that ran it (task t) died {times}: it is not run again"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"@deaths":-1}', b'{"job_id":""}'])
def test_what_is_no_job_goes_back_as_it_is(body: bytes) -> None:
    assert charged(body) == body


@pytest.mark.parametrize(("room", "noted"), [(0, False), (len(NOTE) - 1, False), (len(NOTE), True)])
def test_a_job_with_no_room_for_the_note_is_not_run_again(room: int, noted: bool) -> None:
    body = b'{"a":"%s"}' % (b"x" * (envelope.MAX_BYTES - 8 - room))
    assert len(body) == envelope.MAX_BYTES - room
    again = charged(body)
    if noted:
        assert again == body[:-1] + NOTE + b"}"
    else:
        assert isinstance(again, Failed)
        assert (again.reason, "no room to note that" in again.error) == ("poison", True)
