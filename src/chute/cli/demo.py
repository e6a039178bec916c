"""`chute demo`: options, messages and exit codes around `chute.demo.run`."""

import sys
from pathlib import Path

import click

from chute.cli.messages import fail, say


@click.command()
@click.option(
    "--docs",
    type=click.Path(exists=True, file_okay=False, readable=True, path_type=Path),
    metavar="DIR",
    help="Search the *.md, *.rst and *.txt below DIR instead of the project's own documents.",
)
@click.option(
    "--questions",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="FILE",
    help="Ask the lines of FILE, each as one job, instead of the headings and sentences of the documents.",
)
def demo(docs: Path | None, questions: Path | None) -> None:
    """See it work: some thousand questions are answered here.

    A server and a worker are started for it, figures are shown, and nothing is left behind.

    Exit 0: every job completed; 1: some failed, or the worker did; 2: nothing to ask or to search; 130: Ctrl-C.
    """
    # Not at the top: the other commands should not pay for it.
    from chute.demo import run, stage  # noqa: PLC0415

    try:
        with stage.Signals() as signals:
            completed = run.run(run.plan(docs, questions), signals)
    except run.BadInputError as bad:
        raise click.UsageError(str(bad)) from bad
    except stage.FailedError as failure:
        fail(str(failure), 1)
    except stage.Interrupted as interrupted:
        say(f"chute: demo stopped by {interrupted}; its server, worker and files are gone")
        sys.exit(interrupted.exit_code)
    if not completed:
        sys.exit(1)
