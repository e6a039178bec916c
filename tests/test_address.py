"""address.py: who chooses the server, which URLs name one, and that no password is ever shown."""

import traceback
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chute.address import Address, Url, choose, client_url, login_advice, redact, resolve, several

CANARY = "c4n4ry"
ESCAPES = "in a password, / ? # @ are written %2F %3F %23 %40"


@pytest.fixture(autouse=True)
def _nothing_chosen() -> Iterator[None]:
    choose(None)
    yield
    choose(None)


def test_the_order_of_who_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve() == Address("", "embedded")
    assert resolve().embedded
    monkeypatch.setenv("REDIS_URL", "redis://redis-url")
    assert resolve() == Address("redis://redis-url", "REDIS_URL")
    monkeypatch.setenv("CHUTE_URL", "redis://chute-url")
    assert resolve() == Address("redis://chute-url", "CHUTE_URL")
    assert resolve("redis://queue") == Address("redis://queue", "Queue(url=…)")
    choose("redis://option")
    assert resolve("redis://queue") == Address("redis://option", "--url")
    assert not resolve().embedded
    choose(None)
    assert resolve("redis://queue") == Address("redis://queue", "Queue(url=…)")


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("redis://host", "redis://host"),
        ("rediss://host:6380/1", "rediss://host:6380/1"),
        ("valkey://u:p@host:1/2?client_name=b", "redis://u:p@host:1/2?client_name=b"),
        ("valkeys://host", "rediss://host"),
        ("unix:///tmp/s?db=1", "unix:///tmp/s?db=1"),
    ],
)
def test_a_url_as_the_client_reads_it(url: str, dialled: str) -> None:
    assert client_url(url) == dialled


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "host:6379",
        "http://host",
        "redis:",
        "redis:host",
        "redis",
        "://host",
        "redis://host:port",
        "redis://h:99999",
        " redis://h",
    ],
)
def test_what_is_no_url_of_a_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="not a server's URL"):
        client_url(url)
    with pytest.raises(ValueError, match="not a server's URL"):
        choose(url)
    if url:
        with pytest.raises(ValueError, match="not a server's URL"):
            resolve(url)
        monkeypatch.setenv("CHUTE_URL", url)
        with pytest.raises(ValueError, match="CHUTE_URL is not a server's URL"):
            resolve()


def shown(url: str) -> str:
    """Everything that people may get to see of a URL."""
    shown = [redact(url), repr(Url(url)), Url(url)[:500], repr(Address(url, "--url"))]
    try:
        client_url(url)
        shown += [login_advice(url), repr(several(url))]
    except ValueError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        del told.stack[0]  # this function's own variables
        shown += [str(error), *told.format()]
    return " ".join(shown)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{CANARY}@host:6379/0",
        f"redis://:{CANARY}@host",
        f"redis://user:a@{CANARY}@host",
        f"redis://user:a:{CANARY}@host",
        f"redis://user:{CANARY}@host:port",
        f"redis://user:[{CANARY}@host",
        f"http://user:{CANARY}@host",
        f"unix://user:{CANARY}@/tmp/s",
        f"unix:///tmp/s?password={CANARY}&db=1",
        f"redis://host?db=1&password={CANARY}",
        f"rediss://host?ssl_password={CANARY}",
        f"redis://host?password=a#{CANARY}",
        # not escaped, as people paste them: base64 has slashes, generators use the rest
        f"redis://user:a/{CANARY}@host",
        f"redis://user:{CANARY}/a@host",
        f"redis://:{CANARY}/+=@host:6379/0",
        f"redis://user:a#{CANARY}@host",
        f"redis://user:a?{CANARY}@host",
        f"user:{CANARY}@host:6379",
        f"redis:user:{CANARY}@host",
        f"redis+sentinel://user:{CANARY}@a:1,b:2/main",
        f"redis+sentinel://a:1,b:2/main?sentinel_password={CANARY}",
        f"redis+sentinel://user:{CANARY}@a:1,b:2",
        f"rediss+cluster://:{CANARY}@a:1,b",
        f"redis+cluster://:a@{CANARY}@a:x,b",
        f"redis+cluster://:{CANARY}/+=@a:1,b:2",
        # a name that should have been escaped
        f"redis://me@example.com:{CANARY}@host",
        f"redis://us/er:{CANARY}@host",
        f"redis://{CANARY}/:a@host",
        # the host forgotten
        f"redis://:{CANARY}",
        f"redis://user:{CANARY}/a#b",
        f"redis+sentinel://:{CANARY}",
        # an & or an @ in an option, and an option whose name is escaped
        f"unix:///s?password=a&{CANARY}&db=1",
        f"unix:///s?password=a@{CANARY}",
        f"unix:///s?p%61ssword={CANARY}",
        f"redis+sentinel://a/main?sentinel_password=a/{CANARY}@{CANARY}:{CANARY}#{CANARY}",
        # an @ in the query, which the login does not reach to
        f"redis://host:6379?password=a@{CANARY}",
        f"redis+sentinel://a:1,b:2/main?sentinel_password=a@{CANARY}",
        f"redis+cluster://a:1?password=a@{CANARY}",
        f"redis://user:{CANARY}?password=a@host",
        f"redis://user:{CANARY}?password=a@{CANARY}",
        # its name written otherwise: the reader of a URL unescapes it, and leaves these characters out
        f"redis://host?p%61ssw%4Frd={CANARY}",
        f"redis://host?pass\nword={CANARY}",
        f"redis://host?a?ssl_password={CANARY}",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    assert CANARY not in shown(url)


