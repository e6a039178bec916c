"""A server of a test's own: used by every queue for its block, gone afterwards, and ended with whoever started it."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest

import chute
import chute.testing
from chute.errors import ServerUnavailable
from embedded import gone
from servers import short_directory, until
from testing.tasks import answer, jobs


def home(url: str) -> Path:
    return Path(url.removeprefix("unix://")).parent


def test_every_queue_uses_it_for_the_time_of_the_block() -> None:
    with chute.testing.server() as url:
        job = answer.enqueue("What is RAG?")
        assert (jobs.depth(), chute.Queue("jobs").depth(), job.status()) == (1, 1, "pending")
        assert home(url).exists()
    assert not home(url).exists()
    for ask in (jobs.depth, job.status):
        with pytest.raises(ServerUnavailable):
            ask()


def test_blocks_nest_and_the_innermost_counts() -> None:
    with chute.testing.server() as outer:
        answer.enqueue("outer")
        with chute.testing.server() as inner:
            assert inner != outer
            assert jobs.depth() == 0
        assert jobs.depth() == 1


def test_it_counts_within_inline_and_inline_within_it() -> None:
    with chute.testing.server():
        with chute.testing.inline():
            assert answer.enqueue("inline").status() == "completed"
            with chute.testing.server():
                assert answer.enqueue("inner").status() == "pending"
        assert jobs.depth() == 0


def test_an_error_in_the_block_ends_it_as_well() -> None:
    with pytest.raises(KeyError), chute.testing.server() as url:
        raise KeyError
    assert not home(url).exists()


def test_async_with_closes_the_connections_of_the_loop() -> None:
    async def work() -> str:
        async with chute.testing.server():
            job = await answer.aenqueue("What is RAG?")
            assert (await chute.testing.adrain(jobs)).completed == 1
            return (await job.aresult(5))["answer"]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asyncio.run(work()) == "What is RAG? (en)"


def test_it_starts_where_the_path_of_temporary_files_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = short_directory() / ("x" * 100)
    directory.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    with chute.testing.server():
        assert jobs.depth() == 0
    assert list(directory.iterdir()) == []
    directory.rmdir()
    directory.parent.rmdir()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends it")
def test_it_ends_with_a_process_that_is_killed() -> None:
    code = (
        "import chute.testing, time\n"
        "with chute.testing.server():\n"
        "    from chute.connection import endpoint; from chute.store import INFO\n"
        "    from chute import store\n"
        "    print(endpoint().run(store.server_info())['process_id'], endpoint().url(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout
        pid, url = user.stdout.readline().split()
        assert not gone(int(pid))
        os.kill(user.pid, signal.SIGKILL)
    assert until(lambda: gone(int(pid)))
    for left in home(url).iterdir():
        left.unlink()
    home(url).rmdir()
