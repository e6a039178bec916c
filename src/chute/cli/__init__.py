"""The command line: one file a command. Data on stdout, messages on stderr; exit codes are part of the interface.

0 done · 1 the job failed, or some lines of many were refused · 2 wrong usage, nothing was sent · 3 not there, or not in time ·
4 server unreachable or refusing · 5 unknown: the reply was lost.
"""

import sys
from typing import NoReturn

import click

from chute.cli.common import BAD_USE, DONE, NO_SERVER, UNKNOWN, fail
from chute.cli.dead import clear, dead
from chute.cli.demo import demo
from chute.cli.push import push
from chute.cli.result import result
from chute.cli.server import server
from chute.cli.stats import stats
from chute.cli.work import work
from chute.errors import ChuteError, Rejected, ServerUnavailable, Unconfirmed
from chute.release import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="chute %(version)s")
def cli() -> None:
    """A job queue for Python that speaks plain Redis."""


for command in (work, push, result, stats, dead, clear, server, demo):
    cli.add_command(command)


def main() -> NoReturn:
    """The entry point: what was raised becomes a message and an exit code."""
    try:
        cli.main(standalone_mode=False)
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
    sys.exit(DONE)
