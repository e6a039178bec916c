"""`chute stats`: the queues at a glance."""

import click

from chute import admin, connection
from chute.admin import Stats
from chute.cli.common import show_json, url_option
from chute.cli.messages import say
from chute.cli.table import show_table
from chute.keys import check_list_name

COLUMNS = ("queue", "depth", "running", "scheduled", "dead", "workers", "rate", "oldest")
PAUSED = " (paused)"


@click.command()
@click.argument("queues", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@url_option
def stats(queues: tuple[str, ...], as_json: bool) -> None:
    """Show QUEUES (default: every queue that a worker has ever worked).

    depth: ready jobs (LLEN); running: leased; dead: dead letters, refused ones included; rate: jobs finished per second over the last minute;
    oldest: how long the next job has waited. A queue that was paused is marked so.
    """
    endpoint = connection.endpoint()
    rows = admin.survey(endpoint, [check_list_name(name) for name in queues])
    if as_json:
        for row in rows:
            show_json(row)
    elif rows:
        show_table(COLUMNS, [_cells(row) for row in rows])
    else:
        say("chute: no worker has ever worked a queue here. A worker: chute work MODULE")


def _cells(row: Stats) -> tuple[str, ...]:
    counts = [f"{count:,}" for count in (row.depth, row.running, row.scheduled, row.dead, row.workers)]
    age = "-" if row.oldest_age is None else f"{row.oldest_age:,.1f} s"
    return row.queue + PAUSED * row.paused, *counts, f"{row.rate:,.1f}/s", age
