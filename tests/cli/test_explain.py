"""`chute explain`: real jobs on their way, for people and for programs; exit 3 for what is nowhere."""

from pathlib import Path
from typing import Any

from contract.helpers import chute, lines, push, result, working
from servers import Server, until

SHAPE = {
    "job_id", "state", "queue", "task", "why", "since", "due", "ahead", "attempt", "worker", "entry", "reason", "error", "looked", "whole",
}  # fmt: skip


def ask(server: Server, job_id: str, *options: str) -> dict[str, Any]:
    (answer,) = lines(chute("explain", job_id, "--json", *options, url=server.url).stdout)
    assert set(answer) == SHAPE
    return dict(answer)


def test_a_job_on_its_way(server: Server, tmp_path: Path) -> None:
    client, path = server.client(), tmp_path / "said"
    push(client, "jobs", {"job_id": "slow", "@task": "slow", "seconds": 60, "path": str(path)}, {"job_id": "later", "question": "?"})
    assert "is queued: it is the next in queue jobs; no worker works this queue" in chute("explain", "slow", url=server.url).stdout
    assert ask(server, "later")["ahead"] == 1
    with working(server, "tasks:jobs", "jobs", options=("--concurrency", "1", "--grace", "0")):
        assert until(path.exists)
        assert until(lambda: ask(server, "slow")["state"] == "running")
        said = chute("explain", "slow", url=server.url)
        assert said.returncode == 0
        assert said.stdout.startswith("slow (slow) is running: it has been running on worker ")
        assert ask(server, "later")["state"] in ("queued", "held"), "given back after 200 ms"
        client.zadd("scheduled:{queue:jobs}", {'0000000000000001{"job_id": "delayed"}': 4e12})
        assert ask(server, "delayed")["state"] == "scheduled"
        assert chute("pause", "jobs", url=server.url).returncode == 0
        assert until(lambda: "the queue is paused" in ask(server, "later")["why"])
    assert ask(server, "slow")["state"] == "queued"
    client.delete("queue:jobs", "workers:{queue:jobs}")


def test_jobs_at_their_end(server: Server) -> None:
    client = server.client()
    with working(server, "tasks:jobs", "jobs"):
        push(
            client,
            "jobs",
            {"job_id": "ok", "question": "?"},
            {"job_id": "boom", "@task": "boom", "word": "w"},
            {"job_id": "who", "@task": "nobody"},
        )
        for name in ("ok", "boom", "who"):
            result(client, name)
    assert ask(server, "ok")["state"] == "completed"
    boom, who = ask(server, "boom"), ask(server, "who")
    assert (boom["state"], boom["reason"], boom["error"]) == ("failed", "failed", "ValueError: w")
    assert boom["entry"].startswith("dead/")
    assert (who["state"], who["reason"]) == ("failed", "unknown_task")
    assert who["entry"].startswith("refused/")
    client.delete("result:boom")
    assert ask(server, "boom")["state"] == "dead"


def test_what_is_nowhere(server: Server) -> None:
    said = chute("explain", "nothing", url=server.url)
    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr.startswith("chute: job nothing: not in any queue and without a result")
    told = chute("explain", "nothing", "--json", "--queue", "jobs", url=server.url)
    assert told.returncode == 3
    (answer,) = lines(told.stdout)
    assert (answer["state"], answer["queue"], answer["whole"]) == ("unknown", "jobs", True)


def test_wrong_words_and_no_server(server: Server) -> None:
    assert chute("explain", "a b", url=server.url).returncode == 2
    assert chute("explain", "a", "--queue", "b:c", url=server.url).returncode == 2
    assert chute("explain", "a", url="redis://127.0.0.1:1").returncode == 4
