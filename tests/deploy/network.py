"""Says of network policies who may connect to whom, as Kubernetes documents it: a pod that no policy is about is open."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Labels = Mapping[str, str]
Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Peer:
    """A pod with its labels, in a namespace with its labels; or an address outside, which has none of them."""

    labels: Labels = field(default_factory=dict)
    namespace: str = ""
    namespace_labels: Labels = field(default_factory=dict)
    address: str = ""


def connects(policies: Sequence[Policy], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the source may leave for the target, and the target may be reached from the source."""
    leaves = _open(policies, source, target, "Egress", port, protocol)
    return leaves and admits(policies, source, target, port, protocol)


def admits(policies: Sequence[Policy], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the target may be reached from the source, wherever that may go."""
    return _open(policies, target, source, "Ingress", port, protocol)


def _open(policies: Sequence[Policy], about: Peer, other: Peer, way: str, port: int, protocol: str) -> bool:
    if about.address:
        return True
    rules, closed = [], False
    for policy in policies:
        spec = policy["spec"]
        here = policy["metadata"]["namespace"] == about.namespace
        if here and way in spec["policyTypes"] and _selects(spec["podSelector"], about.labels):
            closed = True
            rules += spec.get(way.lower()) or []
    where = policies[0]["metadata"]["namespace"] if policies else ""
    return not closed or any(_lets(rule, other, where, way, port, protocol) for rule in rules)


def _lets(rule: Mapping[str, Any], other: Peer, where: str, way: str, port: int, protocol: str) -> bool:
    ports, peers = rule.get("ports"), rule.get("to" if way == "Egress" else "from")
    right_port = not ports or any(entry["port"] == port and entry.get("protocol", "TCP") == protocol for entry in ports)
    return right_port and (not peers or any(_is(entry, other, where) for entry in peers))


def _is(entry: Mapping[str, Any], other: Peer, where: str) -> bool:
    if block := entry.get("ipBlock"):
        if not other.address:
            return False
        address = ip_address(other.address)
        inside = _within(address, [block["cidr"]])
        return inside and not _within(address, block.get("except", ()))
    if other.address:
        return False
    by_namespace = entry.get("namespaceSelector")
    right_place = other.namespace == where if by_namespace is None else _selects(by_namespace, other.namespace_labels)
    return right_place and _selects(entry.get("podSelector", {}), other.labels)


def _within(address: Any, networks: Iterable[str]) -> bool:
    return any(address in network for network in map(ip_network, networks) if network.version == address.version)


def _selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """An empty selector selects all."""
    for entry in selector.get("matchExpressions", ()):
        assert entry["operator"] == "In", "the others are not used here"
        if labels.get(entry["key"]) not in entry["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
