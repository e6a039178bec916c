"""`chute pause` and `chute resume`: a queue stands still and goes on, on all workers at once."""

import click

from chute import admin, connection
from chute.cli.common import show_json, url_option
from chute.cli.messages import say
from chute.keys import check_list_name
from chute.store import Store


@click.command()
@click.argument("queue")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@url_option
def pause(queue: str, as_json: bool) -> None:
    """Stop handing out jobs of QUEUE, on all workers at once.

    What runs goes on to its end; what is pushed waits in the queue. It stays so until chute resume, also for workers that start later.
    """
    endpoint = connection.endpoint()
    changed = admin.pause(endpoint, check_list_name(queue))
    _tell(queue, "is paused" if changed else "was paused before", paused=True, changed=changed, as_json=as_json)
    if not endpoint.run(Store(queue).known()):
        say(f"chute: no worker has ever worked queue {queue}; whoever will, gets nothing until: chute resume {queue}")


@click.command()
@click.argument("queue")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@url_option
def resume(queue: str, as_json: bool) -> None:
    """Hand out jobs of QUEUE again, within a second on all workers."""
    changed = admin.resume(connection.endpoint(), check_list_name(queue))
    _tell(queue, "goes on" if changed else "was not paused", paused=False, changed=changed, as_json=as_json)


def _tell(queue: str, what: str, *, paused: bool, changed: bool, as_json: bool) -> None:
    if as_json:
        show_json({"queue": queue, "paused": paused, "changed": changed})
    else:
        click.echo(f"queue {queue} {what}")
