"""Who reaches whom by the NetworkPolicies of manifests, and who should. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from deploy.manifests import Labels, Object, labels, of, owners, selects


class End(NamedTuple):
    """Pods with these labels in that namespace."""

    namespace: str
    labels: Labels


def _taken(peer: Object, end: End, home: str) -> bool:
    """Whether a peer of a policy in the namespace `home` is that end."""
    space = peer.get("namespaceSelector")
    known = {"kubernetes.io/metadata.name": end.namespace, **({"chute-producer": "true"} if end.namespace == "producers" else {})}
    here = end.namespace == home if space is None else selects(space, known)
    return here and selects(peer.get("podSelector", {}), end.labels)


def _allowed(objects: Sequence[Object], direction: str, own: End, other: End, port: int) -> bool:
    """Whether the policies of one side let this through; without any for it, everything passes."""
    rules: list[Any] = []
    meant = False
    for policy in of(objects, "NetworkPolicy"):
        spec = policy["spec"]
        if (
            own.namespace == policy["metadata"]["namespace"]
            and selects(spec["podSelector"], own.labels)
            and direction in spec["policyTypes"]
        ):
            meant = True
            rules += spec.get(direction.lower(), [])
    side = "from" if direction == "Ingress" else "to"
    return not meant or any(
        any(_taken(peer, other, own.namespace) for peer in rule[side]) and port in {each["port"] for each in rule["ports"]}
        for rule in rules
    )


def reaches(objects: Sequence[Object], source: End, target: End, port: int) -> bool:
    """Whether both sides let it through."""
    return _allowed(objects, "Egress", source, target, port) and _allowed(objects, "Ingress", target, source, port)


def unreachable(objects: Sequence[Object]) -> Iterator[str]:
    """Where that is not as it should be."""
    home = of(objects, "NetworkPolicy")[0]["metadata"]["namespace"]
    ours = {labels(owner).get("app.kubernetes.io/component", ""): End(home, labels(owner)) for owner in owners(objects)}
    if not {"worker", "exporter", "valkey"} <= ours.keys():
        yield "a component is missing"
        return
    worker, exporter, valkey = ours["worker"], ours["exporter"], ours["valkey"]
    prometheus, keda, names = End("monitoring", {}), End("keda", {}), End("kube-system", {"k8s-app": "kube-dns"})
    producer, stranger, internet = {"chute-producer": "true"}, {"app": "other"}, End("elsewhere", {})
    triggers = [each["type"] for scaled in of(objects, "ScaledObject") for each in scaled["spec"]["triggers"]]
    wanted = [
        ("the worker", worker, "Valkey", valkey, 6379, True),
        ("the exporter", exporter, "Valkey", valkey, 6379, True),
        ("the worker", worker, "the name service", names, 53, True),
        ("the exporter", exporter, "the name service", names, 53, True),
        ("a producer", End(home, producer), "Valkey", valkey, 6379, True),
        ("a producer", End(home, producer), "the name service", names, 53, True),
        ("a producer elsewhere", End("producers", producer), "Valkey", valkey, 6379, True),
        ("a pod elsewhere with the label", End("other", producer), "Valkey", valkey, 6379, False),
        ("a stranger", End("producers", stranger), "Valkey", valkey, 6379, False),
        ("Prometheus", prometheus, "the worker", worker, 9541, True),
        ("Prometheus", prometheus, "the exporter", exporter, 9540, True),
        ("Prometheus", prometheus, "Valkey", valkey, 6379, False),
        ("a stranger", End("other", stranger), "the exporter", exporter, 9540, False),
        ("a stranger", End("other", stranger), "the worker", worker, 9541, False),
        ("the worker", worker, "anybody", internet, 443, False),
        ("Valkey", valkey, "anybody", internet, 443, False),
        ("KEDA", keda, "the exporter", exporter, 9540, "metrics-api" in triggers),
        ("KEDA", keda, "Valkey", valkey, 6379, "redis" in triggers),
    ]
    for who, source, whom, target, port, should in wanted:
        if reaches(objects, source, target, port) != should:
            yield f"{who} {'does not reach' if should else 'reaches'} {whom} at {port}"
