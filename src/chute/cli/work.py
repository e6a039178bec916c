"""`chute work`: runs a worker until it is told to stop, and says what it does."""

import gc
import logging
import os
import signal
import threading
import time
from typing import Any

import click

from chute.cli import load, logs
from chute.cli.common import say, say_what_else_answers, server_line, url_option
from chute.cli.logs import Screen
from chute.release import VERSION
from chute.worker import Worker
from chute.worker.engine import Engine

log = logging.getLogger("chute.worker")
REPORT_EVERY = 60.0
LAST_SECOND = 1.0
"""Seconds that the process gets to end by itself, once nothing is left to lose."""


@click.command()
@click.argument("module", metavar="MODULE[:ATTR[,ATTR...]]")
@click.option("--concurrency", default=100, show_default=True, type=click.IntRange(min=1), help="Jobs that run at once.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(min=1), help="Plain functions (def) among them.")
@click.option("--grace", default=30.0, show_default=True, type=click.FloatRange(min=0), help="Seconds that running jobs get at the end.")
@click.option("--burst", is_flag=True, help="End when nothing is ready and everything is done. Scheduled jobs are left.")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", default="text", show_default=True, type=click.Choice(["text", "json"]))
@url_option
def work(module: str, concurrency: int, threads: int, grace: float, burst: bool, log_level: str, log_format: str) -> None:
    """Run the tasks of MODULE's queues.

    ATTR is a Python name in MODULE that holds a chute.Queue (none: every queue in the module). critical,default=2,bulk=1 gives weights; a queue
    without a number comes before all others, in that order. The first SIGTERM or Ctrl-C stops gently, the second at once.
    """
    screen = logs.start(log_level, log_format)
    chosen = load.load(module)
    worker = Worker(*[queue for queue, _ in chosen], concurrency=concurrency, threads=threads)
    worker.grace = grace
    worker.weights = [weight for _, weight in chosen]
    say(f"chute {VERSION} · {server_line(worker.queues[0].endpoint)} · another: --url or CHUTE_URL")
    say_what_else_answers(worker.queues[0].endpoint)
    gc.freeze()  # what was imported stays; young objects die by reference counting, so the collector need not look at them so often
    gc.set_threshold(20_000, 20, 20)
    report = Report(worker, screen, burst=burst)
    worker.observer = report.look
    worker.leaving = report.leave
    try:
        worker.run(burst=burst)
    finally:
        screen.done()


class Report:
    """What a worker is doing: on a terminal a line that changes, elsewhere a line a minute."""

    def __init__(self, worker: Worker, screen: Screen, *, burst: bool) -> None:
        self._worker, self._screen, self._burst = worker, screen, burst
        self._started = 0.0
        self._engine: Engine | None = None
        self._depth = 0
        self._last = (0.0, 0)
        self._reported = 0.0

    def look(self, engine: Engine) -> None:
        """Called by the worker about twice a second."""
        now = time.monotonic()
        if self._engine is None:
            self._engine, self._started, self._reported = engine, now, now
            self._last = (now, 0)
            say(self._first_line())
        commands = [lane.holdings.length for lane in engine.lanes]
        engine.line.send(commands, self._measured)
        text = self._now(engine, now)
        self._screen.status(text)
        if not self._screen.live and now - self._reported >= REPORT_EVERY:
            self._reported = now
            log.info("%s", text)

    def leave(self) -> None:
        """Everything was given back: says so, and sees to it that the process ends, whatever a handler holds on to."""
        self._screen.done()
        self.summary()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        end = threading.Timer(LAST_SECOND, os._exit, (0,))
        end.daemon = True
        end.start()

    def summary(self) -> None:
        """The last line."""
        if self._engine is not None:
            totals, seconds = self._engine.totals, time.monotonic() - self._started
            parts = [f"{totals['completed']:,} done"]
            parts += [
                f"{totals[kind]:,} {word}"
                for kind, word in (("failed", "failed"), ("refused", "refused"), ("again", "retried"))
                if totals[kind]
            ]
            say(f"stopped after {seconds:.1f} s · {' · '.join(parts)} · everything else was given back")

    def _first_line(self) -> str:
        queues = self._worker.queues
        names = ", ".join(queue.name for queue in queues)
        tasks = ", ".join(name for queue in queues for name in queue.tasks)
        end = "ends when nothing is ready" if self._burst else "waiting for jobs, Ctrl-C stops"
        return f"{_many('queue', queues)} {names} · task {tasks} · {self._worker.concurrency} slots · {end}"

    def _measured(self, replies: list[Any] | None) -> None:
        self._depth = sum(reply for reply in replies or () if isinstance(reply, int))

    def _now(self, engine: Engine, now: float) -> str:
        totals = engine.totals
        ended = totals["completed"] + totals["failed"] + totals["refused"]
        then, before = self._last
        rate = (ended - before) / (now - then) if now > then else 0.0
        self._last = (now, ended)
        failed = totals["failed"] + totals["refused"]
        running = len(engine.slots.running)
        return f"{totals['completed']:,} done · {failed:,} failed · {rate:,.0f}/s · {self._depth:,} waiting · {running} running"


def _many(word: str, things: Any) -> str:
    return word if len(things) == 1 else f"{word}s"
