"""`chute push`: puts jobs in as any language does."""

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable

import click

from chute import connection, envelope
from chute.call import chunks, seal_plain
from chute.cli.common import url_option
from chute.cli.messages import BAD_USE, FAILED, fail, say
from chute.convoy import Sendable
from chute.envelope import Refused
from chute.keys import check_list_name
from chute.store import CHUNK, Store

EXAMPLE = '{"question": "What is RAG?"}'


@click.command()
@click.argument("queue")
@click.argument("words", metavar="JSON|-", nargs=-1, required=True)
@url_option
def push(queue: str, words: tuple[str, ...]) -> None:
    """Put a job into QUEUE, or many from standard input.

    A job is a JSON object; - reads one from each line of standard input. Prints the job ids, one a line, in order; adds job_id where there is none.
    """
    store = Store(check_list_name(queue))
    job, *more = words
    if more:
        fail(f"these are {len(words)} words; a shell leaves a job whole in single quotes. {_advice(queue, '')}", BAD_USE)
    endpoint = connection.endpoint()
    bad = sent = 0
    lines: Iterable[bytes] = sys.stdin.buffer if job == "-" else (job.encode(errors="surrogateescape"),)
    for batch in chunks(enumerate(lines, 1), CHUNK):
        jobs, wrong = _read(batch, "" if job == "-" else queue)
        bad += wrong
        if jobs:
            endpoint.run(store.enqueue(jobs))
            sent += len(jobs)
            _show([job_id for job_id, *_ in jobs])
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


def _read(batch: list[tuple[int, bytes]], alone_for: str) -> tuple[list[Sendable], int]:
    """The jobs among the lines; each line that is none is named and counted. The only job for a queue is none of many: then it ends here."""
    jobs: list[Sendable] = []
    bad = 0
    for number, line in batch:
        if not alone_for and not line.strip():
            continue
        try:
            jobs.append(seal_plain(envelope.decode(line)))
        except (Refused, ValueError) as error:
            why = str(error).removesuffix(". Nothing was sent")
            if alone_for:
                no_job = isinstance(error, Refused) and error.reason in ("bad_json", "bad_shape")
                fail(f"{why}. {_advice(alone_for, line.decode()) if no_job else 'Nothing was sent'}", BAD_USE)
            bad += 1
            say(f"chute: line {number} was not sent: {why}")
    return jobs, bad


def _advice(queue: str, given: str) -> str:
    """What to write instead; `name=value` is taken for what was meant."""
    pair = re.fullmatch(r"(\w+)=(.*)", given)
    job = json.dumps({pair[1]: pair[2]}, ensure_ascii=False) if pair else EXAMPLE
    return f"Nothing was sent. Write: chute push {queue} {shlex.quote(job)}"
