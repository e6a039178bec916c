"""`chute metrics`: the whole-queue series for Prometheus, and each queue as JSON for scalers, over HTTP. One for all workers."""

import click
import msgspec

from chute.cli.common import extra, hold_ends, url_option, wait_for_end
from chute.cli.messages import say, server_line
from chute.cli.pages import show_pages
from chute.connection import endpoint
from chute.errors import ChuteError
from chute.scrape import JSON, TEXT, Page


@click.command()
@click.argument("queues", nargs=-1, metavar="[QUEUE...]")
@click.option("--port", default=9540, show_default=True, type=click.IntRange(0, 65535), metavar="N", help="The port (0: any).")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="The address.")
@url_option
def metrics(queues: tuple[str, ...], port: int, host: str) -> None:
    """Serve figures of QUEUEs (default: all).

    /metrics is for Prometheus; /queues/NAME is {"ready", "running", "scheduled", "backlog"} with backlog = ready + running, for scalers.
    """
    source = extra("chute.metrics", "metrics")
    collector = source.QueueCollector(None, queues)

    def backlog(name: str) -> Page:
        try:
            figures = source.QueueCollector(None, [name]).backlog()
        except ValueError as error:
            return Page(404, TEXT, f"{error}\n".encode())
        except ChuteError as error:
            return Page(503, TEXT, f"{error}\n".encode())
        return Page(200, JSON, msgspec.json.encode(figures) + b"\n")

    where = server_line(endpoint())
    hold_ends()
    url = show_pages(host, port, {"/metrics": lambda _: source.page(collector), "/queues/": backlog})
    say(f"{where} · figures at {url}/metrics · Ctrl-C ends")
    wait_for_end()
