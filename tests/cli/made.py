"""Queues as `chute top` sees them, without a server."""

from chute.admin import Letter, Stats
from chute.roster import Member, Running
from chute.snapshot import Snapshot, Watched

NOW = 1_700_000_000.0


def watched(
    name: str, *, dead: int = 0, paused: bool = False, members: int = 1, failures: int = 0, error: str = "ValueError: x"
) -> Watched:
    """A queue with so much of everything."""
    stats = Stats(name, 12_345, 3, 0, dead, members, 17.25, 4.5, paused)
    jobs = [Running(f"job-{n}", "answer", 60.0 * n) for n in range(3)]
    people = [Member(name, f"{n:08x}" * 4, "a-host", 4711 + n, 3600.0, 8, 3, 3, jobs) for n in range(members)]
    fields = {"reason": "failed", "error": error, "job_id": "job-x", "task": "answer"}
    letters = [Letter("jobs", "dead", f"{int(NOW * 1000) - 1000 * n}-0", fields, b"{}") for n in range(failures)]
    return Watched(stats, list(range(20)), people, letters)


def snapshot(*queues: Watched) -> Snapshot:
    """All of them at one moment."""
    return Snapshot(NOW, list(queues))
