"""What every command shares: the option `--url`, messages, JSON lines."""

import contextlib
import importlib
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import click
import msgspec

from chute import address, server, store, version
from chute.connection import Endpoint
from chute.errors import ChuteError, Rejected, ServerUnavailable, Unconfirmed
from chute.scrape import Route, serve

DONE, FAILED, BAD_USE, NOT_THERE, NO_SERVER, UNKNOWN = range(6)
"""The exit codes: see `chute.cli`."""
F = TypeVar("F", bound=Callable[..., Any])


def _choose(_: click.Context, __: click.Parameter, url: str | None) -> None:
    try:
        address.choose(url)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


url_option = click.option(
    "--url",
    callback=_choose,
    expose_value=False,
    metavar="URL",
    help="The server (default: CHUTE_URL, REDIS_URL, else the embedded server).",
)


def open_streams() -> None:
    """Opens to nowhere what we were started without: else a socket of ours would take the number, and get what somebody prints."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)  # our processes must not be without it either
    os.close(fd)
    sys.stdout, sys.stderr = sys.stdout or os.fdopen(1, "w"), sys.stderr or os.fdopen(2, "w")


def say(message: str) -> None:
    """A message for people. Where nobody can read it any more, the work goes on."""
    with contextlib.suppress(OSError):
        click.echo(message, err=True)


def fail(message: str, code: int) -> NoReturn:
    """A message for people, and the end."""
    say(f"chute: {message}")
    sys.exit(code)


def ended(run: Callable[[], object]) -> NoReturn:
    """Runs a program to its end: what was raised becomes a message and an exit code."""
    try:
        run()
    except click.exceptions.Abort:
        fail("interrupted", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (ServerUnavailable, Rejected) as error:
        fail(str(error), NO_SERVER)
    except Unconfirmed as error:
        fail(str(error), UNKNOWN)
    except (ChuteError, ValueError) as error:
        fail(str(error), BAD_USE)
    except BrokenPipeError:
        sys.stderr.close()  # who read our output has gone
    sys.exit(DONE)


def extra(module: str, name: str) -> Any:
    """A module of ours that needs an extra. Raises click's UsageError where that is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise click.UsageError(f"this needs the extra {name}: pip install 'chute[{name}]'") from None


def show_pages(host: str, port: int, routes: Mapping[str, Route]) -> str:
    """Serves pages over HTTP until the process ends; where. Raises click's UsageError where the port cannot be had."""
    try:
        return f"http://{host}:{serve(host, port, routes).server_port}"
    except OSError as error:
        raise click.UsageError(f"cannot listen at {host}:{port}: {error.strerror}") from None


def show_json(value: Any) -> None:
    """One object as a line of data."""
    click.echo(msgspec.json.encode(value).decode())


def say_what_else_answers(endpoint: Endpoint) -> None:
    """A Redis on this machine is never used unasked; but who has one may have meant it."""
    if not endpoint.address.embedded:
        return
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 6379), 0.2) as other:
        other.settimeout(0.2)
        other.sendall(b"PING\r\n")
        if other.recv(64)[:1] in (b"+", b"-"):
            say("chute: a server also answers at localhost:6379 and is not used; to use it: --url redis://localhost:6379")


def server_line(endpoint: Endpoint) -> str:
    """Which server this is and who chose it. Asks the embedded one for its version."""
    where = endpoint.address
    if where.embedded:
        return f"server {server.url()} (embedded {version.name_of(endpoint.run(store.server_info()))})"
    return f"server {address.redact(where.url)} ({where.how})"
