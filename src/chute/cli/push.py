"""`chute push`: puts jobs in as any language does."""

import os
import sys
from collections.abc import Iterable

import click
import msgspec

from chute import connection
from chute.call import Sendable, chunks, seal_plain
from chute.cli.common import BAD_USE, FAILED, fail, say, url_option
from chute.keys import check_queue_name
from chute.store import CHUNK, Store

EXAMPLE = '{"question": "What is RAG?"}'


@click.command()
@click.argument("queue")
@click.argument("job", metavar="JSON|-")
@url_option
def push(queue: str, job: str) -> None:
    """Put a job into QUEUE: a JSON object, or - for one on each line of standard input.

    Prints the job ids, one a line, in order; adds job_id where there is none.
    """
    store = Store(check_queue_name(queue))
    endpoint = connection.endpoint()
    bad = sent = 0
    lines: Iterable[bytes] = sys.stdin.buffer if job == "-" else (job.encode(errors="surrogateescape"),)
    for batch in chunks(enumerate(lines, 1), CHUNK):
        jobs, wrong = _read(batch, many=job == "-")
        bad += wrong
        if jobs:
            endpoint.run(store.enqueue(jobs))
            sent += len(jobs)
            _show([job_id for job_id, _, _ in jobs])
    if sent and not endpoint.run(store.known()):
        say(f"chute: no worker has ever worked queue {queue}; the jobs wait there. A worker: chute work MODULE")
    if bad:
        sys.exit(FAILED if sent else BAD_USE)


def _show(job_ids: list[str]) -> None:
    """Prints the ids. Where nobody reads them any more (`| head`), the jobs go on being sent."""
    try:
        click.echo("\n".join(job_ids))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _read(batch: list[tuple[int, bytes]], *, many: bool) -> tuple[list[Sendable], int]:
    """The jobs among the lines; each line that is none is named and counted."""
    jobs: list[Sendable] = []
    bad = 0
    for number, line in batch:
        if many and not line.strip():
            continue
        try:
            jobs.append(_seal(line))
        except ValueError as error:
            if not many:
                fail(f"{error}. A job looks like {EXAMPLE}", BAD_USE)
            bad += 1
            say(f"chute: line {number} was not sent: {str(error).removesuffix('. Nothing was sent')}")
    return jobs, bad


def _seal(line: bytes) -> Sendable:
    try:
        job = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {error}; nothing was sent") from None
    return seal_plain(job)
