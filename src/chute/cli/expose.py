"""`chute work --metrics-port`: what one supervisor shows over HTTP: its figures for Prometheus, and whether it lives and is ready."""

from collections import Counter
from collections.abc import Callable
from typing import cast

from chute.cli.common import extra
from chute.cli.pages import show_pages
from chute.scrape import TEXT, Page
from chute.supervisor import Supervisor
from chute.supervisor.child import Child
from chute.worker import clock

LIVE = 5.0
"""Seconds in which the supervisor's own loop must have come by."""
SAID_LATELY = 3.0
"""Seconds in which a process must have said how it is; it does every second."""


def expose(supervisor: Supervisor, host: str, port: int) -> str:
    """Serves until the process ends; the URL. Raises click's UsageError where that cannot be."""
    figures = _figures(supervisor)

    def healthy(well: bool, word: str) -> Page:
        return Page(200 if well else 503, TEXT, f"{word if well else f'not {word}'}\n".encode())

    routes = {
        "/metrics": lambda _: figures(),
        "/livez": lambda _: healthy(clock.now() - supervisor.ticked < LIVE, "live"),
        "/readyz": lambda _: healthy(_ready(supervisor), "ready"),
    }
    return f"{show_pages(host, port, routes)}/metrics"


def _ready(supervisor: Supervisor) -> bool:
    """Whether jobs can be claimed by each process that has settled in, as far as they have said lately."""
    now = clock.now()
    working = [child for child in list(supervisor.children) if child.ready and child.code is None]
    lately = all(child.measured and child.measured.ready and now - child.measured_at < SAID_LATELY for child in working)
    return bool(working) and lately and not supervisor.stopping


def _figures(supervisor: Supervisor) -> Callable[[], Page]:
    metrics, figures = extra("chute.metrics", "metrics"), extra("chute.supervisor.figures", "metrics")
    past = figures.Sum()

    def ended(child: Child, outcomes: Counter[tuple[str, str, str]]) -> None:
        if child.measured:
            past.add(child.measured)
        past.finished.update(outcomes)

    supervisor.ended = ended
    collector = figures.Figures(past, supervisor.children, supervisor.agent, supervisor.start.concurrency)
    return lambda: cast(Page, metrics.page(collector))
