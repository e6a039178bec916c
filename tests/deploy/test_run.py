"""The pods run as the manifests say: the image is what the Dockerfile makes, and command, arguments, environment, files, uid, rights, probes and times
are those of the built manifests. One after another on one node, in one test, so that the image is made once.

What is not so: there is no kubelet and no engine, so limits, seccomp and network policies are not in force; `valkey-cli` is `redis-cli`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.image import build as build_image
from deploy.kubelet import PROBES, Kubelet
from deploy.manifests import build, pod, the
from deploy.pods import UID, Container, Node
from scraping import get
from servers import until

pytestmark = pytest.mark.usefixtures("a_root")

APP = """
import asyncio
import subprocess
from pathlib import Path

import chute

jobs = chute.Queue("jobs")


@jobs.task(default=True)
async def answer(question: str) -> str:
    return question


@jobs.task
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"


@jobs.task
def orphans(count: int) -> int:
    for _ in range(count):
        subprocess.run(["sh", "-c", "sleep 0.1 & exit 0"], check=True)
    return count


@jobs.task
def write(path: str) -> str:
    try:
        Path(path).write_text("x")
    except OSError as error:
        return str(error.strerror)
    return "written"
"""


JOBS = {
    "a": '{"job_id":"a","question":"?"}',
    "o": '{"job_id":"o","@task":"orphans","count":3}',
    "w": '{"job_id":"w","@task":"write","path":"/app/own"}',
    "t": '{"job_id":"t","@task":"write","path":"/tmp/own"}',
}
MANY = 20_000
"""Entries that it takes a while to load."""


def confined(container: Container) -> None:
    """The main process has one uid and no rights, and its root is read-only."""
    status = container.status()
    assert {*status["Uid"].split(), *status["Gid"].split()} == {str(UID)}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert status["Groups"].strip() == ""
    for place in ("/", "/usr", "/etc", "/opt", "/var/tmp", "/dev", "/dev/shm"):
        assert container.run("touch", f"{place}/x").returncode != 0, place


def files(home: Path, name: str) -> list[str]:
    """What lies in a volume."""
    return sorted(path.relative_to(home / name).as_posix() for path in (home / name).rglob("*") if path.is_file())


def test_the_pods_do_what_the_manifests_say(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for folder in ("image", "app"):
        (tmp_path / folder).mkdir()
    (tmp_path / "app" / "app.py").write_text(APP)
    image = build_image(tmp_path / "image")
    with Node("redis") as node:
        kubelet = Kubelet(build("base"), node, image, tmp_path)
        with kubelet.container("StatefulSet", "valkey", init=True) as users:
            users.finish()
        with kubelet.container("StatefulSet", "valkey") as valkey:
            with subtests.test("valkey"):
                valkey_serves(kubelet, valkey)
            with subtests.test("exporter"), kubelet.container("Deployment", "exporter") as exporter:
                exporter_serves(kubelet, exporter)
            with subtests.test("worker"), kubelet.container("Deployment", "worker") as worker:
                worker_works(kubelet, worker)
            with subtests.test("a worker that is the first process"):
                stops_as_first(kubelet)
            with subtests.test("written"):
                assert files(tmp_path, "worker-tmp") == ["own"]
                assert files(tmp_path, "exporter-tmp") == []
                assert files(tmp_path, "valkey-users") == ["users.acl"]
            with subtests.test("end of valkey"):
                kubelet.ask("producer", *["LPUSH queue:other {}"] * MANY)
                assert valkey.end(60) == 0
        with subtests.test("loading"):
            valkey_loads(kubelet)


def valkey_serves(kubelet: Kubelet, valkey: Container) -> None:
    kubelet.passes("StatefulSet", "valkey", valkey)
    confined(valkey)
    assert "NOPERM" in valkey.run("valkey-cli", "config", "get", "*").stdout, "who has no password may only ping"
    assert files(kubelet.home, "valkey-data")[0].startswith("appendonlydir/")


def exporter_serves(kubelet: Kubelet, exporter: Container) -> None:
    kubelet.passes("Deployment", "exporter", exporter)
    confined(exporter)
    assert "chute_server_up 1.0" in kubelet.node.call(lambda: get("http://127.0.0.1:9540/metrics"))[1]
    backlog = '{"ready":0,"running":0,"scheduled":0,"backlog":0}\n'
    assert kubelet.node.call(lambda: get("http://127.0.0.1:9540/queues/jobs")) == (200, backlog)
    assert exporter.end(15) == 0


def worker_works(kubelet: Kubelet, worker: Container) -> None:
    kubelet.passes("Deployment", "worker", worker)
    confined(worker)
    for job in JOBS.values():
        kubelet.ask("producer", f"LPUSH queue:jobs {job}")
    assert until(lambda: all(statuses(kubelet))), worker.log
    answers = dict(zip(JOBS, kubelet.ask("producer", *[f"HGETALL result:{name}" for name in JOBS]), strict=True))
    assert {name: each["@value"] for name, each in answers.items()} == {
        "a": '"?"', "o": "3", "w": '"Read-only file system"', "t": '"written"',
    }  # fmt: skip
    assert until(lambda: worker.zombies() == 0, 5), "nobody waits for what jobs left behind"
    ends_in_time(kubelet, worker)


def statuses(kubelet: Kubelet) -> list[Any]:
    return kubelet.ask("producer", *[f"HGET result:{name} status" for name in JOBS])


def ends_in_time(kubelet: Kubelet, worker: Container) -> None:
    """SIGTERM while a job runs: it runs to its end, and the worker ends long before it would be killed."""
    kubelet.ask("producer", 'LPUSH queue:jobs {"job_id":"last","@task":"slow","seconds":2}')
    assert until(lambda: 'chute_jobs_running{queue="jobs"} 1.0' in kubelet.node.call(lambda: get("http://127.0.0.1:9541/metrics"))[1])
    grace = pod(the(kubelet.objects, "Deployment", "worker"))["terminationGracePeriodSeconds"]
    assert worker.end(grace) == 0
    assert f"{len(JOBS) + 1} done · everything else was given back" in worker.log
    assert kubelet.ask("producer", "HGET result:last status") == ["completed"]


def stops_as_first(kubelet: Kubelet) -> None:
    """As in a plain container: no other process there handles signals for it."""
    with replace(kubelet.container("Deployment", "worker"), pause=False) as worker:
        kubelet.passes("Deployment", "worker", worker)
        assert worker.run("sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline").stdout.split()[1:3] == ["/opt/chute/bin/chute", "work"]
        assert worker.end(10) == 0


def valkey_loads(kubelet: Kubelet) -> None:
    """While it reads its file it gets no clients, and is not restarted."""
    with kubelet.container("StatefulSet", "valkey", "--key-load-delay", "500") as valkey:  # microseconds for each command in the file
        assert until(lambda: "LOADING" in valkey.run("valkey-cli", "ping").stdout), valkey.log
        asked = {probe: kubelet.probe("StatefulSet", "valkey", probe, valkey) for probe in PROBES}
        assert asked == {"livenessProbe": True, "readinessProbe": False, "startupProbe": False}
    with kubelet.container("StatefulSet", "valkey") as valkey:
        kubelet.passes("StatefulSet", "valkey", valkey)
        assert kubelet.ask("producer", "HGET result:last status", "LLEN queue:other") == ["completed", MANY]


def test_the_trial_runs(tmp_path: Path) -> None:
    with Node("redis") as node:
        kubelet = Kubelet(build("trial"), node, None, tmp_path)
        with kubelet.container("Deployment", "redis") as redis:
            kubelet.passes("Deployment", "redis", redis)
            confined(redis)
            assert redis.run("redis-cli", "config", "get", "maxmemory-policy").stdout.split()[1] == "noeviction"
            assert redis.end(10) == 0
