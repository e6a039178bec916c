"""Judges what happened: the oracle's history, the server's final state and the faults that were injected -> what was violated. Pure, O(n).

It knows nothing of how Chute works, only what it promises: nothing accepted is lost, nothing runs that was not sent, a job runs at most
once more for each fault that struck the process that ran it, and a result is that of a run that ended.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from chaos.final import Final
from chaos.oracle import History, Run

Effect = Literal["death", "suspicion", "failover", "none"]
UNANSWERED = 200_000_000
"""Nanoseconds for which the end of a run may have been unknown to the server: a fault that soon after it may repeat the job."""
ABOUT_TO_BEGIN = 20_000_000
"""Nanoseconds after a freeze within which a process begins the one job that it had just looked at, if it stood still between that look and the
beginning. Before any other it looks at the clock again."""
IN_HAND = 250_000_000
"""Nanoseconds for which a job that the old server handed out in its last moment may lie in hand before it begins; then it is given back."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done, to which processes, from when to when. `effect`: whether those are dead, may be suspected of it, or neither; so whether
    what they ran may run once more. `failover`: another server goes on with what it has, so the last claims and outcomes may not have
    happened, and tags are handed out a second time. `held`: the jobs that were held when it struck. `gap`: so many nanoseconds before it and
    while it goes on a server may have accepted jobs that its successor never heard of."""

    what: str
    effect: Effect
    pids: frozenset[int]
    began: int
    ended: int
    held: int
    gap: int | None = None

    def strands(self, accepted: int) -> bool:
        """Whether what was accepted then may be gone with a server."""
        return self.gap is not None and self.began - self.gap <= accepted <= self.ended

    def excuses(self, run: Run) -> bool:
        """Whether this run may be followed by another for it; for a fault with an effect."""
        until = self.ended + (IN_HAND if self.effect == "failover" else 0)
        struck = run.pid in self.pids and run.started <= until
        return struck and (run.ended is None or run.ended + UNANSWERED >= self.began)


@dataclass(slots=True)
class Findings:
    """What the judge found; each list names jobs (or keys, or tags)."""

    lost: list[str] = field(default_factory=list)
    stranded: list[str] = field(default_factory=list)
    """Gone, but accepted by a server alone, moments before another took its place: no violation, and counted."""
    phantom: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    burned: list[str] = field(default_factory=list)
    unrun: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    duplicates: int = 0
    bound: int = 0
    recovery: float = 0.0
    """The longest time in seconds from a death until somebody ran one of the jobs that it left behind, but for one death in ten: who recovers a job
    may be struck before it runs it, and then it takes twice as long."""
    resume: float = 0.0
    """The longest time in seconds from the end of a fault until one of those that it struck started a job."""
    outage: float = 0.0
    """The longest time in seconds around a fault in which no job was begun."""

    def violations(self) -> list[str]:
        """In words, with up to three examples of each."""
        named = {
            "lost": self.lost,
            "ran though never accepted": self.phantom,
            "ran more often than the faults explain": self.over,
            "charged for what was no failure of theirs": self.burned,
            "finished without a run that ended": self.unrun,
            "have another's result": self.mismatched,
            "have the result of a run that had lost its lease": self.stale,
            "out of order": self.disordered,
            "left behind": self.left,
        }
        return [f"{len(found)} {words}: {', '.join(found[:3])}" for words, found in named.items() if found]


def judge(history: History, final: Final, faults: Sequence[Fault]) -> Findings:
    """Everything but the order, which only rows without redelivery promise."""
    found = Findings()
    for job in sorted(history.accepted):
        if not (job in final.results or job in final.dead or job in final.queued or job in final.leased):
            gone_with = job not in history.confirmed and any(fault.strands(history.accepted_at.get(job, 0)) for fault in faults)
            (found.stranded if gone_with else found.lost).append(job)
    found.phantom = sorted(job for job in history.runs if job not in history.accepted and job not in history.unknown)
    telling = [fault for fault in faults if fault.effect != "none"]
    begun = _about_to_begin(telling, history)
    for job, runs in history.runs.items():
        _count(found, job, runs, telling, begun)
    failovers = [fault for fault in faults if fault.effect == "failover"]
    for job, result in final.results.items():
        runs = history.runs.get(job, [])
        _compare(found, job, result, runs, retold=any(fault.excuses(run) for fault in failovers for run in runs))
    found.left = sorted({*final.queued, *final.leased, *final.leaks})
    found.recovery = _longest_of_nine_in_ten([each for fault in faults if (each := _recovery(fault, history))])
    found.resume = max([0.0, *filter(None, (_resume(fault, history) for fault in faults))])
    return found


def _about_to_begin(faults: Sequence[Fault], history: History) -> set[tuple[str, int]]:
    """The runs, by job and tag, that were as good as begun when their process was frozen: one at most of each process and freeze."""
    found, starts = set(), defaultdict[int, list[tuple[int, str, int]]](list)
    for runs in history.runs.values():
        for run in runs:
            starts[run.pid].append((run.started, run.job, run.tag))
    for of_process in starts.values():
        of_process.sort()
    for fault in faults:
        for pid in fault.pids if fault.effect == "suspicion" else ():
            next_one = bisect(starts[pid], (fault.ended, "", 0))
            for started, job, tag in starts[pid][next_one : next_one + 1]:
                if started <= fault.ended + ABOUT_TO_BEGIN:
                    found.add((job, tag))
    return found


def _count(found: Findings, job: str, runs: list[Run], faults: Sequence[Fault], begun: set[tuple[str, int]]) -> None:
    """Executions against 1 + faults of their owners + retries that the handler asked for + runs that a leaving worker broke off."""
    asked_for = sum(run.how in {"raised", "cancelled"} for run in runs)
    excused = sum((job, run.tag) in begun or any(fault.excuses(run) for fault in faults) for run in runs)
    found.bound += excused
    found.duplicates += max(0, len(runs) - 1 - asked_for)
    if len(runs) > 1 + asked_for + excused:
        found.over.append(job)
    raised = 0
    for run in runs:
        if run.attempt > 1 + raised:
            found.burned.append(job)
            break
        raised += run.how == "raised"


def _compare(found: Findings, job: str, result: dict[str, str], runs: list[Run], *, retold: bool) -> None:
    """`retold`: its tags may have been handed out twice, so they do not say which of its runs had the lease."""
    if result.get("status") != "completed":
        return
    tags = [run.tag for run in runs if run.how == "done"]
    tag = result.get("@tag", "")
    if tag not in map(str, tags):
        found.unrun.append(job)
    elif "@result_error" not in result and (result.get("echo") != job or result.get("tag") != tag):  # else there was a value to store
        found.mismatched.append(job)
    elif int(tag) < max(tags) and not retold:
        found.stale.append(job)


def disordered(runs: Iterable[Run]) -> list[str]:
    """The jobs of a producer that were started behind a younger one of the same, by their first runs."""
    last: dict[str, int] = {}
    seen: set[str] = set()
    found = []
    for run in runs:
        producer, _, number = run.job.rpartition("-")
        if run.job not in seen and int(number) < last.get(producer, 0):
            found.append(run.job)
        seen.add(run.job)
        last[producer] = max(last.get(producer, 0), int(number))
    return found


def _recovery(fault: Fault, history: History) -> float | None:
    """From the blow until one of the jobs that the struck had begun was begun again."""
    if fault.effect in {"none", "failover"}:
        return None
    again = [
        later.started
        for runs in history.runs.values()
        for run, later in pairwise(runs)
        if run.pid in fault.pids and run.started <= fault.began < later.started and (run.ended is None or run.ended > fault.began)
    ]
    return (min(again) - fault.began) / 1e9 if again else None


def _longest_of_nine_in_ten(times: Sequence[float]) -> float:
    return sorted(times)[-1 - len(times) // 10] if times else 0.0


def _resume(fault: Fault, history: History) -> float | None:
    """From the end of a fault that healed until one of the struck began a job."""
    later = [run.started for runs in history.runs.values() for run in runs if run.pid in fault.pids and run.started > fault.ended]
    return (min(later) - fault.ended) / 1e9 if later and fault.effect != "death" else None


def outage(runs: Sequence[Run], faults: Iterable[Fault]) -> float:
    """The longest time in seconds around a fault in which no job was begun."""
    pauses = [(later.started - run.started, run.started, later.started) for run, later in pairwise(runs)]
    return max([0, *[long for fault in faults for long, since, until in pauses if since <= fault.ended and until >= fault.began]]) / 1e9
