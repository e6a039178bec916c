"""What each kind of user needs, as data: whole, and asked for without harm. What is really sent is compared in tests/deploy."""

import pytest

from chute.rights import KINDS, ROLES, YOUNGER, Need, Role, needs, own, sample, within
from chute.script import SCRIPTS
from every_command import commands
from servers import Server

EACH = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


@EACH
def test_the_kinds_of_keys_are_known_and_the_scripts_are_there(role: Role) -> None:
    assert {kind for need in needs(role) for kind in need.kinds.split("+") if kind} <= {*KINDS.split()}
    assert {*role.scripts} <= {script.name for script in SCRIPTS}


def test_each_script_is_somebodys() -> None:
    assert {name for role in ROLES for name in role.scripts} == {script.name for script in SCRIPTS}


@EACH
def test_every_kind_of_user_has_something_of_its_own(role: Role) -> None:
    assert own(role)


def test_what_tells_them_from_each_other() -> None:
    worker, sender, producer = (next(role for role in ROLES if role.name == name) for name in ("worker", "sender", "producer"))
    assert within(sender, producer)
    assert within(producer, worker)
    assert not within(worker, producer)
    assert own(producer) == {Need("hgetall", "result"), Need("client|tracking")}
    assert Need("zadd", "scheduled") in own(sender)
    assert Need("ltrim", "queue") in own(worker)


@EACH
def test_every_command_that_is_asked_for_is_whole(each_server: Server, role: Role) -> None:
    """A server that is asked by a script about one with too few words reads past its end."""
    known = commands(each_server)
    for need in needs(role):
        if need.command not in known:
            assert (each_server.kind, need.command in YOUNGER) == ("redis", True)
            continue
        words, arity = len(sample(need, "jobs")), known[need.command]
        assert words == arity if arity > 0 else words >= -arity, need
