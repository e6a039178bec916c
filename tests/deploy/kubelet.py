"""Runs the pods of manifests as a kubelet would: volumes, environment, init containers, probes. Without an engine: see `pods`."""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import redis

from deploy.faults import MADE_BY_HAND
from deploy.image import Image
from deploy.manifests import Object, pod, ports, the, variables
from deploy.pods import SERVERS, TOOLS, UID, Container, Mount, Node
from scraping import get
from servers import until

PASSWORDS = {user: secrets.token_hex(24) for user in MADE_BY_HAND["chute-passwords"]}
"""Without anything that a URL would have to escape."""
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


class Kubelet:
    """Runs pods on one node. In `home` are the volumes, each in a folder `POD-VOLUME`, and in `home/app` the user's module."""

    def __init__(self, objects: Sequence[Object], node: Node, image: Image | None, home: Path) -> None:
        self.objects, self.node, self.image, self.home = objects, node, image, home

    def container(self, kind: str, name: str, *more: str, init: bool = False) -> Container:
        """The container of a pod, with `more` behind its own words."""
        owner = the(self.objects, kind, name)
        (spec,) = pod(owner)["initContainers" if init else "containers"]
        image = self.image if spec["image"].startswith("registry.example/") else None
        command = [*spec.get("command", image.command if image else []), *spec.get("args", []), *more]
        env = {**(image.env if image else {"PATH": f"{TOOLS}:/usr/bin:/bin"}), **variables(spec, PASSWORDS)}
        mounts = [*(image.mounts(self.home / "app") if image else SERVERS), *self._volumes(owner, spec)]
        return Container(
            command,
            env,
            mounts,
            self.node,
            cwd=image.stage.last("WORKDIR") if image else "/",
            uid=pod(owner)["securityContext"]["runAsUser"],
            pause=pod(owner).get("shareProcessNamespace", False),
        )

    def _volumes(self, owner: Object, spec: Object) -> Iterator[Mount]:
        for mount in spec["volumeMounts"]:
            volume = next((each for each in pod(owner).get("volumes", []) if each["name"] == mount["name"]), {})
            folder = self.home / f"{owner['metadata']['name']}-{mount['name']}"
            if not folder.exists():
                folder.mkdir()
                os.chown(folder, UID, UID)  # fsGroup, or the kubelet's emptyDir
                for name, text in self._files(volume).items():
                    (folder / name).write_text(text)
            yield "ro" if mount.get("readOnly") else "rw", folder, mount["mountPath"]

    def _files(self, volume: Object) -> dict[str, str]:
        if "secret" in volume:
            return PASSWORDS
        return the(self.objects, "ConfigMap", volume["configMap"]["name"])["data"] if "configMap" in volume else {}

    def probe(self, kind: str, name: str, which: str, running: Container) -> bool:
        """Asks as the kubelet does."""
        owner = the(self.objects, kind, name)
        asked = pod(owner)["containers"][0][which]
        if "exec" in asked:
            return running.run(*asked["exec"]["command"]).returncode == 0
        told = asked.get("httpGet") or asked["tcpSocket"]
        port = ports(owner)[told["port"]]
        return self.node.call(lambda: _get(port, told["path"]) if "path" in told else _connects(port))

    def passes(self, kind: str, name: str, running: Container) -> None:
        """Returns once every probe of the pod is content."""
        (spec,) = pod(the(self.objects, kind, name))["containers"]
        for which in sorted(set(PROBES) & spec.keys(), key=PROBES.index):
            assert until(partial(self.probe, kind, name, which, running), 20), f"{which}: {running.log}"

    def ask(self, user: str, *commands: str) -> list[Any]:
        """What Valkey answers to a neighbour of the pods with that user's password."""

        def talk() -> list[Any]:
            with redis.Redis(port=6379, username=user, password=PASSWORDS[user], decode_responses=True, protocol=3) as client:
                pipe = client.pipeline(transaction=False)
                for each in commands:
                    pipe.execute_command(*each.split(" ", 2))
                return pipe.execute()

        return self.node.call(talk)


def _get(port: int, path: str) -> bool:
    with contextlib.suppress(OSError):
        return get(f"http://127.0.0.1:{port}{path}")[0] == 200
    return False


def _connects(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
