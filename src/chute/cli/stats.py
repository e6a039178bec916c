"""`chute stats`: the queues at a glance."""

import click
from rich.console import Console
from rich.table import Table

from chute import admin, connection
from chute.admin import Stats
from chute.cli.common import say, show_json, url_option
from chute.keys import check_queue_name
from chute.store import Store


@click.command()
@click.argument("queues", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@url_option
def stats(queues: tuple[str, ...], as_json: bool) -> None:
    """Show QUEUES (default: every queue that a worker has ever worked).

    depth: ready jobs (LLEN); running: leased; dead: dead letters, refused ones included; rate: jobs finished per second over the last minute;
    oldest: how long the next job has waited.
    """
    endpoint = connection.endpoint()
    names = [check_queue_name(name) for name in queues] or endpoint.run(Store.all_known())
    rows = [admin.stats(endpoint, name) for name in names]
    if as_json:
        for row in rows:
            show_json(row)
    elif rows:
        _table(rows)
    else:
        say("chute: no worker has ever worked a queue here. A worker: chute work MODULE")


def _table(rows: list[Stats]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("queue")
    for name in ("depth", "running", "scheduled", "dead", "workers", "rate", "oldest"):
        table.add_column(name, justify="right")
    for row in rows:
        counts = [f"{count:,}" for count in (row.depth, row.running, row.scheduled, row.dead, row.workers)]
        age = "-" if row.oldest_age is None else f"{row.oldest_age:,.1f} s"
        table.add_row(row.queue, *counts, f"{row.rate:,.1f}/s", age)
    Console().print(table)
