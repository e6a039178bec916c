"""`chute work`: the supervisor of the processes that run the jobs, and what it shows."""

import asyncio
import sys
from collections.abc import Callable

import click

from chute import address
from chute.cli import child, heap, logs
from chute.cli.changes import Changes
from chute.cli.common import url_option
from chute.cli.expose import expose
from chute.cli.report import Report
from chute.supervisor import Supervisor
from chute.worker.wire import Start


@click.command()
@click.argument("module", metavar="MODULE[:ATTR[,ATTR...]]")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(min=1), help="Processes that run jobs.")
@click.option("--concurrency", default=100, show_default=True, type=click.IntRange(min=1), help="Jobs that run at once in each.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(min=1), help="Plain functions (def) among them.")
@click.option("--grace", default=30.0, show_default=True, type=click.FloatRange(min=0), help="Seconds that running jobs get at the end.")
@click.option("--burst", is_flag=True, help="End when nothing is ready and everything is done. Scheduled jobs are left.")
@click.option("--reload", is_flag=True, help="Start anew when a .py file here changes (for development).")
@click.option("--max-jobs", type=click.IntRange(min=1), metavar="N", help="Replace a process after N jobs.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), metavar="N", help="Serve /metrics, /livez and /readyz there (0: any port).")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, metavar="HOST", help="The address for it.")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", default="text", show_default=True, type=click.Choice(["text", "json"]))
@url_option
def work(
    module: str, processes: int, concurrency: int, threads: int, grace: float, burst: bool, reload: bool,
    max_jobs: int | None, metrics_port: int | None, metrics_host: str, log_level: str, log_format: str,
) -> None:  # fmt: skip
    """Run the tasks of MODULE's queues.

    ATTR is a Python name in MODULE that holds a chute.Queue (none: every queue in the module). critical,default=2,bulk=1 gives weights; a queue
    without a number comes before all others, in that order. The first SIGTERM or Ctrl-C stops gently, the second at once; SIGHUP replaces the
    processes one by one.
    """
    screen = logs.start(log_level, log_format)
    start = Start(module, address.named(), concurrency, threads, grace, burst, max_jobs, log_level, log_format)
    supervisor = Supervisor(child.COMMAND, start, processes)
    report = Report(supervisor, screen)
    supervisor.came_up, supervisor.observer, supervisor.deserted = report.begin, report.look, _deserted()
    if reload:
        supervisor.changed = Changes().look
    if metrics_port is not None:
        report.more = f"figures at {expose(supervisor, metrics_host, metrics_port)}"
    heap.settle()
    code = asyncio.run(supervisor.run())
    report.end()
    sys.exit(code)


def _deserted() -> Callable[[], bool]:
    """Tells whether there was a terminal, now, and there is none any more: one that has hung up says that it is none."""
    stderr, there = sys.stderr, sys.stderr.isatty()
    return lambda: there and not stderr.isatty()
