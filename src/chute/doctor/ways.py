"""What there is to say of the way to a server: whether others can read along, or be taken for it. Pure: it reads the URL alone."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from redis.connection import parse_url

from chute import address
from chute.address import Address
from chute.doctor.remark import Remark, mend, well
from chute.tls import INSTEAD, UNSURE, unsafe


def judge(where: Address) -> Iterator[Remark]:
    """All that there is to say."""
    if where.embedded:
        yield well("way", "a socket of this user")
        return
    parsed = parse_url(address.client_url(where.url))
    tls = where.url.partition("://")[0].partition("+")[0] in ("rediss", "valkeys")
    far = "path" not in parsed and not is_loopback(str(parsed.get("host", "localhost")))
    said = [*_tls(parsed, tls=tls, far=far)]
    if far and "password" not in parsed:
        said.append(
            mend(
                "way",
                "no password",
                "whoever reaches the server may run any task",
                "give it users (docs: Permissions), and the URL one of them",
            )
        )
    yield from said or [well("way", "TLS, and the server's certificate is checked" if tls else "it does not leave this machine")]


def _tls(parsed: Mapping[str, Any], *, tls: bool, far: bool) -> Iterator[Remark]:
    if far and not tls:
        yield mend(
            "way", "no TLS, and the server is on another machine", "who is on the way reads the password and all jobs", "write rediss://"
        )
    if tls and (wrong := unsafe(parsed)):
        yield mend("way", wrong, UNSURE, INSTEAD)


def is_loopback(host: str) -> bool:
    """Whether this host is this machine, as far as its name tells."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
