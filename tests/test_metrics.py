"""The whole-queue series, as `chute metrics` and a user's own registry show them."""

import json
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import chute
from chute.keys import keys_of
from chute.metrics import QueueCollector
from scraping import Series, value
from servers import Server
from topologies import Cluster

KEYS = keys_of("jobs")
pytestmark = pytest.mark.leaves("workers", "leases")


def look(collector: QueueCollector) -> Series:
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    return {(s.name, frozenset(s.labels.items())): s.value for f in text_string_to_metric_families(text) for s in f.samples}


def test_every_state_of_a_queue(each_server: Server) -> None:
    client, now = each_server.client(), int(time.time() * 1000)
    client.lpush(KEYS.queue, *[json.dumps({"job_id": f"j{n}", "@at": now - 9000, "@due": now - 3000}) for n in range(5)])
    client.lpush(KEYS.first, json.dumps({"job_id": "f", "@at": now - 7000}))
    client.zadd(KEYS.scheduled, {"0000000000000001{}": now + 60_000})
    client.xadd(KEYS.dead, {"reason": "failed"})
    client.xadd(KEYS.refused, {"reason": "bad_json"})
    client.hset(KEYS.workers, mapping={"a" * 32: 1, "b" * 32: 1, "@paused": 1})
    client.hset(KEYS.leases("a" * 32), mapping={"1001": "{}", "1002": "{}"})
    client.sadd("queues", "jobs", "other")
    collector = QueueCollector(each_server.url)
    for _ in range(2):
        series = look(collector)
        assert value(series, "chute_server_up") == 1
        assert value(series, "queue_depth", queue="jobs") == client.llen(KEYS.queue) == 5
        states = {
            state: value(series, "chute_jobs", queue="jobs", state=state) for state in ("ready", "running", "scheduled", "dead", "refused")
        }
        assert states == {"ready": 6, "running": 2, "scheduled": 1, "dead": 1, "refused": 1}
        assert value(series, "chute_workers", queue="jobs") == 2
        assert value(series, "chute_queue_paused", queue="jobs") == 1
        age = value(series, "chute_oldest_ready_age_seconds", queue="jobs")
        assert age is not None
        assert 7 <= age < 12
        assert value(series, "queue_depth", queue="other") == value(series, "chute_oldest_ready_age_seconds", queue="other") == 0
        assert value(series, "chute_server_may_evict") == 0
    client.delete(KEYS.first)
    age = value(look(collector), "chute_oldest_ready_age_seconds", queue="jobs")
    assert age is not None
    assert 3 <= age < 7, "a job with a due time is not older than that"


def test_a_job_that_tells_no_time_is_as_old_as_it_was_first_seen(server: Server) -> None:
    client = server.client()
    client.lpush(KEYS.queue, '{"job_id": "b"}', "no json")
    client.rpush(KEYS.queue, '{"job_id": "a"}')
    collector = QueueCollector(server.url, ["jobs"])
    first = value(look(collector), "chute_oldest_ready_age_seconds", queue="jobs")
    time.sleep(0.2)
    second = value(look(collector), "chute_oldest_ready_age_seconds", queue="jobs")
    client.rpop(KEYS.queue)
    third = value(look(collector), "chute_oldest_ready_age_seconds", queue="jobs")
    assert first == third == 0
    assert second is not None
    assert 0.2 <= second < 5


def test_one_script_call_a_queue(server: Server) -> None:
    client = server.client()
    client.sadd("queues", *[f"q{n}" for n in range(20)])
    collector = QueueCollector(server.url)
    look(collector)
    client.config_resetstat()
    look(collector)
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 20


def test_no_server_is_a_figure_and_no_error() -> None:
    assert look(QueueCollector("unix:///nowhere", ["jobs"])) == {("chute_server_up", frozenset()): 0}


def test_what_cannot_be_a_queue() -> None:
    with pytest.raises(ValueError, match="a:b"):
        QueueCollector(queues=["a:b"])


def test_of_a_cluster_without_a_node_the_others_are_shown() -> None:
    with Cluster("valkey", primaries=3, replicas=False) as cluster:
        for name in ("q0", "q1", "q2", "q3", "q4", "q5"):
            chute.Queue(name, url=cluster.url).push({"n": 1})
        with cluster.owner("queues").new_client() as client:
            client.sadd("queues", *[f"q{n}" for n in range(6)])
        collector = QueueCollector(cluster.url)
        assert len(shown(collector)) == 6
        gone = next(server for server in cluster.servers if server not in (cluster.owner("queue:q0"), cluster.owner("queues")))
        left = {f"q{n}" for n in range(6) if cluster.owner(f"queue:q{n}") is not gone}
        for server in cluster.servers:
            with server.new_client() as client:
                client.config_set("cluster-require-full-coverage", "no")
        gone.kill()
        began = time.monotonic()
        assert shown(collector) == dict.fromkeys(left, 1)
        assert time.monotonic() - began < 5
        assert up(collector) == 0


def shown(collector: QueueCollector) -> dict[str, float]:
    """The depth of each queue."""
    samples = [sample for metric in collector.collect() for sample in metric.samples]
    return {sample.labels["queue"]: sample.value for sample in samples if sample.name == "queue_depth"}


def up(collector: QueueCollector) -> float:
    """Whether the server answers."""
    return next(sample.value for metric in collector.collect() for sample in metric.samples if sample.name == "chute_server_up")
