"""Spans by the real SDK: where jobs are put in, around each run, linked; what goes over the wire; and nothing where nobody asked for it."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv.attributes import error_attributes, exception_attributes
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanKind, StatusCode

import chute
import chute.testing
from chute import envelope
from chute.errors import ServerUnavailable
from contract.helpers import Work, push, result
from servers import Server

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """A program that has set the SDK up; a provider can be set only once, so it is put where the API keeps it."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def about(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def of(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent and span.parent.span_id


class Tasks:
    """What the tasks here do; each notes the span that it finds itself in."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, object]] = []

    def note(self, where: str) -> None:
        span = trace.get_current_span().get_span_context()
        self.seen.append((where, span.span_id, baggage.get_baggage("customer")))

    async def look(self, question: str = "") -> None:
        """On the loop, in a task of its own, in a thread of its own."""
        self.note("loop")
        await asyncio.to_thread(self.note, "thread")
        await asyncio.create_task(self.inner())

    async def inner(self) -> None:
        self.note("task")
        with trace.get_tracer("shop").start_as_current_span("inner"):
            pass

    def threaded(self, question: str = "") -> None:
        """In a worker's thread."""
        self.note("threaded")
        with trace.get_tracer("shop").start_as_current_span("inner"):
            pass

    async def fail(self, how: str) -> None:
        """Ends so."""
        match how:
            case "again":
                raise KeyError("a key")
            case "retry":
                raise chute.Retry(after=0) if chute.context().attempt == 1 else chute.GiveUp("enough")
            case "snooze" if trace.get_current_span() and len(self.seen) == 0:
                self.note("snoozed")
                raise chute.Snooze(0)
            case "slow":
                await asyncio.sleep(60)


def queue_of(server: Server, *tasks: Callable[..., Any], **how: Any) -> chute.Queue:
    queue = chute.Queue("jobs", url=server.url)
    for task in tasks:
        queue.task(retries=1, backoff=0, **how)(task)
    return queue


def test_a_call_is_a_span_and_its_headers_lead_back_to_it(server: Server, exported: InMemorySpanExporter) -> None:
    queue = queue_of(server, Tasks().look)
    with trace.get_tracer("shop").start_as_current_span("request") as request:
        queue.tasks["look"].options(job_id="job_1", headers={"mine": "kept"}).enqueue("What?")
    (send,) = of(exported, "send jobs")
    assert (send.kind, parent_of(send), send.status.status_code) == (
        SpanKind.PRODUCER,
        request.get_span_context().span_id,
        StatusCode.UNSET,
    )
    assert about(send) == {
        "messaging.system": "chute", "messaging.destination.name": "jobs", "messaging.operation.name": "send",
        "messaging.operation.type": "send", "messaging.message.id": "job_1",
    }  # fmt: skip
    assert send.instrumentation_scope
    assert (send.instrumentation_scope.name, send.instrumentation_scope.schema_url) == ("chute", Schemas.V1_44_0.value)
    job = json.loads(server.client().lindex("queue:jobs", 0))
    context_of = send.get_span_context()
    assert context_of
    assert job["@headers"] == {
        "mine": "kept",
        "traceparent": f"00-{context_of.trace_id:032x}-{context_of.span_id:016x}-{context_of.trace_flags:02x}",
    }
    assert job["question"] == "What?"


def test_many_are_one_span_and_every_way_to_send_is_traced(server: Server, exported: InMemorySpanExporter) -> None:
    queue = queue_of(server, Tasks().look)
    look = queue.tasks["look"]

    async def send() -> None:
        await look.aenqueue("?")
        await queue.apush({"question": "?"})
        await queue.aenqueue_many(look.bind("?") for _ in range(3))
        await chute.aclose()

    queue.enqueue_many(look.bind(str(n)) for n in range(5))
    queue.push({"question": "?"})
    asyncio.run(send())
    sent = of(exported, "send jobs")
    assert [about(span).get("messaging.batch.message_count") for span in sent] == [5, None, None, None, 3]
    assert len({about(span).get("messaging.message.id") for span in sent}) == 4
    headers = [json.loads(job)["@headers"]["traceparent"][36:52] for job in server.client().lrange("queue:jobs", 0, -1)]
    assert sorted(headers) == sorted(
        f"{span.get_span_context().span_id:016x}" for span, many in zip(sent, (5, 1, 1, 1, 3), strict=True) for _ in range(many)
    )


