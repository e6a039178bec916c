"""Which server: from what the caller, the command line and the environment say to one address. Opens nothing.

The order is `--url`, `Queue(url=...)`, `CHUTE_URL`, `REDIS_URL`, the embedded server; it is followed at first use, never at import.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import SupportsIndex
from urllib.parse import parse_qsl, urlencode

import redis
from redis.connection import Connection, parse_url

from chute import settings, tls

_SCHEME = re.compile(r"[a-z+]+://", re.IGNORECASE)
_PARAMETER = re.compile(r"([?&])([^?&=]*)=")
_NAME = re.compile(r"[a-z_]+", re.IGNORECASE)
_NO_PORT = re.compile(r"^([a-z+]+://[^:/?#\[\]]*:)(?!\d*(?:[,/?#]|$))[^@]*$", re.DOTALL | re.IGNORECASE)
"""What stands where a port should be: a password without the @ and the host behind it, perhaps."""
_IGNORED = dict.fromkeys(map(ord, "\t\r\n"))
"""What the reader of a URL leaves out, wherever it stands."""
_SENTINELS = "redis+sentinel://host:26379,host:26379/mymaster"
_LOOKS_LIKE = f"redis://host:6379/0, unix:///path/to/socket, {_SENTINELS} or redis+cluster://host:6379,host:6379"
_PARTS = re.compile(r"(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?", re.DOTALL)
"""Of what follows the scheme: who and where, the path, the options."""
_DATABASE = re.compile(r"/?[0-9]*/?")
_OPTION = re.compile(r"[a-z_]+=", re.IGNORECASE)
_AT = re.compile("@|%40")
_ESCAPES = "in a password, / ? # @ are written %2F %3F %23 %40"
_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}
_SEVERAL = re.compile(r"(rediss?|valkeys?)\+(sentinel|cluster)://((?:[^/?#]*@)?)([^/?@]*)(/[^?]*)?(\?.*)?", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_PORTS = {"sentinel": 26379, "cluster": 6379}
_OF_POOLS = ("max_connections", "timeout")
_OF_SENTINELS = ("sentinel_username", "sentinel_password")


class Url(str):
    """A URL in our hands. A traceback that shows variables, whosever it is, shows it without its passwords."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(redact(str(self)))

    def __getitem__(self, piece: SupportsIndex | slice) -> str:
        """A piece of what may be shown: who shortens what is long shows that."""
        return redact(str(self))[piece]


@dataclass(frozen=True, slots=True)
class Several:
    """What a URL of several servers says: whom to ask where the keys are, and how to dial whom they name."""

    kind: str
    """`sentinel` or `cluster`."""
    hosts: tuple[tuple[str, int], ...]
    master: str
    """The name by which Sentinels know the primary; "" in a Cluster."""
    of_sentinels: Mapping[str, str] = field(repr=False)
    """What logs in to the Sentinels themselves."""
    _head: str = field(repr=False)
    _tail: str = field(repr=False)

    def node(self, host: str, port: int) -> str:
        """The URL of one server."""
        return f"{self._head}{f'[{host}]' if ':' in host else host}:{port}{self._tail}"


@dataclass(frozen=True)
class Address:
    """A server's URL ("" = the embedded server) and who chose it."""

    url: str
    how: str

    def __repr__(self) -> str:
        return f"Address(url={Url(self.url)!r}, how={self.how!r})"

    @property
    def embedded(self) -> bool:
        """Whether it is the server that Chute starts by itself."""
        return not self.url


class _Chosen:
    """What `--url`, or a test, said for the whole process."""

    where: Address | None = None


def choose(url: str | None) -> None:
    """Makes every queue of this process use the server that the command line named."""
    url = url if url is None else Url(url)
    if url is not None:
        client_url(url)
    _Chosen.where = Address(str(url), "--url") if url else None


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
    url, how = Url(url or ""), "Queue(url=…)"
    if _Chosen.where:
        return _Chosen.where
    if not url and (named := settings.server_url()):
        url, how = Url(named[0]), named[1]
        del named
    if not url:
        return Address("", "embedded")
    client_url(url, "the URL" if how == "Queue(url=…)" else how)
    return Address(str(url), how)


@lru_cache(maxsize=64)
def client_url(url: str, source: str = "the URL") -> str:
    """The URL as redis-py reads it: Valkey's schemes are Redis's under another name. Where it names several servers, that of the first.
    Raises ValueError when it is not a server's URL."""
    url = Url(url)
    those = several(url, source)
    known, wrong = _known(those.node(*those.hosts[0]) if those else url)
    if wrong:  # raised here, where no variable has the password in the clear
        raise ValueError(f"{source} is not a server's URL: {redact(url)}{wrong}")
    return known


@lru_cache(maxsize=64)
def several(url: str, source: str = "the URL") -> Several | None:
    """What a URL says that names Sentinels or a Cluster; None for any other. Raises ValueError when that makes no sense."""
    url = Url(url)
    those, wrong = _several(url)
    if wrong:
        raise ValueError(f"{source} {wrong.format(redact(url))}")
    return those


