"""What commands share: the option `--url`, JSON lines, extras, the wait for Ctrl-C."""

import importlib
import signal
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from chute import address

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


_ENDS = (signal.SIGINT, signal.SIGTERM)


def hold_ends() -> None:
    """From now on Ctrl-C and SIGTERM wait for `wait_for_end`. To be called before a thread starts: one from before takes them, and wakes nobody."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)


def wait_for_end() -> None:
    """Returns at Ctrl-C or SIGTERM, also at one that has come since `hold_ends`."""
    signal.sigwait(_ENDS)


def extra(module: str, name: str) -> Any:
    """A module of ours that needs an extra. Raises click's UsageError where that is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise click.UsageError(f"this needs the extra {name}: pip install 'chute[{name}]'") from None


def show_json(value: Any) -> None:
    """One object as a line of data."""
    click.echo(msgspec.json.encode(value).decode())