@pytest.mark.parametrize("name", ["look", "threaded"])
def test_a_run_is_a_span_of_its_own_linked_to_the_call(server: Server, exported: InMemorySpanExporter, name: str) -> None:
    tasks = Tasks()
    queue = queue_of(server, tasks.look, tasks.threaded)
    token = context.attach(baggage.set_baggage("customer", "c7"))
    queue.tasks[name].options(job_id="job_1").enqueue("?")
    context.detach(token)
    assert chute.testing.drain(queue).completed == 1
    (send,), (process,), (inner,) = of(exported, "send jobs"), of(exported, "process jobs"), of(exported, "inner")
    assert (process.kind, process.parent) == (SpanKind.CONSUMER, None)
    assert [link.context.span_id for link in process.links] == [send.context.span_id]
    assert process.context.trace_id != send.context.trace_id
    assert about(process) == {
        "messaging.system": "chute", "messaging.destination.name": "jobs", "messaging.operation.name": "process",
        "messaging.operation.type": "process", "messaging.message.id": "job_1", "messaging.chute.task": name,
        "messaging.chute.attempt": 1, "messaging.chute.outcome": "completed",
    }  # fmt: skip
    assert parent_of(inner) == process.context.span_id
    assert tasks.seen
    assert {seen[1:] for seen in tasks.seen} == {(process.context.span_id, "c7")}
    assert {seen[0] for seen in tasks.seen} == ({"loop", "thread", "task"} if name == "look" else {"threaded"})
    assert len(exported.get_finished_spans()) == 3, "claims, waits and beats are not traced"


@pytest.mark.parametrize(
    ("how", "ends"),
    [
        ("again", [("again", "KeyError"), ("failed", "KeyError")]),
        ("retry", [("again", "chute.errors.Retry"), ("failed", "chute.errors.GiveUp")]),
        ("snooze", [("again", None), ("completed", None)]),
        ("slow", [("again", "TimeoutError"), ("failed", "TimeoutError")]),
    ],
)
def test_each_run_is_a_span_and_tells_how_it_ended(
    server: Server, exported: InMemorySpanExporter, how: str, ends: list[tuple[str, str | None]]
) -> None:
    queue = queue_of(server, Tasks().fail, timeout=0.1)
    job = queue.tasks["fail"].enqueue(how)

    async def main() -> None:
        async with chute.Worker(queue):
            while await job.astatus() == "pending":
                await asyncio.sleep(0.01)
        await chute.aclose()

    asyncio.run(main())
    runs = of(exported, "process jobs")
    (send,) = of(exported, "send jobs")
    assert [(about(run)["messaging.chute.outcome"], about(run).get("error.type")) for run in runs] == ends
    assert {run.links[0].context.span_id for run in runs} == {send.context.span_id}
    for run, (_, error) in zip(runs, ends, strict=True):
        assert run.status.status_code == (StatusCode.ERROR if error else StatusCode.UNSET)
        assert [event.name for event in run.events] == (["exception"] if error else [])
        if error:
            assert str((run.events[0].attributes or {})[exception_attributes.EXCEPTION_TYPE]) == error


def test_what_the_worker_breaks_off_is_no_error(server: Server, exported: InMemorySpanExporter) -> None:
    queue = queue_of(server, Tasks().fail)
    queue.tasks["fail"].enqueue("slow")

    async def main() -> None:
        async with chute.Worker(queue) as worker:
            worker.grace = 0
            while not (worker.engine and worker.engine.slots.running):
                await asyncio.sleep(0.005)
        await chute.aclose()

    asyncio.run(main())
    (run,) = of(exported, "process jobs")
    assert about(run)["messaging.chute.outcome"] == "released"
    assert run.status.status_code == StatusCode.UNSET
    server.client().delete("queue:jobs")


def test_a_producer_in_any_language_and_one_without_a_trace(server: Server, exported: InMemorySpanExporter) -> None:
    queue = queue_of(server, Tasks().look)
    push(
        server.client(),
        "jobs",
        {"question": "?", "@headers": {"traceparent": PARENT}},
        {"question": "?", "@headers": {"traceparent": "rubbish"}},
    )
    push(server.client(), "jobs", {"question": "?"})
    assert chute.testing.drain(queue).completed == 3
    links = [[f"{link.context.trace_id:032x}" for link in run.links] for run in of(exported, "process jobs")]
    assert sorted(links) == [[], [], [PARENT[3:35]]]
    assert not any("messaging.message.id" in about(run) for run in of(exported, "process jobs"))


def test_headers_of_the_callers_own_win_and_the_limit_holds(server: Server, exported: InMemorySpanExporter) -> None:
    queue = queue_of(server, Tasks().look)
    queue.tasks["look"].options(headers={"traceparent": PARENT}).enqueue("?")
    room = envelope.MAX_BYTES - len(json.dumps({"job_id": "full", "question": ""}, separators=(",", ":")))
    queue.push({"job_id": "full", "question": "x" * room})
    first, second = (json.loads(job) for job in server.client().lrange("queue:jobs", 0, -1)[::-1])
    assert first["@headers"] == {"traceparent": PARENT}
    assert "@headers" not in second
    assert len(of(exported, "send jobs")) == 2


def test_a_call_that_fails_is_a_span_with_an_error(exported: InMemorySpanExporter) -> None:
    with pytest.raises(ServerUnavailable):
        chute.Queue("jobs", url="redis://127.0.0.1:1").push({"question": "?"})
    (send,) = of(exported, "send jobs")
    assert (send.status.status_code, about(send)["error.type"]) == (StatusCode.ERROR, "chute.errors.ServerUnavailable")


