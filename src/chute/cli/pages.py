"""Pages over HTTP, as commands show them."""

from collections.abc import Mapping

import click

from chute.scrape import Route, serve


def show_pages(host: str, port: int, routes: Mapping[str, Route]) -> str:
    """Serves pages over HTTP until the process ends; where. Raises click's UsageError where the port cannot be had."""
    try:
        return f"http://{host}:{serve(host, port, routes).server_port}"
    except OSError as error:
        raise click.UsageError(f"cannot listen at {host}:{port}: {error.strerror}") from None
