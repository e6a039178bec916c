"""Who of the children is stuck: told from their boards alone, since whoever is stuck says nothing.

A job that goes on HARD_STOP past its timeout can only be stopped with its process. A loop that does not come by is reported, and as long as a
job of it may take its time nothing is done about it: it is busy. Time in which the watch itself did not come by counts for nothing.
"""

import logging
from collections.abc import Callable, Sequence

from chute.supervisor.child import Child
from chute.worker import clock

log = logging.getLogger("chute.worker")
EVERY = 0.1
HARD_STOP = 5.0
"""Seconds past its timeout after which a job is killed with its process. Its neighbours have as long to end."""
SILENT = 1.0
"""Seconds after which a loop that does not come by is reported."""
GAP = 1.0

Marks = list[tuple[int, int]]
"""(identity, lease) of jobs."""


class Watch:
    """Looks at the boards. `report(text, child, marks)` logs the text, followed by the names of these jobs."""

    def __init__(self, report: Callable[[str, Child, Marks], None]) -> None:
        self._report = report
        self._since = self._looked = clock.now()
        self._silent: dict[int, float] = {}
        """When those who are silent were last heard, by process id."""

    def look(self, children: Sequence[Child]) -> None:
        """Looks at each; kills who must be."""
        now = clock.now()
        if now - self._looked > GAP:
            self._since = now  # this machine slept, or we did
        self._looked = now
        self._silent = {pid: since for pid, since in self._silent.items() if any(pid == child.pid for child in children)}
        for child in children:
            if child.ready and child.code is None:
                self._look(child, now)

    def _look(self, child: Child, now: float) -> None:
        running = list(child.board.started())
        late = [(identity, lease) for identity, lease, due in running if due and now > max(due, self._since) + HARD_STOP]
        if late and not child.late:
            child.late.update(late)
            self._report(f"process {child.pid} is killed: {HARD_STOP:g} s past its timeout nothing else stops", child, late)
            child.kill()
            return
        silent = now - max(child.board.tick, child.heard_of, self._since)
        if silent < SILENT:
            self._back(child, now)
        elif child.pid not in self._silent:
            self._silent[child.pid] = now - silent
            marks = [(identity, lease) for identity, lease, _ in running]
            self._report(
                f"process {child.pid} does not come by: something blocks its event loop or holds the interpreter; it runs", child, marks
            )
        elif silent > HARD_STOP and not running and not child.stopping:  # one that closes its resources has the grace
            log.warning("process %d is killed: it has not come by for %.0f s, and no job of it runs", child.pid, silent)
            child.kill()

    def _back(self, child: Child, now: float) -> None:
        if (since := self._silent.pop(child.pid, None)) is not None:
            log.warning("process %d is back after %.1f s", child.pid, now - since)
