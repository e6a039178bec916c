"""`chute bench`: options, messages and the table around `chute.bench`."""

import shlex
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

import click

from chute import connection, envelope
from chute.bench.measure import Bench, Own, Size, in_mb, measure
from chute.bench.measure import bench as bench_on
from chute.bench.report import Drain, Limit, Report, Spread, share
from chute.bench.stage import FailedError
from chute.cli.common import show_json, url_option
from chute.cli.load import load_task
from chute.cli.messages import BAD_USE, FAILED, fail, say, say_what_else_answers, server_line
from chute.cli.table import show_table
from chute.envelope import Refused

COLUMNS = ("what", "figure", "more")
JOBS_OF_NOTHING, JOBS_OF_A_TASK = 50_000, 1000
MOST_JOBS = 200_000

LIMITS: dict[Limit, str] = {
    "server": "the server, which is busy: more workers will not help",
    "worker": "the worker process, which has a core and uses it: chute work --processes 2",
    "slots": "the slots, which all have a job that waits: --concurrency, for plain functions --threads",
    "network": "the way to the server: each waits for the other. A worker nearer to it, or --processes 2",
    "machine": "this machine: neither is busy and the way is short. Other programs have the cores, or the jobs were too few",
}
"""What to do about what limits."""


@click.command()
@click.argument("target", metavar="[MODULE:TASK]", required=False)
@click.argument("job", metavar="[JSON]", default="{}")
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    metavar="N",
    help=f"At most so many (default: {JOBS_OF_NOTHING}; of a task {JOBS_OF_A_TASK}).",
)
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=20.0, show_default=True, help="The worker ends after so many.")
@click.option("--concurrency", default=100, show_default=True, type=click.IntRange(min=1), help="As of chute work.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(min=1), help="As of chute work.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; durations in seconds.")
@url_option
def bench(
    target: str | None, job: str, jobs: int | None, seconds: float, concurrency: int, threads: int, as_json: bool
) -> None:  # fmt: skip
    """Measure a server, or a task of yours on it.

    Alone: round trips, enqueues, pickup, and how one worker process drains jobs that do nothing. With MODULE:TASK: how one runs that task with the
    arguments in JSON, many times and for real, without retries.

    All of it on a queue of its own, which is removed afterwards. Other clients of the server feel it.

    Exit 0: measured; 1: jobs failed, or the worker did.
    """
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _end)
    own = _own(target, job) if target else None
    endpoint = own.task.sender.endpoint if own else connection.endpoint()
    size = Size(jobs or (JOBS_OF_A_TASK if own else JOBS_OF_NOTHING), seconds, concurrency, threads)
    try:
        say(f"chute: bench of {server_line(endpoint)}")
        say_what_else_answers(endpoint)
        with bench_on(endpoint, size, own) as there:
            say(_what(there))
            report = measure(there)
    except FailedError as failure:
        fail(str(failure), FAILED)
    if as_json:
        show_json(report)
    else:
        show_table(COLUMNS, list(_rows(report)), left=3)
        click.echo(f"limit: {LIMITS[report.drain.limit]}")
    if report.drain.failed:
        fail(
            f"{report.drain.failed:,} of {report.drain.jobs:,} jobs failed; the first: {(report.drain.error or '?').splitlines()[0]}",
            FAILED,
        )


def _end(number: int, _: object) -> NoReturn:
    """Ends as the signal would have, with everything removed on the way."""
    sys.exit(128 + number)


def _own(target: str, job: str) -> Own:
    """The user's task and the arguments for it. Exit 2 where they do not fit."""
    module, attribute, task = load_task(target)
    try:
        body = job.encode(errors="surrogateescape")
        arguments = envelope.decode(body)
        task.signature.decode(body)
    except (Refused, ValueError) as error:
        what = str(error).removesuffix(". Nothing was sent")
        example = shlex.quote('{"question": "What is RAG?"}')
        fail(f"{what}. Nothing was sent. The arguments are JSON: chute bench {target} {example}", BAD_USE)
    return Own(module, attribute, task, arguments)


def _what(there: Bench) -> str:
    """What it is about to do."""
    own, size = there.own, there.size
    what = f"{own.module}:{own.attribute} runs up to {size.jobs:,} times" if own else f"up to {size.jobs:,} jobs that do nothing"
    return f"chute: {what}, for {size.seconds:g} s at most, in queue {there.door.name}; some {in_mb(there.bytes)} there, removed at the end"


def _rows(report: Report) -> Iterator[tuple[str, str, str]]:
    """The figures for people, as wide as a terminal of 80."""
    yield "round trip", *_spread(report.ping)
    if report.enqueue and report.enqueue_many:
        yield "enqueue", f"{report.enqueue:,.0f}/s", "one after the other"
        yield "enqueue_many", f"{report.enqueue_many:,.0f}/s", "all at once"
    if report.pickup and report.result:
        yield "pickup", *_spread(report.pickup, ", enqueue to start of an idle worker")
        yield "result", *_spread(report.result, ", enqueue to result")
    yield from _of_drain(report.drain)


def _of_drain(drain: Drain) -> Iterator[tuple[str, str, str]]:
    left = drain.jobs - drain.run
    yield "drain", f"{drain.rate:,.0f} jobs/s", f"{drain.run:,} jobs, one worker process" + f"; {left:,} did not end" * (left > 0)
    worker = f"{_us(drain.chute_cpu)} a job"
    if drain.handler and drain.handler_cpu is not None and drain.slots_busy is not None:
        yield "handler", *_spread(drain.handler)
        yield "slots", f"{drain.slots_busy:.0%} of {drain.slots}", "busy"
        ours = share(drain.chute_cpu, drain.chute_cpu + drain.handler_cpu)
        worker = f"handler {_us(drain.handler_cpu)}, Chute {_us(drain.chute_cpu)} a job ({ours:.0%})"
    yield "worker", f"{drain.worker_busy:.0%} of a core", worker
    yield "server", f"{drain.server_busy:.0%} of a core", f"{_us(drain.server_cpu)}, {drain.commands:.1f} commands a job"
    yield "network", f"{drain.bytes_in:,.0f} bytes in", f"{drain.bytes_out:,.0f} bytes out a job"
    if drain.shared:
        yield "others", f"{drain.others:,.0f}/s", "commands before; some of the server's line is theirs"


def _spread(spread: Spread, more: str = "") -> tuple[str, str]:
    return f"p50 {_ms(spread.p50)}", f"p99 {_ms(spread.p99)}{more}"


def _ms(seconds: float) -> str:
    if seconds < 0.00001:
        return _us(seconds)
    return f"{seconds:,.2f} s" if seconds >= 1 else f"{seconds * 1000:,.{1 if seconds >= 0.1 else 2}f} ms"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} us"
