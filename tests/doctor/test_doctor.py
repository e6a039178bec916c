"""A doctor looks at real servers and real queues. It changes nothing, and says what it may not look at."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
import redis

from chute import doctor
from chute.address import Address
from chute.connection import reach
from chute.doctor import look, users
from chute.doctor.remark import Remark
from chute.rights import KINDS, ROLES, YOUNGER, Need, Role, needs
from servers import Server, StartServer, send, until

ROLE = {role.name: role for role in ROLES}
Clock = look.Clock


def ask(server: Server, *queues: str, clock: Clock | None = None, user: str = "") -> list[Remark]:
    where = Address(f"unix://{user}:pw@{server.socket}" if user else server.url, "--url")
    endpoint = reach(where)
    try:
        return [*doctor.examine(endpoint, queues, **({"clock": clock} if clock else {}))]
    finally:
        endpoint.close()


def mends(remarks: Iterable[Remark], check: str) -> list[str]:
    return [remark.what for remark in remarks if (remark.check, remark.state) == (check, "mend")]


def grant(client: redis.Redis, user: str, role: Role, *more: str) -> None:
    """A user with just what a role needs, with every key."""
    known = [f"+{name}" for name in role.needs]
    send(client, "ACL", "SETUSER", user, "reset", "on", ">pw", "~*", *known, *more)


@pytest.fixture
def guarded(each_server: Server) -> Iterator[Server]:
    yield each_server
    with each_server.new_client(decode_responses=True) as client:
        for name in set(send(client, "ACL", "USERS")) - {"default"}:
            send(client, "ACL", "DELUSER", name)


def known(server: Server, role: Role) -> Role:
    """The role without what this server does not know."""
    return replace(
        role,
        needs={name: kinds for name, kinds in role.needs.items() if server.kind != "redis" or name not in YOUNGER},
    )


def test_it_changes_nothing(each_server: Server) -> None:
    client = each_server.client()
    client.lpush("queue:jobs", "x")
    changes = client.info("persistence")["rdb_changes_since_last_save"]
    before = sorted(client.keys())
    ask(each_server)
    ask(each_server, "jobs", "other")
    assert sorted(client.keys()) == before
    assert client.info("persistence")["rdb_changes_since_last_save"] == changes


@pytest.mark.parametrize("name", ["worker", "producer", "observer", "operator"])
def test_each_right_that_is_missing_is_found(guarded: Server, name: str) -> None:
    """Also those that only a script needs: who may store and may not remove would copy jobs."""
    client, role = guarded.client(), known(guarded, ROLE[name])
    endpoint = reach(Address(f"unix://{name}:pw@{guarded.socket}", "--url"))
    for need in needs(role):
        if need.command in ("evalsha", "script|load"):
            continue
        grant(client, name, role, f"-{need.command}")
        rights = look.rights(endpoint.parts[0], "doctor")
        said = [remark for remark in users.judge(name, rights, full=False) if remark.state == "mend"]
        assert [f"not: {need}".split(" on ")[0] in each.what for each in said] == [True], need
    grant(client, name, role)
    rights = look.rights(endpoint.parts[0], "doctor")
    assert [remark.state for remark in users.judge(name, rights, full=False)] == ["well"]
    endpoint.close()


def test_a_key_that_a_user_may_not_use_is_found(guarded: Server) -> None:
    client, role = guarded.client(), known(guarded, ROLE["worker"])
    keys = [
        "~queue:*",
        "~result:*",
        "~queues",
        *[f"~{kind}:{{queue:*" for kind in KINDS.split() if kind not in ("queue", "result", "queues")],
    ]
    for missing, told in (("~dead:{queue:*", "on dead"), ("~queue:*", "on queue"), ("~info:{queue:*", "on info"), ("~queues", "on queues")):
        grant(client, "worker", role, "resetkeys", *[key for key in keys if key != missing])
        (said,) = mends(ask(guarded, user="worker"), "rights")
        assert told in said, said
    grant(client, "worker", role, "resetkeys", *keys)
    assert not mends(ask(guarded, user="worker"), "rights")
    grant(client, "worker", role, "resetkeys", *[key for key in keys if key != "~dead:{queue:*"], "%W~dead:{queue:*")
    (said,) = mends(ask(guarded, user="worker"), "rights")
    assert "the keys of script finish" in said, "a script's keys need to be free to read and to write"


def test_who_may_hardly_do_anything_is_told_what_was_not_looked_at(guarded: Server) -> None:
    client = guarded.client()
    send(client, "ACL", "SETUSER", "pusher", "on", ">pw", "+ping", "+lpush", "%W~queue:*")
    for queues in ((), ("jobs",)):
        said = ask(guarded, *queues, user="pusher")
        assert {remark.check for remark in said if remark.state == "unchecked"} == {"clock", "server", "settings", "rights", "queues"}
        assert {remark.state for remark in said} == {"unchecked", "well"}


def test_who_may_do_nothing_of_it_is_told_so(guarded: Server) -> None:
    send(guarded.client(), "ACL", "SETUSER", "odd", "on", ">pw", "+evalsha", "+script|load", "+get", "~mine:*")
    (said,) = mends(ask(guarded, user="odd"), "rights")
    assert "may be none of: pusher, sender" in said


def test_a_wrong_clock_is_found(each_server: Server) -> None:
    (said,) = mends(ask(each_server, clock=lambda: time.time() - 60), "clock")
    assert said.startswith("the server's is 60.0 s ahead of")
    (said,) = mends(ask(each_server, clock=lambda: time.time() + 60), "clock")
    assert said.startswith("the server's is 60.0 s behind")
    assert not mends(ask(each_server), "clock")


def test_a_replica_is_found_by_both(start_server: StartServer) -> None:
    primary = start_server("valkey", tcp=True)
    assert [remark.state for remark in ask(primary) if remark.check == "replicas"] == ["note"]
    replica = start_server("valkey", "--replicaof", f"127.0.0.1 {primary.port}", tcp=True)
    assert mends(ask(replica), "replicas") == ["this server is a replica"]
    assert until(lambda: [remark.what for remark in ask(primary) if remark.check == "replicas"] == ["1 in step"])


def test_needs_are_said_in_words() -> None:
    assert [str(need) for need in (Need("ping"), Need("ltrim", "queue"), Need("blmove", "queue+first"))] == [
        "ping",
        "ltrim on queue",
        "blmove on queue and first",
    ]