def test_inline_jobs_are_traced_too(exported: InMemorySpanExporter) -> None:
    tasks = Tasks()
    queue = chute.Queue("jobs")
    look, threaded = queue.task(tasks.look), queue.task(tasks.threaded)
    with chute.testing.inline():
        look.enqueue("?").result()
        threaded.enqueue("?").result()
    sent, runs = of(exported, "send jobs"), of(exported, "process jobs")
    assert [run.links[0].context.span_id for run in runs] == [span.context.span_id for span in sent]


class Broken(SpanProcessor):
    """A processor that raises whatever it is told."""

    def on_start(self, span: Span, parent_context: context.Context | None = None) -> None:
        if span.name.startswith("process"):
            raise RuntimeError("broken")


def test_a_broken_tracer_costs_no_job(server: Server, exported: InMemorySpanExporter, caplog: pytest.LogCaptureFixture) -> None:
    trace.get_tracer_provider().add_span_processor(Broken())  # type: ignore[attr-defined]
    queue = queue_of(server, Tasks().look)
    queue.push({"question": "?"})
    with caplog.at_level(logging.ERROR):
        assert chute.testing.drain(queue).completed == 1
    assert "the job runs without it" in caplog.text


def test_names_are_those_of_the_conventions(exported: InMemorySpanExporter, server: Server) -> None:
    queue = queue_of(server, Tasks().fail)
    queue.enqueue_many([queue.tasks["fail"].bind("again"), queue.tasks["fail"].bind("snooze")])
    chute.testing.drain(queue)
    used = {name for span in exported.get_finished_spans() for name in about(span) if not name.startswith("messaging.chute.")}
    known = {value for module in (messaging_attributes, error_attributes) for value in vars(module).values() if isinstance(value, str)}
    assert used <= known
    assert len(used) > 5


def test_without_a_provider_nothing_is_added(server: Server) -> None:
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    queue = queue_of(server, Tasks().look)
    queue.tasks["look"].enqueue("?")
    assert "@headers" not in json.loads(server.client().lindex("queue:jobs", 0))
    assert chute.testing.drain(queue).completed == 1


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("opentelemetry", "sentry_sdk"):
            raise ImportError(name)
sys.meta_path.insert(0, Missing())
import chute, chute.testing
jobs = chute.Queue("jobs", url=sys.argv[1])
@jobs.task
def answer(question: str) -> str:
    return question
jobs.push({"job_id": "job_1", "question": "?"})
assert chute.testing.drain(jobs).completed == 1
assert not [name for name in sys.modules if name.startswith(("opentelemetry", "sentry", "chute.spans"))]
"""


def test_without_opentelemetry_everything_works(server: Server) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, server.url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


APP = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

provider = TracerProvider()
out = open(os.environ["SPANS"], "w")
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\\n")))
trace.set_tracer_provider(provider)

import chute

jobs = chute.Queue("jobs")


@jobs.task
async def first(question: str) -> None:
    await second.options(job_id="job_2").aenqueue(question)


@jobs.task(retries=0)
def second(question: str) -> None:
    with trace.get_tracer("shop").start_as_current_span("inner"):
        raise ValueError(question)
"""


def test_across_processes(server: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    spans = tmp_path / "spans"
    push(server.client(), "jobs", {"job_id": "job_1", "@task": "first", "question": "?", "@headers": {"traceparent": PARENT}})
    with Work("app", server.url, cwd=tmp_path, SPANS=str(spans)) as work:
        assert result(server.client(), "job_2")["status"] == "failed"
        assert "shop" not in work.stderr
    told = {
        span["name"] + str(span["attributes"].get("messaging.message.id", "")): span
        for span in map(json.loads, spans.read_text().splitlines())
    }
    one, send, two, inner = (told[name] for name in ("process jobsjob_1", "send jobsjob_2", "process jobsjob_2", "inner"))
    assert len(told) == 4
    assert one["links"][0]["context"]["trace_id"] == f"0x{PARENT[3:35]}"
    assert send["parent_id"] == one["context"]["span_id"]
    assert two["links"][0]["context"]["span_id"] == send["context"]["span_id"]
    assert (two["parent_id"], two["status"]["status_code"]) == (None, "ERROR")
    assert inner["parent_id"] == two["context"]["span_id"]


def test_threads_hold_no_span_when_they_have_ended(server: Server, exported: InMemorySpanExporter) -> None:
    """The threads of a worker are used again and again."""
    tasks = Tasks()
    queue = queue_of(server, tasks.threaded, tasks.look)
    queue.enqueue_many(task.bind("?") for _ in range(30) for task in queue.tasks.values())
    chute.Worker(queue, concurrency=4, threads=1).run(burst=True)
    runs = of(exported, "process jobs")
    assert len(runs) == 60
    assert {run.parent for run in runs} == {None}
    assert {span for _, span, _ in tasks.seen} == {run.context.span_id for run in runs}
    assert trace.get_current_span() is trace.INVALID_SPAN
