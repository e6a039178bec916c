"""Whether this program is traced. Where OpenTelemetry is not installed, or nobody has set a tracer provider up, nothing is imported and nothing done.

Asked at each sending, which is cheap beside a round trip and cannot come too early; and once when a worker starts, not for each job.
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from chute.around import Begin

if TYPE_CHECKING:
    from chute.spans import Spans


def sending(queue: str, jobs: list[tuple[str, bytes, str]]) -> AbstractContextManager[list[tuple[str, bytes, str]]]:
    """Around the sending of sealed jobs; gives them as they are to be sent. One span, however many they are."""
    spans = _spans()
    return spans.sending(queue, jobs) if spans else nullcontext(jobs)


def processing() -> tuple[Begin, ...]:
    """What surrounds the runs of a worker that starts now: a span, or nothing."""
    spans = _spans()
    return (spans.process,) if spans else ()


def _spans() -> "Spans | None":
    if "opentelemetry.trace" not in sys.modules:  # who never imported it has set no provider up
        return None
    spans: Spans | None = _module().spans()
    return spans


@cache
def _module() -> ModuleType:
    from chute import spans  # noqa: PLC0415 - it needs an extra

    return spans
