"""The spans of OpenTelemetry: `send <queue>` where jobs are put in, `process <queue>` around each run, linked to it; W3C headers in between.

Names and attributes are those of its messaging conventions (1.44). A run may come much later than its call, and be one of many, so it is a
trace of its own with a link, not a child. Imported only in programs that use OpenTelemetry; `trace` decides.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeAlias

from opentelemetry import context, propagate, trace
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from chute import envelope
from chute.around import End, Ended, Run
from chute.errors import Snooze
from chute.release import VERSION

Sealed: TypeAlias = tuple[str, bytes, str, str]
Attributes: TypeAlias = dict[str, str | int]
_NOBODYS = (ProxyTracerProvider, NoOpTracerProvider)
LONGEST_HEADER = 8192
"""Characters of a header that is read: as much as W3C's Baggage has to be. OpenTelemetry logs a longer one whole, and a job's may have a megabyte."""
_SCHEMA = "https://opentelemetry.io/schemas/1.44.0"


def spans() -> "Spans | None":
    """What makes them, where this program has set a provider up."""
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, _NOBODYS) else _spans_of(provider)


@lru_cache(1)
def _spans_of(provider: TracerProvider) -> "Spans":
    return Spans(provider.get_tracer("chute", VERSION, schema_url=_SCHEMA))


class Spans:
    """Makes the spans of one provider."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def sending(self, queue: str, jobs: list[Sealed]) -> Iterator[list[Sealed]]:
        """Around the sending of sealed jobs: gives them with the headers that lead back to here."""
        about: Attributes = {"messaging.message.id": jobs[0][0]} if len(jobs) == 1 else {"messaging.batch.message_count": len(jobs)}
        span = self._tracer.start_span(f"send {queue}", kind=SpanKind.PRODUCER, attributes=_about(queue, "send") | about)
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            headers: dict[str, str] = {}
            propagate.inject(headers)
            try:
                yield [(job_id, envelope.carry(body, headers), due, key) for job_id, body, due, key in jobs]
            except BaseException as error:
                _fail(span, error)
                raise

    def process(self, run: Run) -> End:
        """Begins the span of a run. What came with the job besides, such as baggage, holds for the run."""
        job = run.context
        headers = {name: value for name, value in job.headers.items() if len(value) <= LONGEST_HEADER}
        came_with = propagate.extract(headers, context.Context())
        producer = trace.get_current_span(came_with).get_span_context()
        here = trace.set_span_in_context(trace.INVALID_SPAN, came_with)  # no parent
        about: Attributes = {"messaging.chute.task": job.task, "messaging.chute.attempt": job.attempt}
        if job.job_id:
            about["messaging.message.id"] = job.job_id
        links = [trace.Link(producer)] if producer.is_valid else []
        span = self._tracer.start_span(f"process {job.queue}", here, SpanKind.CONSUMER, _about(job.queue, "process") | about, links)
        token = context.attach(trace.set_span_in_context(span, here))

        def end(ended: Ended) -> None:
            context.detach(token)
            span.set_attribute("messaging.chute.outcome", ended.kind)
            if ended.error and not isinstance(ended.error, Snooze):
                _fail(span, ended.error)
            span.end()

        return end


def _about(queue: str, operation: str) -> Attributes:
    return {
        "messaging.system": "chute",
        "messaging.destination.name": queue,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }


def _fail(span: Span, error: BaseException) -> None:
    kind = type(error)
    span.set_attribute("error.type", kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, kind.__qualname__))
