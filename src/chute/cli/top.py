"""`chute top`: the queues, live, and a hand on them: pause, resume, put dead letters back. Draws with `panels`, is steered by `steering`."""

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

import click
from rich.console import Console
from rich.live import Live

from chute import admin, connection, snapshot
from chute.cli import keyboard
from chute.cli.common import url_option
from chute.cli.keyboard import Keyboard
from chute.cli.messages import BAD_USE, fail, server_line
from chute.cli.panels import draw
from chute.cli.steering import Deed, View, press, settle
from chute.connection import Endpoint
from chute.errors import ChuteError
from chute.keys import check_list_name
from chute.snapshot import Snapshot

EVERY = 1.0
"""Seconds between two looks."""


@click.command()
@click.argument("queues", nargs=-1)
@url_option
def top(queues: tuple[str, ...]) -> None:
    """Watch QUEUES live (default: all), and act on them.

    Arrows or j and k select a queue; p pauses it, r resumes it, R puts its dead letters back (after a question), q quits. Needs a terminal; programs
    use chute stats --json and chute ps --json.
    """
    console = Console()
    if not (keyboard.POSSIBLE and sys.stdin.isatty() and sys.stdout.isatty()) or console.is_dumb_terminal:
        fail("top needs a terminal that can be drawn on; nothing was done. Use: chute stats --json, chute ps --json", BAD_USE)
    names = [check_list_name(name) for name in queues]
    endpoint = connection.endpoint()
    first = snapshot.take(endpoint, names)  # what is wrong with the server is said before the screen is taken
    where = server_line(endpoint)
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _end)
    with Keyboard() as keys, Live(console=console, screen=True, auto_refresh=False) as live:

        def show(now: Snapshot, view: View) -> None:
            live.update(draw(now, view, where, console.width, console.height), refresh=True)

        _watch(endpoint, names, first, keys, show)


def _end(number: int, _: object) -> NoReturn:
    """Ends as the signal would have, with the terminal put right on the way."""
    sys.exit(128 + number)


def _watch(endpoint: Endpoint, names: Sequence[str], now: Snapshot, keys: Keyboard, show: Callable[[Snapshot, View], None]) -> None:
    """Draws, waits for a key or a second, looks again; until the end is asked for."""
    view = View()
    while True:
        view = settle(view, now.queues)
        show(now, view)
        for key in keys.read(EVERY):
            view, deed = press(view, key, now.queues)
            if deed == "quit":
                return
            if deed:
                view = replace(view, message=_done(endpoint, deed, view.selected))
        try:
            now = snapshot.take(endpoint, names)
        except ChuteError as error:
            view = replace(view, asking=False, message=f"trying again: {error}")


def _done(endpoint: Endpoint, deed: Deed, queue: str) -> str:
    """Does it, and says what was done."""
    try:
        if deed == "pause":
            return f"queue {queue} {'is paused' if admin.pause(endpoint, queue) else 'was paused before'}"
        if deed == "resume":
            return f"queue {queue} {'goes on' if admin.resume(endpoint, queue) else 'was not paused'}"
        return _requeued(endpoint, queue)
    except ChuteError as error:
        return str(error)


def _requeued(endpoint: Endpoint, queue: str) -> str:
    done, cut = admin.requeue_all(endpoint, list(admin.letters(endpoint, queue)))
    return f"{done:,} requeued" + (f"; {cut:,} cannot be, only the beginning of their bytes was kept" if cut else "")
