"""What is noted of runs: a task runs as it would without, and its waiting is not its work."""

import asyncio
import contextlib
import json
import time
from pathlib import Path

import pytest

from chute.bench import app
from chute.bench.app import Notes, Plan, queue_of
from chute.queue import Queue

theirs = Queue("theirs")
opened: list[str] = []


@theirs.resource
def shared():  # type: ignore[no-untyped-def]
    yield opened.append("opened")
    opened.append("closed")


@theirs.task(retries=5, result_ttl=7200)
async def spin(seconds: float, wait: float = 0.0) -> str:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    try:
        await asyncio.sleep(wait)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        raise
    return "spun"


@theirs.task
def fail(seconds: float) -> None:
    time.sleep(seconds)
    raise LookupError("not there")


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    monkeypatch.setattr(app, "NOTES", Notes())
    return app.NOTES


def of(attribute: str, tmp_path: Path) -> Queue:
    (tmp_path / "url").write_text("redis://127.0.0.1:1\n")
    return queue_of(Plan("bench-x", str(tmp_path / "url"), False, __name__, attribute, str(tmp_path / "out")))


def test_work_and_waiting(notes: Notes, tmp_path: Path) -> None:
    task = of("spin", tmp_path).tasks["spin"]
    assert asyncio.run(task.fn(0.02, wait=0.1)) == "spun"
    runs = notes.runs()
    assert runs.count == 1
    assert 0.02 <= runs.computing < 0.1 < runs.elapsed
    assert runs.computing <= runs.cpu
    assert runs.inside == pytest.approx(runs.elapsed, abs=0.01)


def test_a_run_that_is_broken_off_may_clean_up_and_does_not_count(notes: Notes, tmp_path: Path) -> None:
    task = of("spin", tmp_path).tasks["spin"]

    async def broken_off() -> None:
        async with asyncio.timeout(0.01):
            await task.fn(0.0, wait=10)

    with pytest.raises(TimeoutError):
        asyncio.run(broken_off())
    assert (len(notes.starts), notes.runs().count) == (1, 1)
    asyncio.run(task.fn(0.0))
    assert (len(notes.starts), notes.runs().count) == (2, 1)


def test_what_raises_has_run_too(notes: Notes, tmp_path: Path) -> None:
    task = of("fail", tmp_path).tasks["fail"]
    with pytest.raises(LookupError, match="not there"):
        task.fn(0.05)
    runs = notes.runs()
    assert (runs.count, task.threaded) == (1, True)
    assert runs.computing < 0.05 <= runs.inside


def test_the_task_is_run_once_and_as_it_is_elsewhere(tmp_path: Path) -> None:
    queue = of("spin", tmp_path)
    assert (queue.name, queue.fallback, list(queue.tasks)) == ("bench-x", queue.tasks["spin"], ["spin"])
    assert (queue.tasks["spin"].policy.retries, queue.tasks["spin"].policy.result_ttl) == (0, 600)
    assert (spin.policy.retries, spin.policy.result_ttl, theirs.tasks["spin"]) == (5, 7200, spin)


def test_what_was_noted_is_written_when_the_worker_closes_its_resources(notes: Notes, tmp_path: Path) -> None:
    queue = of("fail", tmp_path)

    async def open_and_close() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for each in queue.resources:
                stack.push_async_callback(each.close)
                await each.open()
            with pytest.raises(LookupError):
                queue.tasks["fail"].fn(0.0)
            assert opened == ["opened"]

    asyncio.run(open_and_close())
    assert opened == ["opened", "closed"]
    assert json.loads((tmp_path / "out").read_bytes())["count"] == 1


def test_nothing_tells_how_long_it_waited(notes: Notes, tmp_path: Path) -> None:
    task = of("", tmp_path).tasks["nothing"]
    asyncio.run(task.fn("a", app.now() - 0.5))
    asyncio.run(task.fn("b"))
    runs = notes.runs()
    assert (runs.count, runs.handler) == (2, None)
    assert runs.waits
    assert 0.5 <= runs.waits.p50 < 1
