"""`chute server`: holds the embedded server in the foreground."""

import click

from chute import server as embedded
from chute import store, version
from chute.address import Address
from chute.cli.common import hold_ends, wait_for_end
from chute.cli.messages import say, say_what_else_answers
from chute.endpoint import Server


@click.group(invoke_without_command=True)
@click.option("--port", type=click.IntRange(1, 65535), help="Also listen on this TCP port of the loopback address.")
@click.pass_context
def server(context: click.Context, port: int | None) -> None:
    """Hold the embedded server until Ctrl-C.

    Commands and programs use it where no other is named; they start it themselves, and may use it on when this ends.
    """
    if context.invoked_subcommand:
        return
    hold_ends()
    url = embedded.ensure()
    endpoint = Server(Address("", "embedded"))
    held = endpoint.take()  # as long as a client is connected, it stays
    if port:
        embedded.listen(port)
        click.echo(f"redis://127.0.0.1:{port}")
    click.echo(url)
    click.echo(f"redis-cli -s {embedded.socket_path()}")
    say(f"chute: embedded {version.name_of(endpoint.run(store.server_info()))}, data in {embedded.socket_path().parent}; Ctrl-C lets it go")
    say_what_else_answers(endpoint)
    wait_for_end()
    endpoint.pool().drop(held)
    endpoint.pool().close()


@server.command()
def stop() -> None:
    """End the embedded server. Its data stays for the next start."""
    click.echo("stopped" if embedded.stop() else "not running")
