"""`chute dead` and `chute clear`: dead letters are listed, shown, put back or thrown away; a queue is emptied."""

import itertools
import sys
from collections.abc import Callable, Iterator

import click

from chute import admin, connection
from chute.admin import Letter
from chute.cli.common import show_json, url_option
from chute.cli.logs import one_line
from chute.cli.messages import BAD_USE, FAILED, NOT_THERE, fail, say
from chute.connection import Endpoint
from chute.keys import check_list_name


@click.group()
def dead() -> None:
    """Look at dead letters: what failed for good, or was no job.

    An entry is dead/... where a job failed, refused/... where it was no job.
    """


@dead.command("list")
@click.argument("queue")
@click.option("--reason", metavar="R", help="Only those with this reason code.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@url_option
def list_(queue: str, reason: str | None, limit: int, as_json: bool) -> None:
    """List the dead letters of QUEUE, newest first."""
    endpoint = connection.endpoint()
    count = 0
    for letter in itertools.islice(_with_reason(endpoint, check_list_name(queue), reason), limit):
        count += 1
        if as_json:
            show_json(letter.as_json())
        else:
            click.echo(_line(letter))
    if not count and not as_json:
        say(f"chute: queue {queue} has no dead letters{f' with reason {reason}' if reason else ''}")


@dead.command()
@click.argument("queue")
@click.argument("entry")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@url_option
def show(queue: str, entry: str, as_json: bool) -> None:
    """Show one dead letter of QUEUE whole.

    ENTRY is as listed, dead/... or refused/...
    """
    letter = admin.find(connection.endpoint(), check_list_name(queue), entry)
    if letter is None:
        fail(f"{entry} is not there", NOT_THERE)
    if as_json:
        show_json(letter.as_json())
        return
    for name, value in letter.as_json().items():
        click.echo(one_line(f"{name}: {value}"))
    if letter.cut:
        click.echo(f"length: {letter.fields['length']} (only the first {len(letter.body):,} bytes were kept)")
    if trace := letter.fields.get("traceback"):
        click.echo("\n".join(map(one_line, trace.rstrip().split("\n"))))


def _choice(command: Callable[..., None]) -> Callable[..., None]:
    """The ways to say which letters."""
    for option in (
        click.option("--all", "everything", is_flag=True, help="All of them."),
        click.option("--reason", metavar="R", help="All with this reason code."),
        click.option("--job-id", metavar="ID", help="All of this job."),
    ):
        command = option(command)
    return click.argument("queue")(click.argument("entries", nargs=-1, metavar="[ENTRY]...")(url_option(command)))


@dead.command()
@_choice
def requeue(queue: str, entries: tuple[str, ...], job_id: str | None, reason: str | None, everything: bool) -> None:
    """Put dead letters of QUEUE back into it.

    They are then as if they had never run; their old results are deleted.
    """
    endpoint = connection.endpoint()
    letters = _chosen(endpoint, check_list_name(queue), entries, (job_id, reason), everything=everything)
    done, cut = admin.requeue_all(endpoint, letters)
    click.echo(f"{done:,} requeued")
    if cut:
        fail(f"{cut} cannot be requeued, only the beginning of their bytes was kept: chute dead list {queue} --reason too_large", BAD_USE)


@dead.command()
@_choice
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(queue: str, entries: tuple[str, ...], job_id: str | None, reason: str | None, everything: bool, yes: bool) -> None:
    """Delete dead letters of QUEUE for good."""
    endpoint = connection.endpoint()
    letters = _chosen(endpoint, check_list_name(queue), entries, (job_id, reason), everything=everything)
    _ask(f"Delete {len(letters):,} dead letters of queue {queue} for good?", yes=yes)
    click.echo(f"{admin.purge(endpoint, letters):,} purged")


@click.command()
@click.argument("queue")
@click.option("--yes", is_flag=True, help="Do not ask.")
@url_option
def clear(queue: str, yes: bool) -> None:
    """Delete every job that is ready in QUEUE. What is scheduled or running stays."""
    endpoint = connection.endpoint()
    _ask(f"Delete the {admin.ready(endpoint, check_list_name(queue)):,} jobs that are ready in queue {queue} for good?", yes=yes)
    click.echo(f"{admin.clear(endpoint, queue):,} cleared")


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        fail("this deletes for good and nobody can be asked here; nothing was done. Say --yes", BAD_USE)
    if not click.confirm(question, err=True):
        fail("nothing was done", FAILED)


def _with_reason(endpoint: Endpoint, queue: str, reason: str | None) -> Iterator[Letter]:
    return (letter for letter in admin.letters(endpoint, queue) if reason is None or letter.fields.get("reason") == reason)


def _chosen(
    endpoint: Endpoint, queue: str, entries: tuple[str, ...], by: tuple[str | None, str | None], *, everything: bool
) -> list[Letter]:
    """The letters that were named, in exactly one way; exit 2 when none was, or two; exit 3 when one is not there."""
    job_id, reason = by
    if sum([bool(entries), job_id is not None, reason is not None, everything]) != 1:
        raise click.UsageError("say which, in one way: ENTRY..., --job-id ID, --reason R or --all")
    if entries:
        found = [(entry, admin.find(endpoint, queue, entry)) for entry in entries]
        if missing := [entry for entry, letter in found if letter is None]:
            fail(f"{', '.join(missing)} not there; nothing was done", NOT_THERE)
        return [letter for _, letter in found if letter]
    letters = list(_with_reason(endpoint, queue, reason))
    if job_id is not None:
        letters = [letter for letter in letters if letter.fields.get("job_id") == job_id]
    return letters


def _line(letter: Letter) -> str:
    shown = letter.as_json()
    job = " ".join(part for part in (shown["job_id"], shown["task"]) if part) or "(no id)"
    error = shown["error"].partition("\n")[0][:200]
    return one_line(f"{letter.entry}  {shown['at']}  {shown['reason']}  {job}  {error}".rstrip())
