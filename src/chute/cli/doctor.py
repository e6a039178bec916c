"""`chute doctor`: whether a server is fit for queues, and what to do where it is not."""

import sys
from collections import Counter

import click

from chute import connection
from chute import doctor as the
from chute.cli.common import show_json, url_option
from chute.cli.messages import FAILED, printable, say, server_line
from chute.doctor.remark import Remark
from chute.keys import check_list_name

SHOWN = {"well": "well", "note": "note", "mend": "mend", "unchecked": "not checked"}
COLOURS = {"well": "green", "note": "cyan", "mend": "red", "unchecked": "yellow"}


@click.command()
@click.argument("queues", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@url_option
def doctor(queues: tuple[str, ...], as_json: bool) -> None:
    """Look whether the server is fit for QUEUES (default: all).

    Its version, memory, disk, replicas, clock and settings, the way to it, the rights of the user in the URL, and what lies in queues that nobody comes
    for. Changes nothing. Exit code 1: there is something to mend. What the user may not look at is said, and is nothing to mend.
    """
    endpoint = connection.endpoint()
    names = [check_list_name(name) for name in queues]
    if not as_json:
        say(f"chute: {server_line(endpoint)}")
    states: Counter[str] = Counter()
    for remark in the.examine(endpoint, names):
        states[remark.state] += 1
        if as_json:
            show_json(remark)
        else:
            click.echo(f"{click.style(SHOWN[remark.state], fg=COLOURS[remark.state])}: {printable(_text(remark))}")
    if not as_json:
        say(f"chute: {states['mend']} to mend, {states['note']} to know, {states['unchecked']} not checked, {states['well']} well")
    if states["mend"]:
        sys.exit(FAILED)


def _text(remark: Remark) -> str:
    about = f" of {remark.about}" if remark.about and not remark.about.startswith("queue ") else ""
    head = remark.about if remark.about.startswith("queue ") else f"{remark.check}{about}"
    return ". ".join(part for part in (f"{head}: {remark.what}", _first_up(remark.why), _first_up(remark.do)) if part)


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
