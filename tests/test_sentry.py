"""Sentry by its real SDK: which jobs become events, what these say, and what they must not."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

import chute
import chute.testing
from chute.sentry import ChuteIntegration
from contract.helpers import Work, push, result
from servers import Server

DSN = "https://public@sentry.invalid/1"
Init = Callable[..., list[dict[str, Any]]]


class Memory(Transport):
    """Keeps what would be sent."""

    def __init__(self, kept: list[dict[str, Any]]) -> None:
        super().__init__()
        self._kept = kept

    def capture_envelope(self, envelope: Envelope) -> None:
        event = envelope.get_event()
        if event is not None:
            self._kept.append(json.loads(json.dumps(event, default=str)))


@pytest.fixture
def init() -> Iterator[Init]:
    """Sets the SDK up, without what it would do to the other packages of this process."""
    kept: list[dict[str, Any]] = []

    def start(**more: Any) -> list[dict[str, Any]]:
        integrations = [ChuteIntegration(), DedupeIntegration(), LoggingIntegration()]
        sentry_sdk.init(dsn=DSN, transport=Memory(kept), integrations=integrations, default_integrations=False, **more)
        return kept

    yield start
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def deep(card: str) -> None:
    holder = [card]
    raise ValueError(f"declined after {len(holder)}")


class Tasks:
    """What the tasks here do."""

    def __init__(self) -> None:
        self.runs = 0

    async def pay(self, how: str, card: str = "") -> None:
        """On the loop."""
        self.work(how, card)
        await asyncio.sleep(60 if how == "slow" else 0)

    def threaded(self, how: str, card: str = "") -> None:
        """In a thread."""
        self.work(how, card)

    def work(self, how: str, card: str) -> None:
        """Ends so."""
        self.runs += 1
        logging.getLogger("shop").warning("crumb of %s", chute.context().job_id)
        match how:
            case "fail":
                deep(card)
            case "retry":
                raise chute.Retry(after=0)
            case "snooze" if self.runs == 1:
                raise chute.Snooze(0)
            case "give up":
                raise chute.GiveUp("not worth it")
            case "message":
                sentry_sdk.capture_message("on my own")
            case "both":
                try:
                    deep(card)
                except ValueError as error:
                    sentry_sdk.capture_exception(error)
                    raise


def run(server: Server, how: str, task: str = "pay", retries: int = 1, card: str = "") -> chute.Job[Any]:
    """The job, ended."""
    tasks, queue = Tasks(), chute.Queue("jobs", url=server.url)
    for each in (tasks.pay, tasks.threaded):
        queue.task(retries=retries, backoff=0, timeout=0.3)(each)

    async def main() -> chute.Job[Any]:
        async with chute.Worker(queue):
            job: chute.Job[Any] = await queue.tasks[task].options(job_id="job_1").aenqueue(how, card)
            while await job.astatus() == "pending":
                await asyncio.sleep(0.01)
        await chute.aclose()
        return job

    return asyncio.run(main())


@pytest.mark.parametrize("task", ["pay", "threaded"])
def test_a_job_that_failed_for_good_is_one_event(server: Server, init: Init, task: str) -> None:
    events = init()
    run(server, "fail", task)
    (event,) = events
    assert event["tags"] == {"queue": "jobs", "task": task, "job_id": "job_1", "attempt": "2"}
    assert (event["transaction"], event["transaction_info"]["source"], event["level"]) == (task, "task", "error")
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"], error["mechanism"]) == ("ValueError", "declined after 1", {"type": "chute", "handled": False})
    assert [frame["function"] for frame in error["stacktrace"]["frames"]] == [task, "work", "deep"], "none of ours"
    assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == ["crumb of job_1"], "of this run alone"


@pytest.mark.parametrize(
    ("how", "types"),
    [("retry", ["Retry"]), ("snooze", []), ("give up", []), ("slow", ["TimeoutError"]), ("ok", []), ("both", ["ValueError"] * 2)],
)
def test_what_becomes_an_event(server: Server, init: Init, how: str, types: list[str]) -> None:
    events = init()
    run(server, how)
    assert [event["exception"]["values"][-1]["type"] for event in events] == types


def test_what_a_job_sends_itself_names_the_job(server: Server, init: Init) -> None:
    events = init()
    run(server, "message", retries=0)
    (event,) = events
    assert (event["message"], event["tags"]["job_id"], event["transaction"]) == ("on my own", "job_1", "pay")


@pytest.mark.filterwarnings("ignore:The send_default_pii option is deprecated")
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, False),
        ({"data_collection": {"queues": False}}, False),
        ({"data_collection": {"queues": True}}, True),
        ({"send_default_pii": False}, False),
        ({"send_default_pii": True}, True),
    ],
)
@pytest.mark.parametrize("task", ["pay", "threaded"])
def test_what_a_job_carries_is_sent_only_where_that_is_wanted(
    server: Server, init: Init, options: dict[str, Any], sent: bool, task: str
) -> None:
    events = init(**options)
    run(server, "fail", task, card="canary")
    (event,) = events
    assert ("canary" in json.dumps(event)) is sent
    if sent:
        given = event["extra"]["arguments"]
        assert "canary" in (*given["args"], *given["kwargs"].values())
        assert any("vars" in frame for frame in event["exception"]["values"][0]["stacktrace"]["frames"])


def test_without_a_client_nothing_is_reported(server: Server, init: Init) -> None:
    events = init()
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    run(server, "fail")
    assert events == []


APP = f"""
import json, os
import sentry_sdk
from sentry_sdk.transport import Transport
from chute.sentry import ChuteIntegration

class File(Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            with open(os.environ["EVENTS"], "a") as out:
                out.write(json.dumps(event, default=str) + "\\n")

sentry_sdk.init(dsn="{DSN}", transport=File, integrations=[ChuteIntegration()])

import chute

jobs = chute.Queue("jobs")


@jobs.task(retries=0)
def pay(card: str) -> None:
    1 / 0
"""


def test_in_a_worker_with_all_that_the_sdk_does_by_default(server: Server, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    push(server.client(), "jobs", {"job_id": "job_1", "card": "canary"}, {"job_id": "job_2", "card": "canary"})
    with Work("app", server.url, cwd=tmp_path, EVENTS=str(tmp_path / "events")) as work:
        for job in ("job_1", "job_2"):
            assert result(server.client(), job)["status"] == "failed"
        assert "sentry" not in work.stderr
    said = (tmp_path / "events").read_text()
    events = [json.loads(line) for line in said.splitlines()]
    assert [(event["transaction"], event["tags"]["job_id"], event["tags"]["attempt"]) for event in events] in (
        [("pay", "job_1", "1"), ("pay", "job_2", "1")],
        [("pay", "job_2", "1"), ("pay", "job_1", "1")],
    )
    assert "canary" not in said
