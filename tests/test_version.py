"""version.py: which servers are new enough, by what they say of themselves."""

import pytest

from chute import version
from chute.errors import ServerUnavailable

NEW_ENOUGH = [
    ({"redis_version": "7.0.0"}, "Redis 7.0.0"),
    ({"redis_version": "7.0.15"}, "Redis 7.0.15"),
    ({"redis_version": "8.2.1"}, "Redis 8.2.1"),
    ({"redis_version": "10.0.0"}, "Redis 10.0.0"),
    ({"redis_version": "7.2.4", "valkey_version": "7.2.0"}, "Valkey 7.2.0"),
    ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, "Valkey 9.1.2"),
    ({"redis_version": "255.255.255"}, "Redis 255.255.255"),
    ({}, "Redis (unknown version)"),
]
TOO_OLD = [
    ({"redis_version": "6.2.14"}, "Redis 6.2.14"),
    ({"redis_version": "2.8"}, "Redis 2.8"),
    ({"redis_version": "7.2.4", "valkey_version": "7.1.9"}, "Valkey 7.1.9"),
]


@pytest.mark.parametrize(("info", "name"), NEW_ENOUGH)
def test_a_server_that_is_new_enough(info: dict[str, str], name: str) -> None:
    version.check(info)
    assert version.name_of(info) == name


@pytest.mark.parametrize(("info", "name"), TOO_OLD)
def test_a_server_that_is_too_old(info: dict[str, str], name: str) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        version.check(info)
    for part in (f"the server is {name}", "Redis 7.0 or Valkey 7.2", "Nothing was changed", "--url or CHUTE_URL"):
        assert part in str(caught.value)
