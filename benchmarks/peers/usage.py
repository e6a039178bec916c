"""What a peer uses: memory of its processes, work of the server, results kept there. Only looks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import redis


@dataclass(frozen=True)
class Cost:
    """What the server did: microseconds of its processor, commands, bytes read and written."""

    us: float
    commands: float
    wire: float

    def __sub__(self, earlier: Self) -> "Cost":
        return Cost(self.us - earlier.us, self.commands - earlier.commands, self.wire - earlier.wire)

    def __truediv__(self, jobs: int) -> "Cost":
        return Cost(self.us / jobs, self.commands / jobs, self.wire / jobs)


def cost(server: redis.Redis) -> Cost:
    """What the server did since it started."""
    info = server.info("all")
    seconds = info["used_cpu_user"] + info["used_cpu_sys"]
    return Cost(seconds * 1e6, info["total_commands_processed"], info["total_net_input_bytes"] + info["total_net_output_bytes"])


def memory(pid: int, peaks: dict[int, float]) -> None:
    """Notes in `peaks` how many MB a process and those below it had resident at most. Knows nothing outside of Linux."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it ended meanwhile
        return
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
    peaks[pid] = int(peak) / 1024
    for child in below:
        memory(int(child), peaks)


def expiring(pattern: str) -> Callable[[redis.Redis], int]:
    """Counts keys that match and will expire: results that are keys of their own."""

    def count(server: redis.Redis) -> int:
        found = set(server.scan_iter(pattern, count=10_000))  # one that is seen twice counts once
        with server.pipeline(transaction=False) as pipe:
            for key in found:
                pipe.ttl(key)
            return sum(ttl > 0 for ttl in pipe.execute())

    return count


def members(key: str) -> Callable[[redis.Redis], int]:
    """Counts the members of a sorted set: results that their queue removes by age."""
    return lambda server: server.zcard(key)
