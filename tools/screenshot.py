"""Draws docs/images/top.svg, the picture of `chute top` in the docs, from a real server with real work: `python tools/screenshot.py [SECONDS]`.

It takes a few minutes (240 s), so that the bars have something to show. Nothing in the picture is loaded from the network.
"""

import io
import itertools
import math
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

import chute.testing
from chute import connection, snapshot
from chute.cli.panels import draw
from chute.cli.steering import View

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "top.svg"
WIDTH, HEIGHT = 96, 26
APP = """
import asyncio, random, chute

jobs, mail = chute.Queue("jobs"), chute.Queue("mail")


@jobs.task(retries=0)
async def answer(question: str) -> str:
    await asyncio.sleep(random.uniform(0.05, 0.25))
    return f"You asked: {question}"


@jobs.task(retries=0)
async def index(book: str) -> None:
    await asyncio.sleep(300)


@mail.task(retries=0)
async def send(to: str) -> None:
    await asyncio.sleep(0.02)
    if to.startswith("nobody"):
        raise ConnectionError(f"mail.example refused {to}")
"""


def main(seconds: float) -> None:
    """Works for so long, looks, draws."""
    with chute.testing.server() as url, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(APP)
        command = [sys.executable, "-m", "chute", "work", "app", "--url", url, "--processes", "2", "--concurrency", "8", "--grace", "0"]
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as working:
            try:
                _load(time.monotonic() + seconds)
                PICTURE.parent.mkdir(exist_ok=True)
                PICTURE.write_text(_drawn(snapshot.take(connection.endpoint(url), [])))
            finally:
                working.send_signal(signal.SIGTERM)


def _load(until: float) -> None:
    """Pushes more and less by turns, and a few jobs that fail."""
    jobs, mail = chute.Queue("jobs"), chute.Queue("mail")
    for book in ("Moby Dick", "Middlemarch", "Ulysses"):
        jobs.push({"@task": "index", "book": book, "job_id": book.lower().replace(" ", "-")})
    for tick in itertools.count():
        if time.monotonic() > until:
            return
        for n in range(int(9 + 8 * math.sin(tick / 300 - 1))):
            jobs.push({"@task": "answer", "@at": int(time.time() * 1000), "question": f"question {tick}-{n}"})
        if tick % 4 == 0:
            who = "nobody" if random.random() < 0.04 else "you"  # noqa: S311 - anybody may guess it
            mail.push({"to": f"{who}-{tick}@example.com", "job_id": f"mail-{tick}"})
        time.sleep(0.1)


def _drawn(now: snapshot.Snapshot) -> str:
    console = Console(width=WIDTH, height=HEIGHT, record=True, force_terminal=True, color_system="truecolor", file=io.StringIO())
    console.print(draw(now, View("jobs"), "a throw-away server", WIDTH, HEIGHT), height=HEIGHT)
    no_fonts = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)  # they would come from the network
    svg = console.export_svg(title="chute top", code_format=no_fonts, unique_id="top")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 240)
