"""`chute explain`: where a job is, and why it does not run."""

import sys

import click

from chute import connection
from chute.cli.common import show_json, url_option
from chute.cli.messages import NOT_THERE, fail, printable
from chute.explain import Answer
from chute.explain import explain as look
from chute.keys import check_list_name


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--queue", metavar="Q", help="Look in this queue only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@url_option
def explain(job_id: str, queue: str | None, as_json: bool) -> None:
    """Say where a job is, and why it does not run.

    Looks at results, leases, queues, scheduled jobs and dead letters, at up to a million entries or for 30 s, and says where it stopped. Exit code 3:
    not found.
    """
    answer = look(connection.endpoint(), job_id, queue and check_list_name(queue))
    if as_json:
        show_json(answer)
        if answer.state == "unknown":
            sys.exit(NOT_THERE)
    elif answer.state == "unknown":
        fail(f"job {job_id}: {answer.why}", NOT_THERE)
    else:
        click.echo(_text(answer))


def _text(answer: Answer) -> str:
    named = f" ({answer.task})" if answer.task else ""
    return printable(f"{answer.job_id}{named} is {answer.state}: {answer.why}")
