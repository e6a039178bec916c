"""What there is to say of a server: its version, memory, disk, replicas, clock and settings. Pure."""

import re
from collections.abc import Callable, Iterator

from chute import version
from chute.doctor.look import Condition
from chute.doctor.remark import Remark, mend, note, unchecked, well
from chute.errors import ServerUnavailable

Number = tuple[int, ...]
# CVE-2025-49844: a script may run code of its choice on the server's machine, and whoever enqueues with options may run scripts. The first releases
# with the mend, which holds those for CVE-2025-46817, -46818 and -46819 too: Redis 7.2.11, 7.4.6, 8.0.4, 8.2.2 (docker-library/official-images
# #20011); Valkey 7.2.11, 8.0.6, 8.1.4 (GHSA-9rfg-jx7v-52p6). There is none of Redis 7.0.
_MENDED: dict[str, dict[Number, int]] = {
    "Redis": {(7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
    "Valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4},
}
_CVE = "whoever enqueues with options or works may run Lua, which before that could be turned into code on the server's machine (CVE-2025-49844)"
NEARLY_FULL = 0.85
SKEW = 2.0
"""Seconds that two clocks may differ."""
LARGEST = 64 << 20
"""Bytes of an argument from which on one push is a burden."""


def judge(server: Condition) -> Iterator[Remark]:
    """All that there is to say."""
    yield from _clock(server)
    info = server.info
    if info is None:
        refused = server.no["info"]
        yield unchecked("server", f"version, memory, disk and replicas ({refused})", "as a user with +info: observer, operator")
    else:
        for look in (_version, _memory, _disk, _replicas):
            yield from look(info)
    if server.settings is None:
        refused = server.no["settings"]
        yield unchecked(
            "settings", f"appendfsync, timeout, tcp-keepalive, proto-max-bulk-len ({refused})", "once, as a user with +config|get"
        )
    else:
        yield from _settings(server.settings, info or {})


def _version(info: dict[str, str]) -> Iterator[Remark]:
    name = version.name_of(info)
    try:
        version.check(info)
    except ServerUnavailable as error:
        yield mend("version", name, str(error).partition(". ")[0], "upgrade it")
        return
    kind, _, number = name.partition(" ")
    found = tuple(map(int, re.findall(r"\d+", number)[:3]))
    line, mended = found[:2], _MENDED[kind]
    if kind == "Redis" and found and line < (7, 2):
        yield note(
            "version", f"{name}, which no release of its makers mends", _CVE, "upgrade it, or see whether your distribution has mended it"
        )
    elif line in mended and found < (*line, mended[line]):
        yield mend("version", name, _CVE, f"upgrade it to {number.rpartition('.')[0]}.{mended[line]} or newer")
    elif kind == "Redis" and line == (8, 1):
        yield mend("version", name, _CVE, "upgrade it to 8.2.2 or newer")
    else:
        yield well("version", name)


def _memory(info: dict[str, str]) -> Iterator[Remark]:
    used, most, policy = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)), info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        what = "results" if policy.startswith("volatile") else "jobs, leases and dead letters"
        yield mend("memory", f"maxmemory-policy is {policy}", f"a full server then deletes {what}", "set maxmemory-policy noeviction")
    if not most:
        yield note(
            "memory", f"{_size(used)} in use, and no maxmemory", "a long queue takes what the machine has, until the system ends the server",
            "set maxmemory to at most 60 % of what is there",
        )  # fmt: skip
    elif used >= NEARLY_FULL * most:
        yield mend(
            "memory", f"{_size(used)} of {_size(most)} in use ({used / most:.0%})", "a full server refuses new jobs",
            "start workers, keep results for a shorter time (result_ttl), or raise maxmemory",
        )  # fmt: skip
    elif policy == "noeviction":
        yield well("memory", f"{_size(used)} of {_size(most)} in use, noeviction")


