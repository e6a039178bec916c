"""`chute result`: reads what came of a job."""

import sys
import time
from typing import Any

import click
import msgspec

from chute import admin, connection, outcome, signature, store, waiting
from chute.cli.common import show_json, url_option
from chute.cli.messages import FAILED, NOT_THERE, fail, say
from chute.connection import Endpoint
from chute.errors import Rejected, ResultUnavailable
from chute.keys import check_job_id

LOOKED_AT = 20
"""Queues at most that a search for the reason looks at."""


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--wait", metavar="S", type=click.FloatRange(min=0), default=0.0, help="Wait up to S seconds for the job to end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, also for a job that failed.")
@url_option
def result(job_id: str, wait: float, as_json: bool) -> None:
    """Print the result of job ID.

    A dict is printed as "key: value" lines, anything else as JSON. Exit 0: completed; 1: failed, cancelled or expired; 3: not there, or not finished in time.
    """
    endpoint = connection.endpoint()
    fields = waiting.wait(endpoint, check_job_id(job_id), time.monotonic() + wait)
    status = fields.get(b"status", b"pending").decode(errors="replace")
    error = (fields.get(b"error") or fields.get(b"@result_error") or b"").decode(errors="replace")
    if not waiting.finished(fields):
        late = f" after {wait:g} s" if wait else ""
        what = f"job {job_id} {'is still running' if fields else 'has no result'}{late}"
        fail(f"{what}{_why(endpoint) if not fields else ''}. Wait for it: chute result {job_id} --wait 60", NOT_THERE)
    value = None
    if status == "completed" and not error:
        try:
            value = outcome.value_of(fields, Any, signature.from_plain)
        except ResultUnavailable as unreadable:
            error = str(unreadable)
    if as_json:
        done = fields.get(b"completed_at", b"").decode(errors="replace")
        show_json({"job_id": job_id, "status": status, "completed_at": done or None, "result": value, "error": error or None})
    elif status == "completed" and not error:
        _show(value)
    elif status == "completed":
        why = f"its result could not be stored: {error}" if b"@result_error" in fields else error
        say(f"chute: job {job_id} completed, but {why}")
    if status != "completed":
        if not as_json:
            queue = fields.get(b"@queue", b"QUEUE").decode(errors="replace")
            kept = f". Kept: chute dead list {queue}" if status in ("failed", "expired") else ""
            fail(f"{job_id} {status}: {error.splitlines()[0] if error else status}{kept}", FAILED)
        sys.exit(FAILED)


def _why(endpoint: Endpoint) -> str:
    """Why a job may have no result. Which queue it is in, nobody knows here; but a queue that nobody works is worth a word."""
    try:
        known = [admin.stats(endpoint, name) for name in endpoint.run(store.queues())[:LOOKED_AT]]
    except Rejected:  # a user who may read results alone
        return " (it is pending: waiting, running, or not known)"
    idle = [f"{each.queue} ({each.depth:,} ready)" for each in known if each.depth and not each.workers]
    if not known:
        return ", and no worker has ever worked a queue here. Start one: chute work MODULE"
    if idle:
        return f", and no worker works {'queue' if len(idle) == 1 else 'queues'} {', '.join(idle)}. Start one: chute work MODULE"
    return " (it is pending: waiting, running, or not known)"


def _show(value: Any) -> None:
    if isinstance(value, dict):
        for name, each in value.items():
            click.echo(f"{name}: {each if isinstance(each, str) else msgspec.json.encode(each).decode()}")
    else:
        click.echo(msgspec.json.encode(value).decode())
