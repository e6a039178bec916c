"""`chute pause` and `resume`: at once on all workers, what is pushed meanwhile shows in the queue, what runs is not broken off."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from contract.helpers import chute, lines, push, result, working
from servers import Server, until


def test_all_workers_stand_still_at_once_and_go_on(each_server: Server) -> None:
    """Three workers wait when the queue is paused: each of their waits is served a job, and each job must come back to the public list."""
    client = each_server.client()
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(working(each_server, "tasks:jobs", "jobs"))
        assert until(lambda: client.info("clients")["blocked_clients"] == 3)
        done = chute("pause", "jobs", url=each_server.url)
        assert (done.returncode, done.stdout, done.stderr) == (0, "queue jobs is paused\n", "")
        for n in range(5):
            push(client, "jobs", {"job_id": f"job-{n}", "question": "?"})
        assert until(lambda: client.llen("queue:jobs") == 5)
        assert until(lambda: client.info("clients")["blocked_clients"] == 0)
        assert not client.exists("first:{queue:jobs}", *[f"result:job-{n}" for n in range(5)])
        names = [body.split(b'"')[3] for body in client.lrange("queue:jobs", 0, -1)]
        assert names == [b"job-4", b"job-3", b"job-2", b"job-1", b"job-0"], "in their order"
        assert chute("resume", "jobs", url=each_server.url).stdout == "queue jobs goes on\n"
        for n in range(5):
            assert result(client, f"job-{n}", 3)["status"] == "completed"


def test_what_runs_is_not_broken_off(server: Server, tmp_path: Path) -> None:
    client, path = server.client(), tmp_path / "said"
    with working(server, "tasks:jobs", "jobs"):
        push(client, "jobs", {"job_id": "slow", "@task": "slow", "seconds": 0.5, "path": str(path)})
        assert until(path.exists)
        chute("pause", "jobs", url=server.url)
        assert result(client, "slow")["status"] == "completed"
        assert chute("resume", "jobs", url=server.url).returncode == 0


def test_it_outlives_its_workers(server: Server) -> None:
    client = server.client()
    assert chute("pause", "jobs", url=server.url).returncode == 0
    push(client, "jobs", {"job_id": "a", "question": "?"})
    with working(server, "tasks:jobs", "jobs") as work:
        assert until(lambda: client.hlen("workers:{queue:jobs}") == 2)
        work.signal(15)
        assert work.wait() == 0
    assert client.llen("queue:jobs") == 1
    assert client.hkeys("workers:{queue:jobs}") == [b"@paused"]
    chute("resume", "jobs", url=server.url)
    assert not client.exists("workers:{queue:jobs}")


def test_for_programs(server: Server) -> None:
    def say(word: str) -> object:
        (said,) = lines(chute(word, "jobs", "--json", url=server.url).stdout)
        return said

    assert say("pause") == {"queue": "jobs", "paused": True, "changed": True}
    assert say("pause") == {"queue": "jobs", "paused": True, "changed": False}
    assert say("resume") == {"queue": "jobs", "paused": False, "changed": True}
    assert say("resume") == {"queue": "jobs", "paused": False, "changed": False}


def test_for_people(server: Server) -> None:
    first = chute("pause", "jbos", url=server.url)
    assert first.returncode == 0
    assert "no worker has ever worked queue jbos" in first.stderr
    assert chute("pause", "jbos", url=server.url).stdout == "queue jbos was paused before\n"
    chute("resume", "jbos", url=server.url)
    assert chute("resume", "jbos", url=server.url).stdout == "queue jbos was not paused\n"


@pytest.mark.parametrize("word", ["pause", "resume"])
def test_a_wrong_name_and_no_server(server: Server, word: str) -> None:
    assert chute(word, "a:b", url=server.url).returncode == 2
    assert chute(word, "jobs", url="redis://127.0.0.1:1").returncode == 4
    assert not server.client().keys()
