"""`chute doctor` from outside: real servers with something wrong, real queues with something left; exit codes, text and JSON."""

from typing import Any

import pytest

from contract.helpers import chute, lines, push, working
from servers import Kind, Server, StartServer, binary, send, until
from topologies import Cluster, Replicated

SHAPE = {"check", "state", "what", "why", "do", "about"}
DEAD, SILENT = "d" * 32, "5" * 32
FIT = ("--appendonly", "yes", "--maxmemory", "500mb", "--proto-max-bulk-len", "2mb")


@pytest.fixture(params=["valkey", "redis"])
def fit(request: pytest.FixtureRequest, start_server: StartServer) -> Server:
    """A server as the documentation wants it."""
    kind: Kind = request.param
    if binary(kind) is None:
        pytest.skip(f"no {kind}-server is installed")
    server: Server = start_server(kind, *FIT)
    return server


def ask(server: Server, *words: str, code: int = 1, url: str = "") -> list[dict[str, Any]]:
    done = chute("doctor", *words, "--json", url=url or server.url)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stderr == ""
    said = lines(done.stdout)
    assert all(set(each) == SHAPE for each in said)
    assert all(bool(each["why"] and each["do"]) for each in said if each["state"] == "mend"), "each says why, and what to do"
    return said


def mends(server: Server, *words: str) -> list[str]:
    return [f"{each['about'] or each['check']}: {each['what']}" for each in ask(server, *words) if each["state"] == "mend"]


def test_a_server_that_is_fit(fit: Server) -> None:
    said = ask(fit, code=0)
    assert {each["check"] for each in said} == {"way", "clock", "version", "memory", "disk", "replicas", "settings", "rights"}
    shown = chute("doctor", url=fit.url)
    assert shown.returncode == 0
    assert "well: disk: appendonly yes, the last writes went well\n" in shown.stdout
    assert shown.stderr.startswith(f"chute: server {fit.url} (--url)\nchute: 0 to mend, ")


def test_settings_that_cost_jobs(fit: Server) -> None:
    client = fit.client()
    for setting, value, back, told in (
        ("maxmemory-policy", "allkeys-lru", "noeviction", "memory: maxmemory-policy is allkeys-lru"),
        ("maxmemory-policy", "volatile-ttl", "noeviction", "memory: maxmemory-policy is volatile-ttl"),
        ("maxmemory", "1mb", "500mb", "memory: "),
        ("appendonly", "no", "yes", "disk: appendonly is no"),
        ("appendfsync", "no", "everysec", "settings: appendfsync is no"),
        ("min-replicas-to-write", "1", "0", "replicas: fewer than min-replicas-to-write"),
    ):
        client.config_set(setting, value)
        (said,) = mends(fit)
        assert said.startswith(told)
        client.config_set(setting, back)
    for setting, value, back in (("timeout", "60", "0"), ("tcp-keepalive", "0", "300")):
        client.config_set(setting, value)
        (note,) = [each for each in ask(fit, code=0) if each["check"] == "settings"]
        assert (note["state"], note["what"]) == ("note", f"{setting} is {value}")
        client.config_set(setting, back)


def test_a_disk_that_takes_nothing(fit: Server) -> None:
    client = fit.client()
    (fit.directory / "dump.rdb").mkdir()  # what cannot be replaced by a file, not even by root
    send(client, "BGSAVE")
    assert until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    (said,) = mends(fit)
    assert said == "disk: this failed last time: a snapshot (bgsave)"


