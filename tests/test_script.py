"""script.py: heads are read, keys and arguments are bound by name, and LOAD makes every script known to a server."""

import hashlib
import re
from importlib.resources import files

import pytest
from redis.exceptions import NoScriptError

from chute import script
from chute.keys import keys_of
from chute.script import BEAT, CLAIM, FINISH, LOAD, RECLAIM, SCRIPTS, Script, key_of
from servers import Server, send

KEYS = keys_of("jobs")


def test_every_file_is_a_script_and_every_script_has_a_name() -> None:
    stored = {entry.name.removesuffix(".lua") for entry in files("chute").joinpath("scripts").iterdir() if entry.name.endswith(".lua")}
    assert {known.name for known in SCRIPTS} == stored
    assert all(getattr(script, known.name.upper()) is known for known in SCRIPTS)


def test_a_head_is_read() -> None:
    made = Script("made", "-- What it does.\n-- KEYS: one, two\n-- ARGV: first, second, ...\nreturn 1")
    assert made.name == "made"
    assert made.keys == ("one", "two")
    assert made.args == ("first", "second")
    assert made.more is False


def test_a_head_says_that_more_keys_follow() -> None:
    assert Script("made", "-- KEYS: one, ...\n-- ARGV: ...\n").more is True
    assert Script("made", "-- KEYS: one, ...\n-- ARGV: ...\n").args == ()
    assert [known.name for known in SCRIPTS if known.more] == ["finish", "observe"]


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "a"), "a"),
        (("ACL", b"b"), b"b"),
        (("HSET", "c", "field", "value"), "c"),
        (("EVALSHA", "sha", 2, "d", "e"), "d"),
        (("SCRIPT", "LOAD", "source"), None),
        (("TIME",), None),
        (("WAIT", 1, 100), None),
    ],
    ids=str,
)
def test_a_command_belongs_where_its_first_key_does(command: tuple[str | bytes | int, ...], key: str | bytes | None) -> None:
    assert key_of(command) == key


def test_a_command_without_a_key_in_its_place_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match=r"^the command 'EVAL' names 1 as its key$"):
        key_of(("EVAL", 1, "key"))


def test_a_head_reads_every_name_but_the_dots() -> None:
    made = Script("made", "-- KEYS: ~after, !before, ...\n-- ARGV: ~after, !before, ...\n")
    assert (made.keys, made.args, made.more) == (("~after", "!before"), ("~after", "!before"), True)
    assert Script("made", "-- KEYS: !before\n-- ARGV:\n").more is False


def test_a_head_may_name_nothing() -> None:
    assert Script("made", "-- KEYS: one\n-- ARGV:\nreturn 1").args == ()


def test_the_heads_of_ours() -> None:
    assert CLAIM.keys == ("first", "queue", "leases", "workers", "tags")
    assert CLAIM.args == ("worker", "call", "want", "bytes", "deadline")
    assert FINISH.keys == ("leases", "queue", "scheduled", "dead", "refused", "tags")
    assert FINISH.args == ()
    assert RECLAIM.args == ("worker",)


@pytest.mark.parametrize("known", SCRIPTS, ids=lambda known: known.name)
def test_a_body_uses_the_keys_and_arguments_that_its_head_names(known: Script) -> None:
    for kind, names in (("KEYS", known.keys), ("ARGV", known.args)):
        used = {int(number) for number in re.findall(rf"{kind}\[(\d+)\]", known.source)}
        assert max(used, default=0) <= len(names)


@pytest.mark.parametrize("known", SCRIPTS, ids=lambda known: known.name)
def test_an_address_is_the_sum_of_the_source(known: Script) -> None:
    assert known.sha == hashlib.sha1(known.source.encode(), usedforsecurity=False).hexdigest()
    assert len({other.sha for other in SCRIPTS}) == len(SCRIPTS)


def test_keys_are_bound_by_name_in_any_order() -> None:
    call = CLAIM.on(tags="t", workers="w", leases="l", queue="q", first="f")
    keys = ("f", "q", "l", "w", "t")
    assert call(deadline="", bytes=1, want=2, call=3, worker=b"me") == ("EVALSHA", CLAIM.sha, 5, *keys, b"me", 3, 2, 1, "")


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"first": "f", "queue": "q", "leases": "l", "workers": "w"},
        {"first": "f", "queue": "q", "leases": "l", "workers": "w", "tag": "t"},
        {"first": "f", "queue": "q", "leases": "l", "workers": "w", "tags": "t", "more": "m"},
    ],
)
def test_wrong_names_of_keys_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="script claim takes the keys first, queue, leases, workers, tags"):
        CLAIM.on(**keys)


def test_a_missing_argument_is_refused() -> None:
    with pytest.raises(KeyError, match="deadline"):
        CLAIM.on(first="f", queue="q", leases="l", workers="w", tags="t")(worker="me", call=1, want=1, bytes=1)


def test_what_follows_the_named_arguments() -> None:
    assert BEAT.on(workers="w")("a", b"b") == ("EVALSHA", BEAT.sha, 1, "w", "a", b"b")
    reclaim = RECLAIM.on(queue="q", leases="l", workers="w", info="i")
    assert reclaim("1001", b"body", worker="me") == ("EVALSHA", RECLAIM.sha, 4, "q", "l", "w", "i", "me", "1001", b"body")
    assert reclaim(worker="me") == ("EVALSHA", RECLAIM.sha, 4, "q", "l", "w", "i", "me")


def test_one_more_key_for_each_record() -> None:
    call = FINISH.on(leases="l", queue="q", scheduled="s", dead="d", refused="r", tags="t")
    named = ("l", "q", "s", "d", "r", "t")
    assert call.each(["result:a", "l"], [b"1", b"2"]) == ("EVALSHA", FINISH.sha, 8, *named, "result:a", "l", b"1", b"2")
    assert call.each([], []) == ("EVALSHA", FINISH.sha, 6, *named)


def test_load_makes_all_known(each_server: Server) -> None:
    client = each_server.client()
    shas = [known.sha for known in SCRIPTS]
    assert client.script_exists(*shas) == [False] * len(SCRIPTS)
    beat = BEAT.on(workers=KEYS.workers)
    with pytest.raises(NoScriptError):
        send(client, *beat())
    assert [send(client, *command).decode() for command in LOAD] == shas
    assert client.script_exists(*shas) == [True] * len(SCRIPTS)
    assert send(client, *beat()) == []


@pytest.mark.parametrize("known", SCRIPTS, ids=lambda known: known.name)
def test_no_script_makes_up_a_key(known: Script) -> None:
    """Each command works on a key that the call declares, else a Cluster would refuse the script."""
    commands = re.findall(r"(?:call|try)\('([A-Z]+)'(?:, ([^,)]+))?", known.source)
    assert commands
    declared = re.compile(r"KEYS\[[\dis]\]")
    for name, key in commands:
        assert name == "TIME" or declared.fullmatch(key) or (known.name == "finish" and key in {"leases", "key"})
