"""All commands by their names, and the entry point of `chute`."""

import sys
from importlib import import_module
from typing import NoReturn, cast

import click

from chute.cli.messages import ended, fail, open_streams
from chute.release import VERSION

COMMANDS = {
    "work": "work", "push": "push", "result": "result", "explain": "explain", "stats": "stats", "ps": "ps", "top": "top", "dead": "dead",
    "clear": "dead", "pause": "pause", "resume": "pause", "doctor": "doctor", "metrics": "metrics", "server": "server", "bench": "bench", "demo": "demo",
}  # fmt: skip
"""The commands in the order of the help, and the module of each. Only the one that is run is imported: `chute push` needs no tables."""


class Commands(click.Group):
    """Commands that are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them."""
        return command(cmd_name) if cmd_name in COMMANDS else None


def command(name: str) -> click.Command:
    """The command of that name."""
    return cast(click.Command, getattr(import_module(f"chute.cli.{COMMANDS[name]}"), name))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="chute %(version)s")
def cli() -> None:
    """A job queue for Python that speaks plain Redis."""


def main() -> NoReturn:
    """The entry point."""
    open_streams()
    ended(_run)


def _run() -> None:
    """One command. What click raises becomes a message and an exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        fail("interrupted", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
