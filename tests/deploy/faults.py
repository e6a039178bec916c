"""What is wrong with manifests beyond what their schemas know: names that lead nowhere, pods that may too much, scalers that would lose jobs. Pure."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from deploy.manifests import Object, containers, labels, named, of, owners, pod, ports, secret_keys, selected, selects, served, the
from deploy.network import unreachable
from deploy.users import MANIFEST, rules

KINDS = {
    "v1": "ConfigMap Namespace Service",
    "apps/v1": "Deployment StatefulSet",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "keda.sh/v1alpha1": "ScaledObject TriggerAuthentication",
    "monitoring.coreos.com/v1": "PodMonitor PrometheusRule ServiceMonitor",
    "networking.k8s.io/v1": "NetworkPolicy",
    "policy/v1": "PodDisruptionBudget",
}
MADE_BY_HAND = {"chute-passwords": {user for user in rules(MANIFEST.read_text()) if user != "default"}}
"""The Secret that is made beside the manifests, and its keys."""
FOR_OTHERS = {"chute-producer": "true"}
"""Labels of pods that are not ours."""
AFTER_GRACE = 15


def faults(objects: Sequence[Object]) -> list[str]:
    """Everything that is wrong, in words."""
    checks = (kinds, pods, volumes, security, services, probes, workers, budgets, monitors, scalers, policies)
    return [fault for check in checks for fault in check(objects)]


def kinds(objects: Sequence[Object]) -> Iterator[str]:
    for each in objects:
        if each["kind"] not in KINDS.get(each["apiVersion"], "").split():
            yield f"{named(each)}: {each['apiVersion']} {each['kind']} is unknown"
    spaces = {each["metadata"].get("namespace") for each in objects if each["kind"] != "Namespace"}
    if len(spaces) != 1:
        yield f"several namespaces: {spaces}"
    if len({(each["kind"], each["metadata"]["name"]) for each in objects}) != len(objects):
        yield "an object is there twice"


def pods(objects: Sequence[Object]) -> Iterator[str]:
    for owner in owners(objects):
        selector = owner["spec"]["selector"]
        if not labels(owner):
            yield f"{named(owner)}: its pods have no labels"
        elif not selector.get("matchLabels") or not selects(selector, labels(owner)):
            yield f"{named(owner)}: its selector does not take its own pods"
        if selected(objects, selector) not in ([], [owner]):
            yield f"{named(owner)}: its selector takes pods of others"
        for spread in pod(owner).get("topologySpreadConstraints", []):
            if not selects(spread["labelSelector"], labels(owner)):
                yield f"{named(owner)}: spreads pods that are not its own"
        if owner["kind"] == "StatefulSet" and not any(
            each["metadata"]["name"] == owner["spec"]["serviceName"] and owner in served(objects, each) for each in of(objects, "Service")
        ):
            yield f"{named(owner)}: there is no Service {owner['spec']['serviceName']} for its pods"


def volumes(objects: Sequence[Object]) -> Iterator[str]:
    maps = {each["metadata"]["name"] for each in of(objects, "ConfigMap")}
    for owner in owners(objects):
        claims = {each["metadata"]["name"] for each in owner["spec"].get("volumeClaimTemplates", [])}
        there = {each["name"] for each in pod(owner).get("volumes", [])} | claims
        mounted = {each["name"] for container in containers(owner) for each in container.get("volumeMounts", [])}
        for name in mounted - there:
            yield f"{named(owner)}: mounts {name}, which is no volume"
        for name in there - mounted:
            yield f"{named(owner)}: nobody mounts {name}"
        for volume in pod(owner).get("volumes", []):
            if "configMap" in volume and volume["configMap"]["name"] not in maps:
                yield f"{named(owner)}: there is no ConfigMap {volume['configMap']['name']}"
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{named(owner)}: {volume['name']} has no limit"
        for name, key in secret_keys(owner):
            if name not in MADE_BY_HAND or (key and key not in MADE_BY_HAND[name]):
                yield f"{named(owner)}: there is no Secret {name} with {key or 'anything'}"


def security(objects: Sequence[Object]) -> Iterator[str]:
    for owner in owners(objects):
        spec, whole = pod(owner), pod(owner).get("securityContext", {})
        wanted = {
            "runAsNonRoot": whole.get("runAsNonRoot") is True,
            "uid 65532": whole.get("runAsUser") == whole.get("runAsGroup") == 65532,
            "seccomp RuntimeDefault": whole.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "no service account token": spec.get("automountServiceAccountToken") is False,
            "no service links": spec.get("enableServiceLinks") is False,
            "nothing of the host": not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(),
            "a /tmp of 64Mi": {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}} in spec.get("volumes", []),
        }
        for each in containers(owner):
            own = each.get("securityContext", {})
            wanted |= {
                f"readOnlyRootFilesystem in {each['name']}": own.get("readOnlyRootFilesystem") is True,
                f"no privilege escalation in {each['name']}": own.get("allowPrivilegeEscalation") is False,
                f"no capabilities in {each['name']}": own.get("capabilities") == {"drop": ["ALL"]},
                f"no uid of its own in {each['name']}": not {"runAsUser", "privileged", "seccompProfile"} & own.keys(),
                f"limits in {each['name']}": each.get("resources", {}).get("limits", {}).keys() == {"cpu", "memory"},
                f"requests in {each['name']}": each.get("resources", {}).get("requests", {}).keys() == {"cpu", "memory"},
            }
        yield from (f"{named(owner)}: lacks {what}" for what, there in wanted.items() if not there)


def services(objects: Sequence[Object]) -> Iterator[str]:
    for service in of(objects, "Service"):
        found = served(objects, service)
        if not found:
            yield f"{named(service)}: finds no pods"
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            if any(target not in (*ports(owner), *ports(owner).values()) for owner in found):
                yield f"{named(service)}: its pods have no port {target}"


def probes(objects: Sequence[Object]) -> Iterator[str]:
    for owner in owners(objects):
        for each in pod(owner)["containers"]:
            for kind in ("livenessProbe", "readinessProbe"):
                if kind not in each:
                    yield f"{named(owner)}: has no {kind}"
            own = {name: number for port in each.get("ports", []) for name, number in ((port["name"], port["containerPort"]),)}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = each.get(kind, {})
                port = (asked.get("httpGet") or asked.get("tcpSocket") or {}).get("port")
                if port is not None and port not in (*own, *own.values()):
                    yield f"{named(owner)}: {kind} asks at {port}, which is no port of it"


def workers(objects: Sequence[Object]) -> Iterator[str]:
    """Those that run Chute: the times at their end, the ports that they are told, the server that they are told."""
    for owner in owners(objects):
        spec = pod(owner)
        for each in spec["containers"]:
            options = dict(re.findall(r"--([\w-]+)=(\S+)", " ".join(each.get("args", []))))
            if "grace" in options and spec.get("terminationGracePeriodSeconds") != float(options["grace"]) + AFTER_GRACE:
                yield f"{named(owner)}: is killed {spec.get('terminationGracePeriodSeconds')} s after SIGTERM, and has --grace {options['grace']}"
            if "grace" in options and spec.get("shareProcessNamespace") is not True:
                yield f"{named(owner)}: nobody waits for the orphans of jobs"
            if "preStop" in each.get("lifecycle", {}):
                yield f"{named(owner)}: a preStop only shortens the grace"
            told = options.get("metrics-port") or options.get("port")
            if told and int(told) not in ports(owner).values():
                yield f"{named(owner)}: serves at {told}, which is no port of it"
            if told and (options.get("metrics-host") or options.get("host")) != "0.0.0.0":  # noqa: S104 - compared, not bound
                yield f"{named(owner)}: no probe reaches its loopback"
            yield from (f"{named(owner)}: {fault}" for fault in _server(objects, each))


def _server(objects: Sequence[Object], container: Object) -> Iterator[str]:
    env = {each["name"]: each for each in container.get("env", [])}
    if "CHUTE_URL" not in env:
        return
    url = re.sub(r"\$\((\w+)\)", r"\1", env["CHUTE_URL"]["value"])
    parts = urlsplit(url)
    if parts.username not in rules(MANIFEST.read_text()):
        yield f"there is no user {parts.username}"
    source = env.get(parts.password or "", {}).get("valueFrom", {}).get("secretKeyRef", {})
    if source.get("key") != parts.username:
        yield "the password is not that of the user"
    if list(env).index("CHUTE_URL") < list(env).index(parts.password or "CHUTE_URL"):
        yield "the password is known only after the URL"
    if not any(_is(service, parts.hostname or "", parts.port) for service in of(objects, "Service")):
        yield f"there is no Service {parts.hostname} at {parts.port}"


def _is(service: Object, host: str, port: int | None) -> bool:
    """Whether that is where the Service is, be it by its short or its full name."""
    meta = service["metadata"]
    known = {meta["name"], f"{meta['name']}.{meta.get('namespace')}.svc.cluster.local"}
    return host in known and port in {each["port"] for each in service["spec"]["ports"]}


def budgets(objects: Sequence[Object]) -> Iterator[str]:
    for each in of(objects, "PodDisruptionBudget"):
        if len(selected(objects, each["spec"]["selector"])) != 1:
            yield f"{named(each)}: is for no pods"
        if each["spec"].get("maxUnavailable") != 1:
            yield f"{named(each)}: does not let one at a time go"


def monitors(objects: Sequence[Object]) -> Iterator[str]:
    for each in of(objects, "ServiceMonitor"):
        found = [service for service in of(objects, "Service") if selects(each["spec"]["selector"], service["metadata"].get("labels", {}))]
        if not found:
            yield f"{named(each)}: finds no Service"
        for endpoint in each["spec"]["endpoints"]:
            if any(endpoint["port"] not in {port["name"] for port in service["spec"]["ports"]} for service in found):
                yield f"{named(each)}: the Service has no port {endpoint['port']}"
    for each in of(objects, "PodMonitor"):
        pods_of = selected(objects, each["spec"]["selector"])
        if not pods_of:
            yield f"{named(each)}: finds no pods"
        for endpoint in each["spec"]["podMetricsEndpoints"]:
            if any(endpoint["port"] not in ports(owner) for owner in pods_of):
                yield f"{named(each)}: the pods have no port {endpoint['port']}"


def scalers(objects: Sequence[Object]) -> Iterator[str]:
    scaled = [*of(objects, "HorizontalPodAutoscaler"), *of(objects, "ScaledObject")]
    for each in scaled:
        target = each["spec"]["scaleTargetRef"]
        found = [
            owner
            for owner in owners(objects)
            if owner["metadata"]["name"] == target["name"] and owner["kind"] == target.get("kind", "Deployment")
        ]
        if not found:
            yield f"{named(each)}: scales nothing"
        yield from (f"{named(each)}: each apply sets back the number of {named(owner)}" for owner in found if "replicas" in owner["spec"])
    if len(scaled) > 1:
        yield "two scalers pull at one worker"
    for each in of(objects, "ScaledObject"):
        yield from (f"{named(each)}: {fault}" for fault in _triggers(objects, each["spec"]))


def _triggers(objects: Sequence[Object], spec: Object) -> Iterator[str]:
    queue = the(objects, "ConfigMap", "chute-settings")["data"]["queue"]
    watched = set()
    for trigger in spec["triggers"]:
        told = trigger["metadata"]
        where = urlsplit(told["url"] if trigger["type"] == "metrics-api" else f"redis://{told['address']}")
        if not any(_is(service, where.hostname or "", where.port) and "." in (where.hostname or "") for service in of(objects, "Service")):
            yield f"there is no Service {where.hostname} at {where.port} for KEDA, which is in another namespace"
        if queue not in (where.path.removeprefix("/queues/"), told.get("listName", "").removeprefix("queue:")):
            yield f"it does not look at the queue {queue}"
        watched.add(told.get("valueLocation", "list"))
        if name := trigger.get("authenticationRef", {}).get("name"):
            keys = [
                key
                for each in of(objects, "TriggerAuthentication")
                if each["metadata"]["name"] == name
                for key in each["spec"]["secretTargetRef"]
            ]
            if not keys or any(key["key"] not in MADE_BY_HAND.get(key["name"], ()) for key in keys):
                yield f"there is no TriggerAuthentication {name} with a password"
    if spec.get("minReplicaCount", 0) == 0 and not {"backlog", "scheduled"} <= watched:
        yield f"it may take away the last worker and knows only {watched}"


def policies(objects: Sequence[Object]) -> Iterator[str]:
    found = of(objects, "NetworkPolicy")
    for each in found:
        spec = each["spec"]
        own = selected(objects, spec["podSelector"])
        if not own and spec["podSelector"].get("matchLabels") != FOR_OTHERS:
            yield f"{named(each)}: is for no pods"
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            for peer in (*rule.get("from", []), *rule.get("to", [])):
                selector = peer.get("podSelector")
                if (
                    selector
                    and "namespaceSelector" not in peer
                    and selector.get("matchLabels") != FOR_OTHERS
                    and not selected(objects, selector)
                ):
                    yield f"{named(each)}: names pods that are not there"
        for rule in spec.get("ingress", []):
            for port in rule["ports"]:
                if not any(port["port"] in ports(owner).values() for owner in own):
                    yield f"{named(each)}: opens {port['port']}, which nobody listens at"
    if found:
        yield from unreachable(objects)
