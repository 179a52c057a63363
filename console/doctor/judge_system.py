"""Judges the running system: ports, the router, the edge, the gateway, the stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from console.doctor.facts import Edge, Gateway, Port, Store
from console.doctor.findings import Finding, ok, problem, warning
from console.router.probe import Probed
from router_client import CONTRACT_REVISION, __version__

OK, UNAUTHORIZED, SERVER_ERRORS = 200, 401, 500
START = "`amr up` or `make run` starts the system."


@dataclass(frozen=True, slots=True)
class System:
    """All that was seen of it; `own_router` tells whether the router runs elsewhere, `has_key` whether we show the edge one."""

    ports: Sequence[Port]
    router: Probed
    own_router: bool
    has_ca: bool
    edge: Edge
    has_key: bool
    gateway: Gateway
    own_gateway: bool
    stores: Sequence[Store]

    @property
    def is_up(self) -> bool:
        """Whether anything of it runs here; before the first start nothing does, which is no fault."""
        return any(port.held == "ours" for port in self.ports)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the edge is no process that is seen here, as in containers, where the gateway's port is published nowhere."""
        edges = [port for port in self.ports if port.variable == "EDGE_LISTEN" and port.held == "ours"]
        return any(not port.detail or "docker" in port.detail for port in edges)


def judge_system(system: System) -> Iterator[Finding]:
    """One finding or more for each part."""
    yield from _ports(system.ports)
    yield from _router(system)
    yield from _edge(system)
    yield _gateway(system)
    yield from map(_store, system.stores)


def _ports(ports: Sequence[Port]) -> Iterator[Finding]:
    for port in ports:
        by = f" ({port.detail})" if port.detail else ""
        if port.held == "stranger":
            text = f"{port.place} ({port.used_by}) is held by something that is not of this system{by}."
            yield problem("ports", text, f"End it, or set {port.variable} to another address.")
        elif port.held == "no address":
            yield problem(
                "ports",
                f"{port.place} ({port.used_by}): {port.detail}.",
                f"Set {port.variable} to an address of this machine.",
            )
    good = [
        f"{port.place} {'free' if port.held == 'free' else f'our {port.used_by}'}"
        for port in ports
        if port.held in ("free", "ours")
    ]
    if good:
        yield ok("ports", f"{', '.join(good)}.")


def _router(system: System) -> Iterator[Finding]:
    seen = system.router
    if not seen.connects:
        text = f"No router answers at {seen.address}."
        if system.is_up or system.own_router:
            yield problem("router", text, "Without it the edge serves in a profile's default order. " + START)
        else:
            yield warning("router", f"{text} Nothing of the system runs here.", START)
    elif not seen.healthy:
        yield problem("router", *_unhealthy(system))
    elif seen.admission == "refused":
        yield problem(
            "router",
            f"The router at {seen.address} does not know the token, or wants one and gets none.",
            "Set EDGE_ROUTER_TOKEN to a token of its ROUTER_TOKENS_FILE (python -m router_service.authentication NAME).",
        )
    else:
        yield _release(seen)


def _release(seen: Probed) -> Finding:
    """Whether it knows as much of the contract as this release; one that knows more serves this one as well."""
    advice = "Run the router and the edge of one release; upgrade the router first."
    other = f"The router at {seen.address} is of another release"
    if seen.problem:
        return problem("router", f"{other}: {seen.problem.rstrip('.')}.", advice)
    if seen.unknown_calls:
        return problem("router", f"{other}: it does not know {', '.join(seen.unknown_calls)}.", advice)
    if seen.info is None:
        return warning("router", f"{other}, older than {__version__}: it does not say which.", advice)
    told = f"release {seen.info.release}, revision {seen.info.contract_revision} of the contract"
    if seen.info.contract_revision < CONTRACT_REVISION:
        return problem("router", f"{other}: {told}, of which this release has {CONTRACT_REVISION}.", advice)
    how = "over TLS" if seen.speaks_tls else "in plaintext"
    token = ", takes our token" if seen.admission == "taken" else ""
    return ok("router", f"{seen.address} answers {how}{token}: {told}.")