@given(st.text(st.characters(codec="utf-8"), max_size=12), st.text(st.characters(codec="utf-8"), max_size=12))
@example("/", "")
@example("@", ":")
@example("#", "?")
def test_a_password_of_any_characters_is_never_shown(before: str, after: str) -> None:
    assert CANARY not in shown(f"redis://user:{before}{CANARY}{after}@host:6379/0")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"redis://user:a@{CANARY}/b@host:6379/0", "%2F"),
        (f"redis://:a@{CANARY}?b@host", "%3F"),
        (f"redis://:a@{CANARY}#b@host", "%23"),
        (f"redis://{CANARY}/b@host", "%2F"),
        (f"redis://{CANARY}?b@host", "%3F"),
        (f"rediss://:a@host?password={CANARY}@b", "%40"),
        (f"redis+sentinel://:a@{CANARY}/b@host:1/main", "%2F"),
        (f"redis://host?password=a#{CANARY}", "%23"),
        (f"redis://host?password=a&{CANARY}", "%26"),
        ("redis://host/abc", "a database's number, as in redis://host:6379/0"),
        ("redis://host/0/1", "a database's number"),
        ("redis:///localhost", "a database's number"),
        ("redis+sentinel://a:1/main/x", "a database's number"),
        ("redis://host?db", "?name=value"),
        ("unix:///tmp/a#b", "%23"),
    ],
)
def test_nothing_is_taken_for_something_else(url: str, why: str) -> None:
    """redis-py looks up the host that it reads there, and leaves out what it has no use for."""
    with pytest.raises(ValueError, match="not a server's URL") as caught:
        client_url(url)
    assert why in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["redis://host/", "redis://host/3/", "redis://", "redis:///2", "redis://host?password=a@b", "unix:///tmp/a@b?db=1&password=c@d"]
)
def test_what_can_be_read_in_one_way_is_taken(url: str) -> None:
    assert client_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://host:6379/0",
        "redis://user@host",
        "unix:///tmp/s",
        "unix:///tmp/a@b",
        "redis://[::1]:6379",
        "redis://h?db=1",
        "redis+cluster://a:1,b:2/0",
    ],
)
def test_a_url_without_a_password_is_shown_whole(url: str) -> None:
    assert redact(url) == url


