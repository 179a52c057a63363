"""Who may connect to whom by the network policies of each overlay, computed from them."""

import pytest

from tests.deploy.manifests import FOLDER, OVERLAYS, PRODUCTION, build, built
from tests.deploy.network import Peer, admits, connects

overlays = pytest.mark.parametrize("overlay", OVERLAYS)
productions = pytest.mark.parametrize("overlay", PRODUCTION)

ELSEWHERE = "elsewhere"
PORTS = {"edge": 8080, "router": 50051, "portkey": 8787, "demo": 8090}
CALLS_EDGE, CALLS_ROUTER = {"aider-model-router/calls-edge": "true"}, {"aider-model-router/calls-router": "true"}
STORES = {"redis": 6379, "postgresql": 5432}
PUBLIC, PRIVATE, METADATA = Peer(address="93.184.215.14"), Peer(address="10.1.2.3"), Peer(address="169.254.169.254")
PUBLIC_SIX, PRIVATE_SIX = Peer(address="2606:2800:21f:cb07::1"), Peer(address="fd00::1")


class Place:
    """An overlay's policies, and the pods that they are about."""

    def __init__(self, overlay: str) -> None:
        manifests = built(overlay)
        self.policies = list(manifests.of("NetworkPolicy").values())
        ((self.namespace, _),) = manifests.of("Namespace").items()
        self.pods = {name: Peer(pod["metadata"]["labels"], self.namespace) for name, pod in manifests.pods().items()}
        self.stranger = Peer({"app.kubernetes.io/name": "stranger"}, self.namespace)
        self.far = Peer({"app.kubernetes.io/name": "edge"}, ELSEWHERE, {"kubernetes.io/metadata.name": ELSEWHERE})

    def reach(self, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
        return connects(self.policies, source, target, port, protocol)

    def callers_of(self, target: str) -> set[str]:
        """Of the pods here, of a stranger here and of one elsewhere that calls itself an edge, who is let in."""
        sources = {**self.pods, "stranger": self.stranger, "far": self.far}
        admitted = {
            name for name, one in sources.items() if admits(self.policies, one, self.pods[target], PORTS[target])
        }
        # Whoever is let in may also go there.
        assert all(self.reach(sources[name], self.pods[target], PORTS[target]) for name in admitted)
        return admitted - {target}


@overlays
def test_portkey_is_reached_by_the_edge_alone(overlay):
    assert Place(overlay).callers_of("portkey") == {"edge"}


@overlays
def test_the_router_is_reached_by_the_edge_and_by_those_who_say_so(overlay):
    place = Place(overlay)
    router = place.pods["router"]
    assert place.callers_of("router") == {"edge"}
    # One that leaves as it likes: in a namespace of its own.
    assert place.reach(Peer(CALLS_ROUTER, ELSEWHERE, CALLS_ROUTER), router, 50051)
    assert not place.reach(Peer(CALLS_ROUTER, ELSEWHERE), router, 50051)
    assert not place.reach(Peer({}, ELSEWHERE, CALLS_ROUTER), router, 50051)
    assert not place.reach(PUBLIC, router, 50051)


@overlays
def test_the_edge_is_reached_by_all_only_where_it_asks_for_keys(overlay):
    place = Place(overlay)
    edge = place.pods["edge"]
    assert place.reach(Peer({}, ELSEWHERE, CALLS_EDGE), edge, 8080)
    open_to_all = bool(built(overlay).environment("edge").get("EDGE_API_KEYS_FILE"))
    assert place.reach(place.far, edge, 8080) is open_to_all
    assert place.reach(PUBLIC, edge, 8080) is open_to_all
    assert not place.reach(PUBLIC, edge, 22)


@overlays
def test_a_stranger_here_reaches_nothing_and_nobody_reaches_it(overlay):
    place = Place(overlay)
    for name, pod in place.pods.items():
        assert not place.reach(place.stranger, pod, PORTS[name])
        assert not place.reach(pod, place.stranger, PORTS[name])
    assert not place.reach(place.stranger, PUBLIC, 443)


@overlays
def test_all_may_look_up_names(overlay):
    place = Place(overlay)
    names = Peer({"k8s-app": "kube-dns"}, "kube-system", {"kubernetes.io/metadata.name": "kube-system"})
    for pod in place.pods.values():
        assert place.reach(pod, names, 53, "UDP")
        assert place.reach(pod, names, 53)
        assert not place.reach(pod, METADATA, 80)
        assert not place.reach(pod, METADATA, 53)


def test_the_demo_models_are_reached_by_portkey_alone_and_the_internet_by_nobody():
    place = Place("development")
    assert place.callers_of("demo") == {"portkey"}
    assert [name for name, pod in place.pods.items() if place.reach(pod, PUBLIC, 443)] == []


@productions
def test_public_addresses_are_called_over_tls_alone_and_private_ones_not_at_all(overlay):
    place = Place(overlay)
    for name, pod in place.pods.items():
        assert place.reach(pod, PUBLIC, 443), name
        assert place.reach(pod, PUBLIC_SIX, 443), name
        assert not place.reach(pod, PUBLIC, 80), name
        for other in (PRIVATE, PRIVATE_SIX, METADATA):
            assert not place.reach(pod, other, 443), name


@productions
def test_stores_are_reached_by_those_who_use_them(overlay):
    place = Place(overlay)
    for store, port in STORES.items():
        peer = Peer({"app.kubernetes.io/name": store}, "stores", {"kubernetes.io/metadata.name": "stores"})
        users = {name for name, pod in place.pods.items() if place.reach(pod, peer, port)}
        assert users == ({"edge", "router"} if store == "redis" else {"router"})
        assert not place.reach(place.pods["router"], peer, 22)


@overlays
def test_figures_are_fetched_from_the_monitoring_namespace_alone(overlay):
    place = Place(overlay)
    # As `kubectl apply --namespace` puts it there.
    place.policies += [
        {**made, "metadata": {**made["metadata"], "namespace": place.namespace}}
        for made in build(FOLDER / "monitoring")
        if made["kind"] == "NetworkPolicy"
    ]
    prometheus = Peer({}, "monitoring", {"kubernetes.io/metadata.name": "monitoring"})
    for name, port in (("edge", 9464), ("router", 9465)):
        assert place.reach(prometheus, place.pods[name], port), name
        assert not place.reach(place.far, place.pods[name], port), name
        assert not place.reach(place.stranger, place.pods[name], port), name
    assert not place.reach(prometheus, place.pods["portkey"], 8787)
