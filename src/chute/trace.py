"""Whether this program is traced. Where OpenTelemetry is not installed, or nobody has set a tracer provider up, nothing is done.

Asked at each sending, which is cheap beside a round trip and cannot come too early; and once when a worker starts, not for each job.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from chute.around import Begin

if TYPE_CHECKING:
    from chute.spans import Spans

try:  # now, not at the first sending: a fork beside a thread that imports leaves the lock of that import locked in the child for ever
    from chute.spans import spans as _spans
except ImportError:

    def _spans() -> "Spans | None":
        """Without OpenTelemetry there are none."""
        return None


def sending(queue: str, jobs: list[tuple[str, bytes, str, str]]) -> AbstractContextManager[list[tuple[str, bytes, str, str]]]:
    """Around the sending of sealed jobs; gives them as they are to be sent. One span, however many they are."""
    tracing = _spans()
    return tracing.sending(queue, jobs) if tracing else nullcontext(jobs)


def processing() -> tuple[Begin, ...]:
    """What surrounds the runs of a worker that starts now: a span, or nothing."""
    tracing = _spans()
    return (tracing.process,) if tracing else ()
