"""Which server: from what the caller, the command line and the environment say to one address. Opens nothing.

The order is `--url`, `Queue(url=...)`, `CHUTE_URL`, `REDIS_URL`, the embedded server; it is followed at first use, never at import.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from redis.connection import parse_url

from chute import settings

_PASSWORD = re.compile(r"^((?:[a-z]+://)?+[^:/?#@]*:).*@", re.DOTALL | re.IGNORECASE)
"""Up to the last @: a password may hold what should have been escaped."""
_QUERY_PASSWORD = re.compile(r"([?&][a-z_]*password=)[^&]*", re.IGNORECASE)
_ESCAPES = "in a password, / ? # @ are written %2F %3F %23 %40"
_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}


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
    """The URL as redis-py reads it: Valkey's schemes are Redis's under another name. Raises ValueError when it is not a server's URL."""
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in _SCHEMES:
        raise ValueError(f"{source} is not a server's URL: {redact(url)}. A URL looks like redis://host:6379/0 or unix:///path/to/socket")
    known = f"{_SCHEMES[scheme]}:{rest}"
    try:
        parse_url(known)
    except ValueError as error:
        why = _ESCAPES if "@" in rest else error  # its own words may quote the password
        raise ValueError(f"{source} is not a server's URL: {redact(url)} ({why})") from None
    return known


def login_advice(url: str) -> str:
    """What to do about a server that did not let this URL in, for people's eyes."""
    known = parse_url(client_url(url))
    scheme, _, rest = url.partition("://")
    place = rest.rpartition("@")[2].partition("?")[0]
    as_what = f"{scheme}://{place}?password=PASSWORD" if scheme == "unix" else f"{scheme}://:PASSWORD@{place}"
    if "password" not in known:
        return f"wants a password, and the URL has none. Write it into the URL: {as_what}"
    whose = f"user {known['username']} with this password" if "username" in known else "this password"
    other = "" if scheme == "unix" else f" or {scheme}://USER:PASSWORD@{place}"
    return f"does not let in {whose}. Write {as_what}{other}; {_ESCAPES}"


def redact(url: str) -> str:
    """The URL without its passwords, for people's eyes."""
    return _QUERY_PASSWORD.sub(r"\1***", _PASSWORD.sub(r"\1***@", url))
