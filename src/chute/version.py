"""Which servers Chute works with. Pure."""

import re

from chute.errors import ServerUnavailable

REDIS_FLOOR, VALKEY_FLOOR = (7, 0), (7, 2)


def name_of(info: dict[str, str]) -> str:
    """The server's name and version out of INFO: a Valkey also calls itself a Redis, of the version that it descends from."""
    if valkey := info.get("valkey_version"):
        return f"Valkey {valkey}"
    return f"Redis {info.get('redis_version', '(unknown version)')}"


def check(info: dict[str, str]) -> None:
    """Raises ServerUnavailable when the server is too old."""
    name, _, number = name_of(info).partition(" ")
    floor = VALKEY_FLOOR if name == "Valkey" else REDIS_FLOOR
    found = re.match(r"(\d+)\.(\d+)", number)
    if found and (int(found[1]), int(found[2])) < floor:
        raise ServerUnavailable(
            f"the server is {name} {number}; Chute needs Redis 7.0 or Valkey 7.2, or newer. Nothing was changed. "
            "Upgrade it, or name another: --url or CHUTE_URL"
        )
