"""What the users of deploy/acl may do, and nothing else: their own work. On both servers."""

import importlib.util
import re
from types import ModuleType

import pytest
import redis

from chute.rights import ROLES, Role
from chute.script import SCRIPTS
from contract.helpers import push
from deploy.every_right import ENDS_OR_CHANGES, LISTS, asked, text, tried
from deploy.prometheus import ROOT
from deploy.users import FILES, FOLDER, MANIFEST, YOUNGER, password, rules
from servers import Server, send

USERS = [user for user in rules() if user != "default"]
EACH = pytest.mark.parametrize("user", USERS)


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rights", ROOT / "tools" / "rights.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_list_is_made_of_what_is_needed() -> None:
    """`python tools/rights.py` writes them, and the tables of the page."""
    for path, made in tool().files().items():
        assert path.read_text() == made, f"{path} is old: make docs"
    page = (ROOT / "docs" / "permissions.md").read_text()
    assert tool().page(page) == page, "docs/permissions.md is old: make docs"


def test_the_lists_say_the_same_of_each_user() -> None:
    full, older, manifest = (rules(path.read_text()) for path in (FOLDER / FILES["valkey"], FOLDER / FILES["redis"], MANIFEST))
    assert {user: [word for word in words if word not in YOUNGER] for user, words in full.items()} == older
    assert manifest == {user: full[user] for user in manifest}
    assert {role.name for role in ROLES} | {"default", "scaler"} == {*full}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_whatever_a_script_may_call_is_granted(role: Role) -> None:
    for each in [script for script in SCRIPTS if script.name in role.scripts]:
        called = set(re.findall(r"""(?:call|try)\(["']([A-Z]+)["']""", each.source))
        assert called, each.name
        assert {f"+{name.lower()}" for name in called} <= {*rules()[role.name]}, each.name


def test_no_command_is_newly_allowed(guarded: Server) -> None:
    """Of all that this server has. Where the change is meant: `python -m deploy.every_right` in tests/."""
    assert text(guarded) == (LISTS / f"{guarded.kind}.txt").read_text()


@EACH
def test_what_the_server_says_is_what_it_does(guarded: Server, user: str) -> None:
    assert tried(guarded, user) == asked(guarded, user) - ENDS_OR_CHANGES
    with guarded.new_client() as client:
        assert client.ping(), "it is still there"


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
    "pusher": [
        "SCAN 0", "LLEN queue:jobs", "LRANGE queue:jobs 0 -1", "RPOP queue:jobs", "DEL queue:jobs", "RPUSH queue:jobs x", "HGETALL result:x", "EVAL return 0",
        "SCRIPT LOAD return", "LPUSH result:x x", "LPUSH first:{queue:jobs} x", "TIME", "INFO", "CLIENT TRACKING ON",
    ],
    "sender": [
        "SCAN 0", "HGETALL result:x", "HGET result:x status", "LRANGE queue:jobs 0 -1", "DEL queue:jobs", "HGETALL workers:{queue:jobs}", "SADD queues x",
        "GET session", "XRANGE dead:{queue:jobs} - +", "LPUSH dead:{queue:jobs} x", "SET result:x x", "CLIENT TRACKING ON",
    ],
    "producer": [
        "SCAN 0", "LRANGE queue:jobs 0 -1", "DEL queue:jobs", "RPOP queue:jobs", "HSET result:x a b", "EXPIRE result:x 1", "SET result:x x",
        "HGETALL workers:{queue:jobs}", "XRANGE dead:{queue:jobs} - +", "SADD queues x", "GET unique:x", "HGETALL leases:{queue:jobs}:x",
    ],
    "worker": ["SCAN 0", "SMEMBERS queues", "XDEL dead:{queue:jobs} 1-1", "XRANGE dead:{queue:jobs} - +", "HSCAN leases:{queue:jobs}:x 0", "RPOP queue:jobs"],
    "observer": [
        "SCAN 0", "LPUSH queue:jobs x", "DEL queue:jobs", "HSET result:x a b", "XDEL dead:{queue:jobs} 1-1", "BLMOVE queue:jobs queue:a LEFT LEFT 1",
        "HSETNX workers:{queue:jobs} @paused 1", "HDEL workers:{queue:jobs} @paused", "GET once:{queue:jobs}:x", "LTRIM queue:jobs 0 0",
    ],
    "operator": [
        "RPOP queue:jobs", "BLMOVE queue:jobs queue:a LEFT LEFT 1", "HSET result:x a b", "EVAL return(1) 0", "ZADD scheduled:{queue:jobs} 1 x", "SADD queues x",
        "HSET workers:{queue:jobs} x 1", "SET unique:{queue:jobs}:x 1", "LTRIM queue:jobs 0 0", "HDEL queues x",
    ],
    "scaler": ["LPUSH queue:jobs x", "LRANGE queue:jobs 0 -1", "SCAN 0", "EVALSHA x 0", "LLEN first:{queue:jobs}", "TYPE result:x"],
}  # fmt: skip
"""What is only for others."""
OWN = {
    "pusher": ["LPUSH queue:jobs {}", "PING"],
    "sender": ["LPUSH queue:jobs {}", "ZADD scheduled:{queue:jobs} 1 x", "INCR tags:{queue:jobs}", "TIME", "SISMEMBER queues jobs", "LLEN queue:jobs", "INFO"],
    "producer": ["LPUSH queue:jobs {}", "HGETALL result:x", "HGET result:x status", "HMGET result:x status error", "CLIENT TRACKING ON", "LLEN queue:jobs"],
    "worker": [
        "LMOVE queue:jobs first:{queue:jobs} RIGHT LEFT", "HSET leases:{queue:jobs}:w 1001 {}", "LTRIM queue:jobs 0 -2", "HDEL leases:{queue:jobs}:w 1001",
        "HSET result:x status completed", "EXPIRE result:x 1", "XADD dead:{queue:jobs} * body {}", "SADD queues jobs", "CLIENT ID",
    ],
    "observer": [
        "SMEMBERS queues", "LRANGE queue:jobs 0 -1", "HGETALL result:x", "HGETALL workers:{queue:jobs}", "HSCAN leases:{queue:jobs}:w 0", "INFO", "TIME",
        "XREVRANGE dead:{queue:jobs} + -", "ZRANGE scheduled:{queue:jobs} 0 0", "GET info:{queue:jobs}:w", "HMGET counts:{queue:jobs}:1 completed",
    ],
    "operator": [
        "SCAN 0", "SMEMBERS queues", "LPUSH queue:jobs {}", "DEL queue:jobs", "XDEL dead:{queue:jobs} 1-1", "HSETNX workers:{queue:jobs} @paused 1",
        "HDEL workers:{queue:jobs} @paused", "DEL result:x",
    ],
    "scaler": ["LLEN queue:jobs", "TYPE queue:jobs"],
}  # fmt: skip
"""What is theirs."""


@EACH
def test_what_is_theirs_is_done(guarded: Server, user: str) -> None:
    with guarded.new_client(username=user, password=password(user)) as client:
        for line in OWN[user]:
            send(client, *line.split())


@EACH
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