@pytest.mark.leaves("leases", "workers")
def test_what_workers_left_behind(fit: Server) -> None:
    client = fit.client()
    client.sadd("queues", "jobs", "idle")
    assert {each["about"] for each in ask(fit, code=0) if each["check"] == "queue"} == {"queue idle", "queue jobs"}
    client.hset("workers:{queue:jobs}", DEAD, "dead")
    client.hset(f"leases:{{queue:jobs}}:{DEAD}", mapping={"1001": "{}", "1002": "{}"})
    assert mends(fit) == ["queue jobs: 2 jobs in the hands of 1 worker that went without a word"]
    client.hset("workers:{queue:jobs}", mapping={DEAD: 7})
    assert mends(fit) == ["queue jobs: 2 jobs in the hands of 1 worker that went without a word"], (
        "it says nothing of itself, and makes no progress"
    )
    client.delete(f"leases:{{queue:jobs}}:{DEAD}")
    push(client, "jobs", {"job_id": "1"})
    assert mends(fit, "jobs") == ["queue jobs: 1 job, and no worker"]
    assert [each for each in ask(fit, "idle", code=0) if each["check"] == "queue"]
    client.delete("queue:jobs")
    client.zadd("scheduled:{queue:jobs}", {'0000000000000001{"job_id": "late"}': 1})
    (said,) = mends(fit)
    assert said.startswith("queue jobs: a scheduled job is overdue by ")
    client.zadd("scheduled:{queue:jobs}", {'0000000000000001{"job_id": "late"}': 4e12})
    client.xadd("dead:{queue:jobs}", {"body": "{}", "reason": "failed"})
    client.hset("workers:{queue:jobs}", "@paused", 1)
    notes = [each["what"] for each in ask(fit, code=0) if each["about"] == "queue jobs"]
    assert notes == ["1 worker went without a word, with no job in hand", "paused", "1 dead letter"]


def test_a_worker_that_works(fit: Server) -> None:
    client = fit.client()
    push(client, "jobs", {"job_id": "slow", "@task": "slow", "seconds": 60, "path": str(fit.directory / "path")})
    with working(fit, "tasks:jobs", "jobs", options=("--grace", "0")):
        assert until((fit.directory / "path").exists)
        (queue,) = [each for each in ask(fit, code=0) if each["check"] == "queue"]
        assert queue["what"] == "0 ready, 0 scheduled, 1 worker"
    client.delete("queue:jobs")


def test_keys_that_are_something_else(fit: Server) -> None:
    client = fit.client()
    client.sadd("queues", "jobs")
    for key in ("queue:jobs", "workers:{queue:jobs}", "scheduled:{queue:jobs}", "dead:{queue:jobs}"):
        client.set(key, "x")
        assert mends(fit) == [f"queue jobs: {key} is of another type than it should be"]
        client.delete(key)
    client.hset("workers:{queue:jobs}", mapping={"no worker": "x", "\xff": "1"})
    assert mends(fit) == ["queue jobs: 2 fields in workers:{queue:jobs} that name no worker"]


def test_a_queue_that_nobody_ever_worked(fit: Server) -> None:
    push(fit.client(), "typo", {"job_id": "1"}, {"job_id": "2"})
    assert mends(fit) == ["queue typo: 2 jobs, and no worker has ever worked it"]
    assert mends(fit, "typo") == ["queue typo: 2 jobs, and no worker"]


def test_wrong_words_and_no_server(fit: Server) -> None:
    assert chute("doctor", "a b", url=fit.url).returncode == 2
    nobody = chute("doctor", "--json", url="redis://:geheim@127.0.0.1:1")
    assert nobody.returncode == 4
    assert "cannot reach the server at redis://:***@127.0.0.1:1" in nobody.stderr
    assert "geheim" not in nobody.stdout + nobody.stderr


def test_the_embedded_server_is_fit() -> None:
    done = chute("doctor", "--json")
    said = lines(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {each["state"] for each in said} == {"well", "note"}
    assert chute("server", "stop").returncode == 0


def test_behind_sentinels() -> None:
    with Replicated("valkey", *FIT) as those:
        primary = those.primary()
        assert until(lambda: not [each for each in ask(primary, code=0, url=those.url) if each["what"] == "none"])
        primary.client().config_set("maxmemory-policy", "allkeys-lru")
        assert [each["what"] for each in ask(primary, url=those.url) if each["state"] == "mend"] == ["maxmemory-policy is allkeys-lru"]


def test_a_cluster_node_by_node() -> None:
    with Cluster("valkey", *FIT, replicas=False) as those:
        one = those.owner("queue:jobs")
        push(one.client(), "jobs", {"job_id": "1"})
        one.client().config_set("maxmemory-policy", "allkeys-lru")
        said = ask(one, url=those.url)
        assert len({each["about"] for each in said if each["check"] == "memory"}) == 3
        mend = [(each["about"], each["what"]) for each in said if each["state"] == "mend"]
        assert mend == [
            (f"redis://127.0.0.1:{one.port}", "maxmemory-policy is allkeys-lru"),
            ("queue jobs", "1 job, and no worker has ever worked it"),
        ]
        shown = chute("doctor", url=those.url).stdout
        assert f"mend: memory of redis://127.0.0.1:{one.port}: maxmemory-policy is allkeys-lru. " in shown