def _disk(info: dict[str, str]) -> Iterator[Remark]:
    if info.get("loading", "0") != "0":
        yield note("disk", "the server is loading its data", "until it has, it refuses everything", "wait")
    failed = [what for field, what in _FAILURES.items() if info.get(field, "ok") != "ok"]
    if failed:
        yield mend(
            "disk",
            f"this failed last time: {', '.join(failed)}",
            "the server may refuse all writes (MISCONF)",
            "see its log: room, rights, the disk",
        )
    if info.get("aof_enabled") != "1":
        saved = int(info.get("rdb_changes_since_last_save", 0))
        yield mend(
            "disk", f"appendonly is no; {saved:,} changes are in memory alone", "a restart of the server loses jobs, or all of them",
            "set appendonly yes (docs: Running in production)",
        )  # fmt: skip
    elif not failed:
        yield well("disk", "appendonly yes, the last writes went well")


_FAILURES = {
    "aof_last_write_status": "a write to the append-only file",
    "aof_last_bgrewrite_status": "a rewrite of the append-only file",
    "rdb_last_bgsave_status": "a snapshot (bgsave)",
}


def _replicas(info: dict[str, str]) -> Iterator[Remark]:
    if info.get("role") == "slave":
        yield mend("replicas", "this server is a replica", "it takes no jobs", "name its primary, or its Sentinels (redis+sentinel://)")
        return
    count = int(info.get("connected_slaves", 0))
    behind = [text for n in range(count) if (text := info.get(f"slave{n}", "")) and "state=online" not in text]
    if not count:
        yield note("replicas", "none", 'jobs with confirm="replica" are refused, and a disk that is lost is a queue that is lost')
    elif behind:
        yield mend(
            "replicas", f"{len(behind)} of {count} are not in step", "what they have not got is lost when they take over", "see their logs"
        )
    else:
        yield well("replicas", f"{count} in step")
    if "min_slaves_good_slaves" in info and not int(info["min_slaves_good_slaves"]):
        yield mend("replicas", "fewer than min-replicas-to-write", "the server refuses all writes (NOREPLICAS)", "start a replica")


def _clock(server: Condition) -> Iterator[Remark]:
    if server.ahead is None:
        yield unchecked(
            "clock", f"whether the server's clock is right ({server.no['clock']})", "as a user with +time: sender, worker, observer"
        )
    elif abs(server.ahead) - server.unsure > SKEW:
        which = "ahead of" if server.ahead > 0 else "behind"
        yield mend(
            "clock", f"the server's is {abs(server.ahead):,.1f} s {which} that of this machine",
            "jobs with a time (at=) start so much off, and ages and times that are shown are wrong", "run NTP on both",
        )  # fmt: skip
    else:
        yield well("clock", f"as this machine's, to {max(abs(server.ahead), server.unsure) + 0.05:.1f} s")


def _settings(told: dict[str, str], info: dict[str, str]) -> Iterator[Remark]:
    said = [remark for one in _CHECKS for remark in one(told, info)]
    yield from said or [well("settings", "as they should be")]


def _fsync(told: dict[str, str], info: dict[str, str]) -> Iterator[Remark]:
    if told.get("appendfsync") == "no" and info.get("aof_enabled") == "1":
        yield mend(
            "settings",
            "appendfsync is no",
            "the system decides when jobs are on the disk: a crash loses half a minute",
            "set appendfsync everysec",
        )


def _idle(told: dict[str, str], _: dict[str, str]) -> Iterator[Remark]:
    if (seconds := int(told.get("timeout", 0))) > 0:
        yield note("settings", f"timeout is {seconds}", "idle connections are closed, and dialled again", "set timeout 0")
    if not int(told.get("tcp-keepalive", 60)):
        yield note("settings", "tcp-keepalive is 0", "connections of machines that are gone stay for ever", "set tcp-keepalive 60")


def _bulk(told: dict[str, str], _: dict[str, str]) -> Iterator[Remark]:
    if (largest := int(told.get("proto-max-bulk-len", 0))) > LARGEST:
        yield note(
            "settings", f"proto-max-bulk-len is {_size(largest)}", "a job may have 1 MiB; far larger ones cost memory before they are refused",
            "set proto-max-bulk-len 2mb",
        )  # fmt: skip


_CHECKS: tuple[Callable[[dict[str, str], dict[str, str]], Iterator[Remark]], ...] = (_fsync, _idle, _bulk)


def _size(count: int) -> str:
    return f"{count / (1 << 30):,.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):,.1f} MiB"
