"""What `chute work` shows of its processes: on a terminal a line that changes, elsewhere a line a minute, and a summary at the end."""

import logging
import time

from chute.cli.logs import Screen
from chute.cli.messages import say
from chute.keys import base_of
from chute.supervisor import Supervisor
from chute.worker.wire import Ready

log = logging.getLogger("chute.worker")
REPORT_EVERY = 60.0


class Report:
    """Looks at a supervisor and writes to the screen."""

    def __init__(self, supervisor: Supervisor, screen: Screen) -> None:
        self._supervisor, self._screen = supervisor, screen
        self.more = ""
        """What else to say when the first process is ready."""
        self._started: float | None = None
        self._last = (0.0, 0)
        self._reported = 0.0

    def begin(self, ready: Ready) -> None:
        """The first process is ready."""
        now = time.monotonic()
        self._started = self._reported = now
        self._last = (now, 0)
        say(self._first_line(ready))
        if self.more:
            say(self.more)

    def look(self) -> None:
        """Called about twice a second."""
        now = time.monotonic()
        due = now - self._reported
        if self._screen.live or due >= REPORT_EVERY - 1:  # nobody sees it sooner, and a server may have enough to do
            self._supervisor.agent.measure()
        text = self._now(now)
        self._show(text)
        if not self._screen.live and due >= REPORT_EVERY:
            self._reported = now
            log.info("%s", text)

    def end(self) -> None:
        """Takes the status line away, and sums up."""
        self._screen.done()
        if self._started is not None:
            totals, seconds = self._supervisor.totals, time.monotonic() - self._started
            parts = [f"{totals['completed']:,} done"]
            words = (("failed", "failed"), ("refused", "refused"), ("again", "retried"))
            parts += [f"{totals[kind]:,} {word}" for kind, word in words if totals[kind]]
            say(f"stopped after {seconds:.1f} s · {' · '.join(parts)} · everything else was given back")

    def _show(self, text: str) -> None:
        """Also to the children: what they print on this terminal comes out above it."""
        self._screen.status(text)
        if self._screen.live:
            for child in self._supervisor.children:
                child.board.status = text

    def _first_line(self, ready: Ready) -> str:
        start, processes = self._supervisor.start, self._supervisor.processes
        queues = {base_of(name): tasks for name, tasks in ready.queues.items()}
        names = ", ".join(f"{name} in {count} lists" if (count := _lists(ready, name)) > 1 else name for name in queues)
        tasks = ", ".join(name for queue in queues.values() for name in queue.manners)
        end = "ends when nothing is ready" if start.burst else "waiting for jobs, Ctrl-C stops"
        many = f"{processes} processes with " if processes > 1 else ""
        return f"{'queue' if len(queues) == 1 else 'queues'} {names} · task {tasks} · {many}{start.concurrency} slots · {end}"

    def _now(self, now: float) -> str:
        supervisor, totals = self._supervisor, self._supervisor.totals
        ended = totals["completed"] + totals["failed"] + totals["refused"]
        then, before = self._last
        rate = (ended - before) / (now - then) if now > then else 0.0
        self._last = (now, ended)
        failed = totals["failed"] + totals["refused"]
        shown = f"{totals['completed']:,} done · {failed:,} failed · {rate:,.0f}/s"
        return f"{shown} · {supervisor.agent.depth:,} waiting · {supervisor.running} running"


def _lists(ready: Ready, queue: str) -> int:
    return sum(base_of(name) == queue for name in ready.queues)
