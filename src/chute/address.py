"""Which server: from what the caller, the command line and the environment say to one address. Opens nothing.

The order is `--url`, `Queue(url=...)`, `CHUTE_URL`, `REDIS_URL`, the embedded server; it is followed at first use, never at import.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode

from redis.connection import parse_url

from chute import settings

_PASSWORD = re.compile(r"^((?:[a-z+]+://)?+[^:/?#@]*:).*@", re.DOTALL | re.IGNORECASE)
"""Up to the last @: a password may hold what should have been escaped."""
_NAME = "".join(f"(?:{each}|%{ord(each):x}|%{ord(each.upper()):x})" for each in "password")
_QUERY_PASSWORD = re.compile(rf"([?&][^?&=]*{_NAME}=)([^&]*)", re.IGNORECASE)
"""Its name may be escaped as any other."""
_IGNORED = dict.fromkeys(map(ord, "\t\r\n"))
"""What the reader of a URL leaves out, wherever it stands."""
_SENTINELS = "redis+sentinel://host:26379,host:26379/mymaster"
_LOOKS_LIKE = f"redis://host:6379/0, unix:///path/to/socket, {_SENTINELS} or redis+cluster://host:6379,host:6379"
_ESCAPES = "in a password, / ? # @ are written %2F %3F %23 %40"
_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}
_SEVERAL = re.compile(r"(rediss?|valkeys?)\+(sentinel|cluster)://((?:[^/?#]*@)?)([^/?@]*)(/[^?]*)?(\?.*)?", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_PORTS = {"sentinel": 26379, "cluster": 6379}
_OF_SENTINELS = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class Several:
    """What a URL of several servers says: whom to ask where the keys are, and how to dial whom they name."""

    kind: str
    """`sentinel` or `cluster`."""
    hosts: tuple[tuple[str, int], ...]
    master: str
    """The name by which Sentinels know the primary; "" in a Cluster."""
    of_sentinels: Mapping[str, str]
    """What logs in to the Sentinels themselves."""
    _head: str
    _tail: str

    def node(self, host: str, port: int) -> str:
        """The URL of one server."""
        return f"{self._head}{f'[{host}]' if ':' in host else host}:{port}{self._tail}"


@dataclass(frozen=True)
class Address:
    """A server's URL ("" = the embedded server) and who chose it."""

    url: str
    how: str

    @property
    def embedded(self) -> bool:
        """Whether it is the server that Chute starts by itself."""
        return not self.url


class _Chosen:
    """What `--url`, or a test, said for the whole process."""

    where: Address | None = None


def choose(url: str | None) -> None:
    """Makes every queue of this process use the server that the command line named."""
    if url is not None:
        client_url(url)
    _Chosen.where = Address(url, "--url") if url else None


def named() -> str | None:
    """The URL that the command line named."""
    return _Chosen.where.url if _Chosen.where else None


@contextmanager
def chosen(where: Address) -> Iterator[None]:
    """Makes every queue of this process use that server for the time of a with block; for `chute.testing`."""
    before, _Chosen.where = _Chosen.where, where
    try:
        yield
    finally:
        _Chosen.where = before


def resolve(url: str | None = None) -> Address:
    """The address to use, where `url` is what the queue itself names. Raises ValueError when it is not a server's URL."""
    if _Chosen.where:
        return _Chosen.where
    if url:
        client_url(url)
        return Address(url, "Queue(url=…)")
    if named := settings.server_url():
        client_url(*named)
        return Address(*named)
    return Address("", "embedded")


@lru_cache(maxsize=64)
def client_url(url: str, source: str = "the URL") -> str:
    """The URL as redis-py reads it: Valkey's schemes are Redis's under another name. Where it names several servers, that of the first.
    Raises ValueError when it is not a server's URL."""
    those = several(url, source)
    scheme, colon, rest = (those.node(*those.hosts[0]) if those else url).partition(":")
    if not colon or scheme not in _SCHEMES:
        raise ValueError(f"{source} is not a server's URL: {redact(url)}. A URL looks like {_LOOKS_LIKE}")
    known = f"{_SCHEMES[scheme]}:{rest}"
    try:
        parse_url(known)
    except ValueError as error:
        why = _ESCAPES if "@" in rest else error  # its own words may quote the password
        raise ValueError(f"{source} is not a server's URL: {redact(url)} ({why})") from None
    return known


@lru_cache(maxsize=64)
def several(url: str, source: str = "the URL") -> Several | None:
    """What a URL says that names Sentinels or a Cluster; None for any other. Raises ValueError when that makes no sense."""
    if not (read := _SEVERAL.fullmatch(url)):
        return None
    scheme, kind, login, hosts, path, query = (part or "" for part in read.groups())
    named = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if not all(named):
        raise ValueError(f"{source} does not list its servers as host:port,host:port: {redact(url)}")
    listed = tuple((host[1].strip("[]"), int(host[2] or _PORTS[kind])) for host in named if host)
    master, _, db = path.removeprefix("/").partition("/") if kind == "sentinel" else ("", "", path.removeprefix("/"))
    if kind == "sentinel" and not master:
        raise ValueError(f"{source} does not name the primary that the Sentinels watch: {redact(url)}. As in {_SENTINELS}")
    if kind == "cluster" and db not in ("", "0"):
        raise ValueError(f"{source} names database {db}, and a Cluster has only 0: {redact(url)}")
    options = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
    theirs = {name.removeprefix("sentinel_"): options.pop(name) for name in _OF_SENTINELS if name in options}
    tail = (f"/{db}" if db else "") + (f"?{urlencode(options)}" if options else "")
    return Several(kind, listed, master, theirs, f"{_SCHEMES[scheme]}://{login}", tail)


def login_advice(url: str) -> str:
    """What to do about a server that did not let this URL in, for people's eyes."""
    known = parse_url(client_url(url))
    scheme, _, rest = redact(url).partition("://")
    place = rest.rpartition("@")[2].partition("?")[0]
    as_what = f"{scheme}://{place}?password=PASSWORD" if scheme == "unix" else f"{scheme}://:PASSWORD@{place}"
    if "password" not in known:
        return f"wants a password, and the URL has none. Write it into the URL: {as_what}"
    whose = f"user {known['username']} with this password" if "username" in known else "this password"
    other = "" if scheme == "unix" else f" or {scheme}://USER:PASSWORD@{place}"
    return f"does not let in {whose}. Write {as_what}{other}; {_ESCAPES}"


def redact(url: str) -> str:
    """The URL without its passwords, for people's eyes."""
    return _PASSWORD.sub(r"\1***@", _QUERY_PASSWORD.sub(_hidden, url.translate(_IGNORED)))


def _hidden(found: re.Match[str]) -> str:
    """A password of the query. An @ in it stays: it may be the one behind a login that was not escaped, which is hidden by it."""
    return f"{found[1]}***{'@' * ('@' in found[2])}"