def test_what_surrounds_a_password_is_shown() -> None:
    assert redact("redis://user:secret@host:1/2?db=3") == "redis://user:***@host:1/2?db=3"
    assert redact("unix:///s?password=secret&db=1") == "unix:///s?password=***&db=1"
    assert repr(Address("redis://user:secret@host", "--url")) == "Address(url='redis://user:***@host', how='--url')"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://h?foo=1", "there is no option foo"),
        ("redis://h?ssl_ca_certs=x", "there is no option ssl_ca_certs"),
        ("rediss://h?ssl_cert_reqs=maybe", "Invalid SSL Certificate Requirements"),
        ("redis://h?socket_timeout=x", "Invalid value for 'socket_timeout'"),
        ("redis://h:port", "a port is a number"),
        ("redis+cluster://h?foo=1", "there is no option foo"),
        ("redis://:p@h?foo=1", "there is no option foo"),
        ("redis://:?secret=@h", "in a password, "),
        ("redis://:p?secret=1&x=@h", "in a password, "),
        ("redis+cluster://user:0?secret@host?db=1", "in a password, "),
        ("redis+sentinel://user:0?secret@host/main?db=1", "does not name the primary"),
    ],
)
def test_an_option_that_the_client_does_not_take(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        client_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://h:7", "wants a password, and the URL has none. Write it into the URL: redis://:PASSWORD@h:7"),
        ("rediss://h:7/3?client_name=x", "wants a password, and the URL has none. Write it into the URL: rediss://:PASSWORD@h:7/3"),
        ("unix:///s", "wants a password, and the URL has none. Write it into the URL: unix:///s?password=PASSWORD"),
        ("redis://:canary@h", f"does not let in this password. Write redis://:PASSWORD@h or redis://USER:PASSWORD@h; {ESCAPES}"),
        (
            "valkey://bob:canary@h:7/1",
            f"does not let in user bob with this password. Write valkey://:PASSWORD@h:7/1 or valkey://USER:PASSWORD@h:7/1; {ESCAPES}",
        ),
        ("unix:///s?password=canary", f"does not let in this password. Write unix:///s?password=PASSWORD; {ESCAPES}"),
    ],
)
def test_what_to_do_about_a_refused_login(url: str, says: str) -> None:
    assert login_advice(url) == says


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "master", "node"),
    [
        ("redis+sentinel://a,b:2/main", "sentinel", (("a", 26379), ("b", 2)), "main", "redis://h:1"),
        ("valkeys+sentinel://u:p@a/main/3", "sentinel", (("a", 26379),), "main", "rediss://u:p@h:1/3"),
        ("redis+sentinel://a/main?socket_timeout=1", "sentinel", (("a", 26379),), "main", "redis://h:1?socket_timeout=1"),
        ("redis+cluster://a,[::1]:7", "cluster", (("a", 6379), ("::1", 7)), "", "redis://h:1"),
        ("valkeys+cluster://:p%40@a/0?ssl_ca_certs=%2Fca", "cluster", (("a", 6379),), "", "rediss://:p%40@h:1/0?ssl_ca_certs=%2Fca"),
    ],
)
def test_a_url_of_several_servers(url: str, kind: str, hosts: tuple[tuple[str, int], ...], master: str, node: str) -> None:
    those = several(url)
    assert those is not None
    assert (those.kind, those.hosts, those.master, those.node("h", 1)) == (kind, hosts, master, node)
    assert resolve(url).url == url


def test_an_at_in_the_query_names_no_server() -> None:
    those = several("redis+cluster://a:1?password=x@elsewhere")
    assert those is not None
    assert those.hosts == (("a", 1),)
    assert "elsewhere" not in login_advice("redis://a:1?password=x@elsewhere")


def test_the_sentinels_have_a_login_of_their_own() -> None:
    those = several("redis+sentinel://:theirs@a/main?sentinel_username=s&sentinel_password=p%40&db=2")
    assert those is not None
    assert those.of_sentinels == {"username": "s", "password": "p@"}
    assert those.node("::1", 2) == "redis://:theirs@[::1]:2?db=2"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://a:1,b:2", "does not name the primary"),
        ("redis+sentinel://a:1,b:2/", "does not name the primary"),
        ("redis+cluster://a/1", "names database 1"),
        ("redis+cluster://", "host:port,host:port"),
        ("redis+cluster://a,,b", "host:port,host:port"),
        ("redis+cluster://a:b:c", "host:port,host:port"),
        ("redis+sentinel://a:99999999/main", "host:port,host:port"),
        ("unix+cluster:///s", "not a server's URL"),
        ("redis+proxy://a", "not a server's URL"),
    ],
)
def test_what_is_no_url_of_several_servers(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        resolve(url)


@pytest.mark.parametrize("url", ["redis://a:1", "unix:///s", "http://a", ""])
def test_one_server_is_not_several(url: str) -> None:
    assert several(url) is None


@pytest.mark.parametrize(
    "url",
    [
        'redis://:"@:111secret&%=@host',
        "redis://:?secret=@host",
        "redis://u:p?password=secret@h",
        "redis://h?password=sec@secret",
        "secret&%=@h",
    ],
)
def test_what_may_be_a_login_or_an_option_is_hidden_as_both(url: str) -> None:
    assert "secret" not in redact(url)
