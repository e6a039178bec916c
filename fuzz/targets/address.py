"""URLs of servers: one that is none is a ValueError, and no password is ever shown, however it was written into it."""

from urllib.parse import quote

from hypothesis import strategies as st

from chute.address import client_url, login_advice, redact, several

WHAT = "URLs of servers: a server, or ValueError, and the password in no message"
VARIED = True
CANARY = "c4n4ry"
SCHEMES = ("redis", "rediss", "valkey", "unix", "redis+sentinel", "redis+cluster", "valkeys+cluster", "http", "REDIS")
USERS = ("", "user", "u.s-e_r")
HOSTS = ("host", "host:6379", "a:1,b:2", "[::1]:7", "", "host:port", "host:99999", "a,,b", "[", "h\u2100st", "a:1,b", "\u0661:1")
PATHS = ("", "/", "/0", "/main", "/main/3", "/run/s", "//", "/%2f")
QUERIES = (
    "",
    "?db=1",
    "?socket_timeout=x",
    "?ssl_cert_reqs=none",
    "?a=b&c",
    "?",
    "#x",
    "?max_connections=1e9",
    "?health_check_interval=-1",
)
NAMES = ("password", "PASSWORD", "ssl_password", "sentinel_password", "p%61ssword", "pass\nword", "%70%61ssword", "username=u&password")
PLACES = 4
"""In the login as it should be, in the login as it was typed, in the query; and no password at all in what looks like no URL."""
_WILD = st.text(st.characters(codec="utf-8"), max_size=10) | st.text(st.sampled_from("@:/?#&=[]%,+\t\n\\ ab1"), max_size=10)
_CHOICES = [st.integers(0, len(parts) - 1) for parts in (SCHEMES, USERS, HOSTS, PATHS, QUERIES, NAMES)]
VALUES = st.tuples(st.integers(0, PLACES - 1), *_CHOICES, _WILD, _WILD)


def look(given: tuple[int, int, int, int, int, int, int, str, str]) -> None:
    """Raises where a password is shown, or another error comes."""
    url = _url(*given)
    said = [redact(url)]
    for read in (client_url, several, login_advice):
        try:
            found = read(url)
        except ValueError as error:
            said.append(str(error))
            assert error.__suppress_context__ or error.__context__ is None, "its cause may quote the password"
        else:
            if read is login_advice:
                said.append(str(found))
    assert not [text for text in said if CANARY in text], (url, said)


def _url(place: int, scheme: int, user: int, host: int, path: int, query: int, name: int, before: str, behind: str) -> str:
    secret = f"{before}{CANARY}{behind}"
    where = f"{HOSTS[host]}{PATHS[path]}"
    match place:
        case 0:
            return f"{SCHEMES[scheme]}://{USERS[user]}:{quote(secret, safe='')}@{where}{QUERIES[query]}"
        case 1:
            return f"{SCHEMES[scheme]}://{USERS[user]}:{secret}@{where}{QUERIES[query]}"
        case 2:  # & ends a password there, for whoever reads it
            login = f"{USERS[user]}:{CANARY}@" * (user != 1)
            return f"{SCHEMES[scheme]}://{login}{where}?db=1&{NAMES[name]}={secret.replace('&', '')}&a=@"
    return f"{SCHEMES[scheme]}://{before}{behind}" if user else before
