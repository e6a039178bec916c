"""What happened to one job, line by line beside the faults, for whoever looks for the reason of a violation. Pure."""

from collections.abc import Iterable, Sequence

from chaos.checker import Fault, Findings
from chaos.oracle import History

TOLD = 5
"""So many jobs of each kind of violation."""
AROUND = 3 * 10**9
"""Nanoseconds around the life of a job in which a fault is told with it."""


def stories(history: History, faults: Sequence[Fault], found: Findings) -> Iterable[str]:
    """A line for each event of the jobs that are lost, ran too often or are left behind; seconds since its first."""
    named = {"lost": found.lost, "over": found.over, "burned": found.burned, "unrun": found.unrun, "stale": found.stale, "left": found.left}
    for why, jobs in named.items():
        for job in jobs[:TOLD]:
            yield f"{job} ({why}): {'; '.join(_story(job, history, faults)) or 'nothing is noted of it'}"


def _story(job: str, history: History, faults: Sequence[Fault]) -> list[str]:
    events: list[tuple[int, str]] = []
    if job in history.accepted_at:
        events.append((history.accepted_at[job], "confirmed" if job in history.confirmed else "accepted"))
    for run in history.runs.get(job, []):
        events.append((run.started, f"started in {run.pid}, tag {run.tag}, attempt {run.attempt}"))
        if run.ended is not None:
            events.append((run.ended, f"{run.how} in {run.pid}, tag {run.tag}"))
    if not events:
        return []
    first, last = min(events)[0], max(events)[0]
    for fault in faults:
        if fault.began - AROUND <= last and fault.ended + AROUND >= first:
            events += [(fault.began, f"[{fault.what}"), (fault.ended, f"{fault.what}]")]
    return [f"{(at - first) / 1e9:+.3f} {what}" for at, what in sorted(events)]
