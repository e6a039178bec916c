"""What a doctor says of a server, by what that says of itself: versions above all, of which a test has few."""

import pytest

from chute.doctor.look import Condition
from chute.doctor.servers import judge

FIT = {
    "redis_version": "8.2.2",
    "used_memory": "50",
    "maxmemory": "100",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "role": "master",
}
REPLICA = {"connected_slaves": "1", "slave0": "ip=127.0.0.1,port=1,state=online,offset=1,lag=0"}
SET = {"appendfsync": "everysec", "timeout": "0", "tcp-keepalive": "60", "proto-max-bulk-len": "2097152"}


def said(
    info: dict[str, str] | None = None, settings: dict[str, str] | None = None, ahead: float = 0.0, unsure: float = 0.0
) -> dict[str, str]:
    """The state of each check; where there are several, the worst."""
    states: dict[str, str] = {}
    order = ("well", "note", "unchecked", "mend")
    for remark in judge(Condition(FIT | REPLICA | (info or {}), SET | (settings or {}), ahead, unsure)):
        states[remark.check] = max(states.get(remark.check, "well"), remark.state, key=order.index)
    return states


def test_of_one_that_is_fit_there_is_nothing_to_say() -> None:
    assert {*said().values()} == {"well"}


@pytest.mark.parametrize(
    ("info", "state"),
    [
        ({"redis_version": "6.2.20"}, "mend"),
        ({"redis_version": "7.0.15"}, "note"),
        ({"redis_version": "7.2.10"}, "mend"),
        ({"redis_version": "7.2.11"}, "well"),
        ({"redis_version": "7.4.5"}, "mend"),
        ({"redis_version": "7.4.6"}, "well"),
        ({"redis_version": "8.0.3"}, "mend"),
        ({"redis_version": "8.0.4"}, "well"),
        ({"redis_version": "8.1.2"}, "mend"),
        ({"redis_version": "8.2.1"}, "mend"),
        ({"redis_version": "8.2.2"}, "well"),
        ({"redis_version": "8.4.0"}, "well"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.10"}, "mend"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.11"}, "well"),
        ({"redis_version": "7.2.4", "valkey_version": "8.0.5"}, "mend"),
        ({"redis_version": "7.2.4", "valkey_version": "8.0.6"}, "well"),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.3"}, "mend"),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.4"}, "well"),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, "well"),
        ({"redis_version": "unstable"}, "well"),
    ],
)
def test_versions(info: dict[str, str], state: str) -> None:
    assert said(info)["version"] == state


@pytest.mark.parametrize(
    ("info", "check", "state"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "memory", "mend"),
        ({"maxmemory": "0"}, "memory", "note"),
        ({"used_memory": "84"}, "memory", "well"),
        ({"used_memory": "85"}, "memory", "mend"),
        ({"aof_enabled": "0"}, "disk", "mend"),
        ({"loading": "1"}, "disk", "note"),
        ({"aof_last_write_status": "err"}, "disk", "mend"),
        ({"aof_last_bgrewrite_status": "err"}, "disk", "mend"),
        ({"rdb_last_bgsave_status": "err"}, "disk", "mend"),
        ({"role": "slave"}, "replicas", "mend"),
        ({"connected_slaves": "0"}, "replicas", "note"),
        ({"slave0": "ip=127.0.0.1,port=1,state=wait_bgsave,offset=0,lag=0"}, "replicas", "mend"),
        ({"min_slaves_good_slaves": "0"}, "replicas", "mend"),
        ({"min_slaves_good_slaves": "1"}, "replicas", "well"),
    ],
)
def test_what_it_says_of_itself(info: dict[str, str], check: str, state: str) -> None:
    assert said(info)[check] == state


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"appendfsync": "no"}, "mend"),
        ({"appendfsync": "always"}, "well"),
        ({"timeout": "60"}, "note"),
        ({"tcp-keepalive": "0"}, "note"),
        ({"proto-max-bulk-len": "536870912"}, "note"),
    ],
)
def test_settings(settings: dict[str, str], state: str) -> None:
    assert said(settings=settings)["settings"] == state


@pytest.mark.parametrize(("ahead", "unsure", "state"), [(1.9, 0.0, "well"), (2.1, 0.0, "mend"), (-2.1, 0.0, "mend"), (3.0, 1.5, "well")])
def test_a_clock_is_wrong_only_if_it_is_for_sure(ahead: float, unsure: float, state: str) -> None:
    assert said(ahead=ahead, unsure=unsure)["clock"] == state
