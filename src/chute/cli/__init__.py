"""The command line: one file a command. Data on stdout, messages on stderr; exit codes are part of the interface.

0 done · 1 the job failed, or some lines of many were refused · 2 wrong usage, nothing was sent · 3 not there, or not in time ·
4 server unreachable or refusing · 5 unknown: the reply was lost.
"""

from typing import NoReturn

import click

from chute.cli.common import ended, open_streams
from chute.cli.dead import clear, dead
from chute.cli.demo import demo
from chute.cli.explain import explain
from chute.cli.metrics import metrics
from chute.cli.pause import pause, resume
from chute.cli.ps import ps
from chute.cli.push import push
from chute.cli.result import result
from chute.cli.server import server
from chute.cli.stats import stats
from chute.cli.top import top
from chute.cli.work import work
from chute.release import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="chute %(version)s")
def cli() -> None:
    """A job queue for Python that speaks plain Redis."""


for command in (work, push, result, explain, stats, ps, top, dead, clear, pause, resume, metrics, server, demo):
    cli.add_command(command)


def main() -> NoReturn:
    """The entry point."""
    open_streams()
    ended(lambda: cli.main(standalone_mode=False))
