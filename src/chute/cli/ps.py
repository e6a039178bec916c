"""`chute ps`: the workers, and what they run."""

import itertools

import click

from chute import connection, roster, store
from chute.cli.common import show_json, url_option
from chute.cli.messages import say
from chute.cli.table import duration, show_table
from chute.keys import check_list_name
from chute.roster import Member

WORKERS = ("worker", "queue", "host", "pid", "age", "slots", "running", "held")
JOBS = ("job", "task", "queue", "worker", "age")
SHORT = 8


@click.command()
@click.argument("queues", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, one for each worker on each queue.")
@url_option
def ps(queues: tuple[str, ...], as_json: bool) -> None:
    """Show the workers of QUEUES (default: all) and what they run.

    running: jobs that had started when the worker said so last, at most one beat (5 s) ago, and go on; held: all that it has now. A job
    without an age is held by a worker that does not say what it runs.
    """
    endpoint = connection.endpoint()
    names = [check_list_name(name) for name in queues] or endpoint.run(store.queues())
    members = list(itertools.chain.from_iterable(roster.members(endpoint, name) for name in names))
    if as_json:
        for member in members:
            show_json(member)
    elif members:
        _show(members)
    else:
        say(f"chute: no worker works {f'queue {names[0]}' if len(names) == 1 else 'a queue'} here. A worker: chute work MODULE")


def _show(members: list[Member]) -> None:
    show_table(WORKERS, [_cells(member) for member in members], left=3)
    jobs = [
        (job.job_id or "(no id)", job.task or "-", member.queue, member.worker[:SHORT], duration(job.age))
        for member in members
        for job in member.jobs
    ]
    if jobs:
        click.echo()
        show_table(JOBS, jobs, left=4)


def _cells(member: Member) -> tuple[str, ...]:
    counts = ("-" if each is None else f"{each:,}" for each in (member.slots, member.running, member.held))
    return (
        member.worker[:SHORT], member.queue, member.host or "-", "-" if member.pid is None else str(member.pid), duration(member.age), *counts,
    )  # fmt: skip
