"""worker/fork.py: what handlers fork ends with them and is no second worker; beside it, who ends the worker's event loop is charged for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from chute.errors import JobFailed
from contract.helpers import Work, letters, push, result
from servers import Server, until
from worker import forking as tasks

QUEUE = "forking"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server("valkey") as server:
        yield server


@pytest.fixture
def client(server: Server) -> redis.Redis:
    return server.client()


@pytest.fixture
def work(server: Server, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    monkeypatch.setenv("CHUTE_URL", server.url)
    with Work("worker.forking:forking", server.url, "--grace", "2", cwd=Path(__file__).parents[1]) as work:
        yield work.ready(client, QUEUE)


@pytest.mark.parametrize("task", [tasks.plain, tasks.on_the_loop, tasks.after_a_while], ids=lambda task: task.name)
def test_a_child_ends_as_a_process_does(work: Work, task: object) -> None:
    assert isinstance(task, type(tasks.plain))
    codes = {how: task.enqueue(how).result(10) for how in ("return", "raise", "exit", "word")}
    assert codes == {"return": 0, "raise": 1, "exit": 3, "word": 1}
    said = work.stderr
    assert "ValueError: in the child" in said
    assert "a last word" in said
    assert "failed" not in said, "what the child came to is not what the job came to"
    assert len(work.children()) == 1


def test_a_child_cannot_wait_on_the_loop_of_the_worker(work: Work) -> None:
    assert tasks.on_the_loop.enqueue("wait").result(10) == 1
    assert "a process that a handler forks cannot wait on the worker's event loop" in work.stderr


def test_the_end_of_a_child_is_not_that_of_the_job(work: Work) -> None:
    """The child has the same shared memory: it must not take the job's mark from it, by which the supervisor knows what runs too long."""
    job = tasks.too_long.enqueue()
    with pytest.raises(JobFailed, match="ran longer than 1 s"):
        job.result(10)


def test_a_child_can_be_terminated(work: Work) -> None:
    """What the worker does at SIGTERM is no business of what its handlers fork: `multiprocessing` ends its processes so."""
    code, seconds = tasks.terminated.enqueue().result(15)
    assert code == -15
    assert seconds < 5
    assert "stopping" not in work.stderr


def test_what_a_child_forks_hears_what_the_child_hears(work: Work) -> None:
    assert tasks.grandchild.enqueue().result(20) == 7


@pytest.mark.parametrize("how", ["exit", "stop"])
def test_who_ends_the_event_loop_is_charged_for_the_death(work: Work, client: redis.Redis, how: str) -> None:
    push(client, QUEUE, {"job_id": f"loop-{how}", "@task": "ends_the_loop", "how": how})
    assert "died 3 times" in result(client, f"loop-{how}", 20)["error"]
    assert ("SystemExit: from behind" if how == "exit" else "Event loop stopped") in work.stderr


@pytest.mark.parametrize("task", ["a_coroutine", "another_coroutine", "a_generator"])
def test_work_that_nobody_has_done_is_a_failure(work: Work, client: redis.Redis, task: str) -> None:
    push(client, QUEUE, {"job_id": f"undone-{task}", "@task": task})
    found = result(client, f"undone-{task}")
    assert found["status"] == "failed"
    kind = "generator" if task == "a_generator" else "coroutine"
    assert found["error"].startswith(f"TypeError: the task returned a {kind}, of which nothing has run. Make it an `async def`")
    assert any(letter["job_id"] == f"undone-{task}".encode() for letter in letters(client, "dead", QUEUE))


def test_a_result_that_is_not_kept_is_logged(work: Work, client: redis.Redis) -> None:
    push(client, QUEUE, {"job_id": "odd", "@task": "no_json"})
    assert result(client, "odd")["status"] == "completed"
    line = "WARNING job odd of task no_json completed, and its result is not kept: the result cannot be written as JSON"
    assert until(lambda: line in work.stderr)