def _known(url: str) -> tuple[str, str]:
    """The URL with the scheme that redis-py knows, or what is wrong with it: also an option that redis-py does not take."""
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in _SCHEMES:
        return "", f". A URL looks like {_LOOKS_LIKE}"
    known = f"{_SCHEMES[scheme]}:{rest}"
    if overread := _overread(scheme, rest):
        return "", f" ({overread})"
    try:
        options = {name: value for name, value in parse_url(known).items() if name not in _OF_POOLS}
        options.pop("connection_class", Connection)(**options)  # opens nothing
        if options.get("ssl_min_version", tls.FLOOR) < tls.FLOOR:
            return "", f" (it allows TLS below 1.2, which is not spoken: leave ssl_min_version out, or write {tls.FLOOR} or 772)"
    except (ValueError, TypeError, redis.RedisError) as error:  # its own words may quote the password
        strange = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        said = "a port is a number up to 65535" if "port" in str(error).lower() else _ESCAPES if _AT.search(rest) else str(error)
        after = rest.partition("?")[2]  # with an @ there, what looks like an option may be the rest of a password
        why = f"there is no option {strange[1]}" if strange and not _AT.search(after) else _ESCAPES if "@" in rest else said
        return "", f" ({why})"
    return known, ""


def _overread(scheme: str, rest: str) -> str:
    """What redis-py would leave out or take for something else without a word: the rest of a password taken for a path, say, and what comes before
    it for a host, which would be looked up. "" where there is no such thing."""
    read = _PARTS.fullmatch(rest)
    if not read:
        return _ESCAPES if _AT.search(rest) else "a # ends a URL; in a name or a password it is written %23"
    host, path, options = (part or "" for part in read.groups())
    if "@" in host and "@" in path + options:
        return _ESCAPES
    if scheme != "unix" and not _DATABASE.fullmatch(path):
        return _ESCAPES if _AT.search(rest) else "what follows the host is a database's number, as in redis://host:6379/0"
    if not all(map(_OPTION.match, filter(None, options.split("&")))):
        return _ESCAPES if _AT.search(rest) else "options are written ?name=value&name=value; in a value, & is written %26"
    return ""


def _several(url: str) -> tuple[Several | None, str]:
    """What it says, or what is wrong with it."""
    if not (read := _SEVERAL.fullmatch(url)):
        return None, ""
    scheme, kind, login, hosts, path, query = (part or "" for part in read.groups())
    named = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if not all(named):
        return None, "does not list its servers as host:port,host:port: {}"
    listed = tuple((host[1].strip("[]"), int(host[2] or _PORTS[kind])) for host in named if host)
    master, _, db = path.removeprefix("/").partition("/") if kind == "sentinel" else ("", "", path.removeprefix("/"))
    if kind == "sentinel" and not master:
        return None, f"does not name the primary that the Sentinels watch: {{}}. As in {_SENTINELS}"
    if kind == "cluster" and db not in ("", "0"):
        return None, f"names {f'database {db}' if db.isdecimal() else 'a database'}, and a Cluster has only 0: {{}}"
    options = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
    theirs = {name.removeprefix("sentinel_"): options.pop(name) for name in _OF_SENTINELS if name in options}
    tail = (f"/{db}" if db else "") + (f"?{urlencode(options)}" if options else "")
    return Several(kind, listed, master, theirs, f"{_SCHEMES[scheme]}://{login}", tail), ""


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


def user_of(url: str) -> str:
    """The name by which a server knows whoever dials this URL."""
    return str(parse_url(client_url(url)).get("username") or "default")


def redact(url: str) -> str:
    """The URL without its passwords, for people's eyes. Where it is not clear what is a password, more is hidden."""
    url = str(url).translate(_IGNORED)
    shown = _without_options(url)  # first: what stands in them may look like a login
    if shown.count("@") < url.count("@"):  # or what looks like an option is of a login
        scheme = _SCHEME.match(url)
        return f"{scheme[0] if scheme else ''}***"
    return _NO_PORT.sub(r"\1***", _without_login(shown))


def _without_options(url: str) -> str:
    """Without what options hold whose names have a `pass` in them, or an escape: up to the next option, also over an & of its own."""
    shown, at, hiding = list[str](), 0, False
    for found in _PARAMETER.finditer(url):
        if hiding and (found[1] != "&" or not _NAME.fullmatch(found[2])):
            continue  # of a password
        shown += ("***" if hiding else url[at : found.start()], found[0])
        at, hiding = found.end(), "pass" in found[2].lower() or "%" in found[2]
    return "".join((*shown, "***" if hiding else url[at:]))


def _without_login(url: str) -> str:
    """Without the password of the login, which goes up to the last @: it may hold what should have been escaped. Then the name is not shown either."""
    scheme = _SCHEME.match(url)
    start, end = scheme.end() if scheme else 0, url.rfind("@")
    name, colon, _ = url[start : max(start, end)].partition(":")
    plain = not set("/?#@") & set(name)
    if end < start or name.startswith("/") or (plain and not colon):
        return url  # a path, or a name alone
    return f"{url[:start]}{f'{name}:' if plain else ''}***{url[end:]}"
