"""What the users of users.acl may not do: everything but their own work. On both servers."""

import re

import pytest
import redis

from chute import script
from contract.helpers import push
from deploy.users import password, rules
from servers import Server, send

CALLS = {
    "worker": (
        script.ADOPT, script.BEAT, script.CLAIM, script.CLOSE, script.ENQUEUE, script.FINISH, script.INFORM, script.PROMOTE, script.RECLAIM,
        script.REGISTER, script.STORE,
    ),
    "observer": (script.OBSERVE, script.BROWSE),
    "producer": (script.ENQUEUE,),
    "operator": (script.BROWSE, script.ENQUEUE, script.FORGET, script.OBSERVE, script.PAUSE, script.REQUEUE, script.RESUME),
}  # fmt: skip
"""Who runs which scripts; what those call in seldom cases is granted too."""


@pytest.mark.parametrize("user", CALLS)
def test_whatever_a_script_may_call_is_granted(user: str) -> None:
    for each in CALLS[user]:
        called = set(re.findall(r"""(?:call|try)\(["']([A-Z]+)["']""", each.source))
        assert called, each.name
        assert {f"+{name.lower()}" for name in called} <= {*rules()[user]}, each.name


def test_each_script_is_somebodys() -> None:
    assert {each for scripts in CALLS.values() for each in scripts} == {*script.SCRIPTS}


@pytest.mark.parametrize("user", rules())
def test_commands_are_granted_by_their_names(user: str) -> None:
    words = rules()[user]
    assert words.index("-@all") < min(words.index(word) for word in words if word.startswith("+"))
    assert {word for word in words if "@" in word} == {"-@all"}
    assert not {"allkeys", "~*", "allcommands", "allchannels", "&*"} & {*words}
    harmful = {
        "keys",
        "flushall",
        "flushdb",
        "config",
        "acl",
        "shutdown",
        "debug",
        "monitor",
        "client",
        "script",
        "eval_ro",
        "function",
        "migrate",
    }
    assert not {f"+{name}" for name in harmful} & {*words}


FORBIDDEN = [
    "KEYS *", "FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET maxmemory 1", "ACL LIST", "ACL SETUSER worker on", "CLIENT KILL ID 1", "CLIENT LIST",
    "MONITOR", "SHUTDOWN NOSAVE", "SCRIPT FLUSH", "REPLICAOF NO ONE", "SUBSCRIBE x", "PUBLISH x y", "SWAPDB 0 1", "RENAME queue:jobs x",
    "GET session:1", "HGETALL users", "LPUSH mail 1", "LLEN mail", "SET session:1 x", "DEL session:1", "TYPE session:1", "LRANGE mail 0 -1",
]  # fmt: skip
"""Commands that nobody may send, and keys that are nobody's."""
OF_OTHERS = {
    "worker": ["SCAN 0", "SMEMBERS queues"],
    "observer": ["SCAN 0", "LPUSH queue:jobs x", "DEL queue:jobs", "HSET result:x a b", "XDEL dead:{queue:jobs} 1-1", "BLMOVE queue:jobs queue:a LEFT LEFT 1"],
    "producer": [
        "SCAN 0", "LRANGE queue:jobs 0 -1", "DEL queue:jobs", "RPOP queue:jobs", "HSET result:x a b", "EXPIRE result:x 1", "HGETALL workers:{queue:jobs}",
        "XRANGE dead:{queue:jobs} - +", "SADD queues x", "GET unique:x",
    ],
    "operator": ["RPOP queue:jobs", "BLMOVE queue:jobs queue:a LEFT LEFT 1", "HSET result:x a b", "EVAL return(1) 0"],
    "scaler": ["LPUSH queue:jobs x", "LRANGE queue:jobs 0 -1", "SCAN 0", "EVALSHA x 0"],
}  # fmt: skip
"""What is only for others."""


@pytest.mark.parametrize("user", OF_OTHERS)
def test_what_is_not_theirs_is_refused(guarded: Server, user: str) -> None:
    with guarded.new_client(username=user, password=password(user)) as client:
        for line in FORBIDDEN + OF_OTHERS[user]:
            with pytest.raises(redis.exceptions.NoPermissionError):
                send(client, *line.split())
        assert client.ping()


def test_a_script_reaches_no_key_of_others(guarded: Server) -> None:
    with guarded.new_client(username="producer", password=password("producer")) as client:
        sha = send(client, "SCRIPT", "LOAD", "return redis.call('LLEN', 'mail')")
        with pytest.raises(redis.exceptions.NoPermissionError):
            send(client, "EVALSHA", sha, 1, "mail")
        with pytest.raises(redis.ResponseError, match=r"permission|access"):
            send(client, "EVALSHA", sha, 0)


def test_a_scaler_can_tell_the_length_of_a_list(guarded: Server) -> None:
    with guarded.new_client() as client, guarded.new_client(username="scaler", password=password("scaler")) as scaler:
        push(client, "jobs", {"job_id": "1"}, {"job_id": "2"})
        length = "if redis.call('TYPE', KEYS[1]).ok == 'list' then return redis.call('LLEN', KEYS[1]) end return -1"
        assert send(scaler, "EVAL", length, 1, "queue:jobs") == 2