def _unhealthy(system: System) -> tuple[str, str]:
    """What speaks against a router that is there and says nothing good: most often TLS, on one side alone."""
    seen = system.router
    if seen.problem:
        return seen.problem, "Name files that can be read."
    if seen.speaks_tls and not system.has_ca:
        return (
            f"The router at {seen.address} speaks TLS, and EDGE_ROUTER_CA is not set.",
            "Set EDGE_ROUTER_CA to its authority.",
        )
    if seen.speaks_tls:
        text = f"The router at {seen.address} speaks TLS, but does not come to terms with us."
        return (
            text,
            "EDGE_ROUTER_CA must be its authority's; where it asks for certificates, set EDGE_ROUTER_CERT and EDGE_ROUTER_KEY.",
        )
    if system.has_ca:
        text = f"EDGE_ROUTER_CA is set, but what answers at {seen.address} does not speak TLS."
        return text, "Give the router ROUTER_TLS_CERT and ROUTER_TLS_KEY, or leave EDGE_ROUTER_CA out."
    return (
        f"What answers at {seen.address} is no router that serves.",
        "See who holds that port (ports, above), and the router's log.",
    )


def _edge(system: System) -> Iterator[Finding]:
    edge = system.edge
    if edge.ready is None:
        text = f"What answers at {edge.address} is no edge." if edge.answers else f"No edge answers at {edge.address}."
        if system.is_up or edge.answers:
            yield problem("edge", text, START)
        else:
            yield warning("edge", text, START)
        return
    providers = edge.ready.get("providers") or []
    if not providers:
        yield problem(
            "edge",
            f"{edge.address} reaches no provider.",
            "Set a provider's key, such as OPENAI_API_KEY, and start it anew.",
        )
    elif edge.ready.get("decisions") != "router" and system.router.healthy:
        text = f"{edge.address} serves without the router's decisions, though a router answers."
        yield problem("edge", text, "Look at its EDGE_ROUTER, EDGE_ROUTER_CA and EDGE_ROUTER_TOKEN, and at its log.")
    else:
        yield ok("edge", f"{edge.address} serves {', '.join(map(str, providers))}.")
    yield _models(system)


def _models(system: System) -> Finding:
    edge = system.edge
    if edge.models_status == OK and edge.models:
        return ok("models", f"{edge.address}/v1/models lists {len(edge.models)}, {edge.models[0]} first.")
    if edge.models_status == UNAUTHORIZED:
        if system.has_key:
            return problem(
                "models",
                "The edge does not know the key of AIDER_MODEL_ROUTER_KEY.",
                "amr keys list; amr keys make NAME",
            )
        return ok("models", "The edge asks for keys (AIDER_MODEL_ROUTER_KEY would be tried).")
    text = f"{edge.address}/v1/models answers {edge.models_status or 'nothing'}"
    return problem("models", f"{text}, and lists {len(edge.models)}.", "Look at the edge's log.")


def _gateway(system: System) -> Finding:
    gateway = system.gateway
    if not gateway.asked:
        return ok("portkey", f"{gateway.address} is Portkey's own service; --online asks whether it answers.")
    if not gateway.status:
        text = f"No Portkey gateway answers at {gateway.address}."
        if system.is_elsewhere and not system.own_gateway:
            return warning("portkey", text, "In containers nothing else is to be expected: only the edge can reach it.")
        if system.is_up or system.own_gateway:
            return problem("portkey", text, "Look at PORTKEY_BASE_URL. " + START)
        return warning("portkey", text, START)
    if gateway.status >= SERVER_ERRORS:
        return problem(
            "portkey", f"The Portkey gateway at {gateway.address} answers {gateway.status}.", "Look at its log."
        )
    return ok("portkey", f"The Portkey gateway at {gateway.address} answers.")


def _store(store: Store) -> Finding:
    if store.problem:
        text = f"{store.kind} at {store.place} ({store.variable}): {store.problem}."
        return problem("stores", text, f"Start it, or correct {store.variable}.")
    return ok("stores", f"{store.kind} at {store.place} ({store.variable}) answers.")
