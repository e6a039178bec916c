"""Steps of a job that are done once: remembered over failures and over the death of the process, on the server and in inline mode."""

from pathlib import Path

import pytest

import chute
from chute.store import STEPS_TTL
from chute.testing import inline
from contract.helpers import Work, push, result
from servers import Server

APP = """
import os
import chute

jobs = chute.Queue("jobs")


def note(what):
    with open("done", "a") as file:
        print(what, file=file)


@jobs.task(backoff=0)
async def pay(how: str) -> str:
    job = chute.context()
    async with job.once("charge") as todo:
        if todo:
            note("charge")
    if job.tag < 2 and how == "dies":
        os._exit(1)
    async with job.once("mail") as todo:
        if todo:
            note("mail")
            if job.attempt == 1 and how == "raises":
                raise RuntimeError
    return "paid"


@jobs.task(backoff=0)
def pay_in_thread() -> str:
    job = chute.context()
    with job.once("charge") as todo:
        if todo:
            note("charge")
    if job.attempt == 1:
        raise RuntimeError
    with job.once("charge") as todo:
        assert not todo
    return "paid"


@jobs.task(retries=0)
async def nameless() -> None:
    chute.context().once("charge")
"""


DONE: list[str] = []
jobs = chute.Queue("jobs")


@jobs.task(backoff=0)
async def twice() -> int:
    async with chute.context().once("a") as todo:
        if todo:
            DONE.append("a")
    if chute.context().attempt == 1:
        raise RuntimeError
    return chute.context().attempt


@jobs.task(backoff=0)
def plain() -> int:
    with chute.context().once("b") as todo:
        if todo:
            DONE.append("b")
    if chute.context().attempt == 1:
        raise RuntimeError
    return chute.context().attempt


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize(
    ("job", "done"),
    [
        ({"@task": "pay", "how": "ends"}, ["charge", "mail"]),
        ({"@task": "pay", "how": "raises"}, ["charge", "mail", "mail"]),
        ({"@task": "pay", "how": "dies"}, ["charge", "mail"]),
        ({"@task": "pay_in_thread"}, ["charge"]),
    ],
)
def test_what_came_to_its_end_is_not_done_again(each_server: Server, app: Path, job: dict[str, object], done: list[str]) -> None:
    client = each_server.client()
    push(client, "jobs", {"job_id": "j", **job})
    with Work("app", each_server.url, cwd=app):
        assert result(client, "j")["status"] == "completed"
    assert (app / "done").read_text().split() == done
    assert client.smembers("once:{queue:jobs}:j") == {each.encode() for each in done}
    assert STEPS_TTL - 60 < client.ttl("once:{queue:jobs}:j") <= STEPS_TTL


def test_a_job_without_an_id_has_no_memory(server: Server, app: Path) -> None:
    push(server.client(), "jobs", {"@task": "nameless"})
    with Work("app", server.url, "--burst", cwd=app) as work:
        assert work.wait() == 0
        assert "once('charge') needs a job with an id" in work.stderr
    assert not server.client().keys("once:*")


def test_inline_mode_remembers_by_itself() -> None:
    DONE.clear()
    with inline():
        assert (twice.enqueue().result(), plain.enqueue().result()) == (2, 2)
    assert DONE == ["a", "b"]
