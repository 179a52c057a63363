"""Decides which processes run, with which command and environment: a key goes only where it is needed."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from launcher.ports import Address
from launcher.settings import NOT_DIAMOND_KEYS, Settings

# What any program may need on this machine: no key is among it.
ORDINARY = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "NO_PROXY", "no_proxy"})
TRUST = frozenset({"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"})
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"})
ADMITTED_BY = "PORTKEY_GATEWAY_TOKEN"
PREFIXES = {
    "router": ("ROUTER_", "NOT_DIAMOND_", "NOTDIAMOND_", "OTEL_", *PROXIES),
    "portkey": ("PORTKEY_UPSTREAM_", "PORTKEY_WORKERS", ADMITTED_BY),
    "demo": ("DEMO_",),
}
GATEWAY = Path("portkey", "node_modules", "@portkey-ai", "gateway", "build", "start-server.js")
GRPC_HEALTH = "grpc.health.v1"
NEAR_HOSTS = ("localhost", "127.0.0.1", "::1", "host.docker.internal")


@dataclass(frozen=True)
class Machine:
    """What was found here: the repository, Python, Node.js, Ollama's models and the file on them.

    `installed`: from a wheel; `root` is the user's folder then.
    `gateway_token`: made for this run, so that on this machine nobody but the edge can use the Portkey gateway.
    """

    root: Path
    python: str
    node: str = "node"
    ollama_models: Sequence[str] = ()
    ollama_catalog: Path | None = None
    gateway_token: str = ""
    installed: bool = False


@dataclass(frozen=True)
class Process:
    """A process to start and how its readiness is asked; `says`: what the answer holds once it has found the others."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    address: Address
    health: str
    says: bytes = b""


def runs_demo(settings: Settings, machine: Machine) -> bool:
    """The demo models stand in where no real model can be reached, if the gateway can reach them."""
    return settings.gateway_is_near and not settings.provider_keys and not machine.ollama_models


def addresses(settings: Settings, machine: Machine) -> list[Address]:
    """Where the processes of this run listen."""
    wanted = (
        (settings.router, not settings.own_router),
        (settings.portkey, not settings.own_gateway),
        (settings.demo, runs_demo(settings, machine)),
        (settings.edge, True),
    )
    return [address for address, needed in wanted if needed]


def give_up_taken(settings: Settings, machine: Machine, is_free: Callable[[Address], bool]) -> Settings:
    """The settings without the metrics and the page that nobody has asked for by name where their port is somebody else's."""
    ports = {address.port for address in (*addresses(settings, machine), *_wished(settings))}
    taken = [
        address
        for address in settings.beside
        if address not in _wished(settings) and (address.port in ports or not is_free(address))
    ]
    return replace(
        settings,
        edge_metrics=None if settings.edge_metrics in taken else settings.edge_metrics,
        router_metrics=None if settings.router_metrics in taken else settings.router_metrics,
        page=None if settings.page in taken else settings.page,
    )


def _wished(settings: Settings) -> list[Address]:
    return [address for address in settings.beside if address.variable in settings.environment]


def plan(settings: Settings, machine: Machine) -> list[Process]:
    """The processes of this run, in the order in which each finds what it needs."""
    builders = {
        settings.router: _router,
        settings.portkey: _portkey,
        settings.demo: _demo,
        settings.edge: _edge,
    }
    return [builders[address](settings, machine) for address in addresses(settings, machine)]


def _router(settings: Settings, machine: Machine) -> Process:
    configs = [settings.environment.get("ROUTER_CONFIG"), machine.ollama_catalog]
    joined = os.pathsep.join(str(config) for config in configs if config)
    environment = _environment(settings, "router") | {"ROUTER_LISTEN": _listen(settings.router)}
    environment |= _shown_at(settings.router_metrics)
    if joined:
        environment["ROUTER_CONFIG"] = joined
    command = (machine.python, "-m", "router_service")
    return Process("router", command, environment, settings.router, GRPC_HEALTH)


def _portkey(settings: Settings, machine: Machine) -> Process:
    preload = str(machine.root / "portkey" / "preload.mjs")
    server = str(machine.root / GATEWAY)
    command = (machine.node, "--import", preload, server, "--headless", f"--port={settings.portkey.port}")
    environment = _environment(settings, "portkey") | {
        "NODE_ENV": "production",
        "PORTKEY_HOST": settings.portkey.host,
        **_gateway_token(settings, machine),
        **_trusted_hosts(settings, machine),
    }
    return Process("portkey", command, environment, settings.portkey, "/")


def _demo(settings: Settings, machine: Machine) -> Process:
    environment = _environment(settings, "demo") | {"DEMO_LISTEN": _listen(settings.demo)}
    return Process("demo", (machine.python, "-m", "demo"), environment, settings.demo, "/healthz")


def _edge(settings: Settings, machine: Machine) -> Process:
    environment = _environment(settings, "edge")
    environment |= {"EDGE_LISTEN": _listen(settings.edge), "EDGE_ROUTER": settings.edge_router}
    environment |= _shown_at(settings.edge_metrics) | _shown_at(settings.page)
    if not settings.hosted_portkey:
        environment["PORTKEY_BASE_URL"] = settings.portkey_base_url
    if not settings.own_gateway:
        environment |= _gateway_token(settings, machine)
    if runs_demo(settings, machine):
        environment["EDGE_DEMO_URL"] = f"http://{settings.demo.target}/v1"
    if machine.ollama_models:
        environment["EDGE_OLLAMA_URL"] = f"{settings.ollama_url}/v1"
    says = b"" if settings.own_router else b'"decisions":"router"'
    return Process("edge", (machine.python, "-m", "edge_gateway"), environment, settings.edge, "/readyz", says)


def _environment(settings: Settings, name: str) -> dict[str, str]:
    """What of the user's environment the process gets, and what its output needs to arrive at once."""
    variables = settings.environment.items()
    if name == "edge":
        # EDGE_CONFIG may name any variable as a provider's key, so the edge gets all but the router's keys.
        allowed = {variable: value for variable, value in variables if variable not in NOT_DIAMOND_KEYS}
    else:
        allowed = {
            variable: value
            for variable, value in variables
            if variable in ORDINARY | TRUST or variable.startswith(("LC_", *PREFIXES[name]))
        }
    return _near_unproxied(allowed) | {"PYTHONUNBUFFERED": "1"}


def _near_unproxied(environment: dict[str, str]) -> dict[str, str]:
    """gRPC sends even loopback through a proxy unless it is told not to."""
    if not PROXIES & environment.keys():
        return environment
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    spared = ",".join(part for part in (named, "127.0.0.1,localhost,::1") if part)
    return {**environment, "no_proxy": spared, "NO_PROXY": spared}


def _gateway_token(settings: Settings, machine: Machine) -> dict[str, str]:
    """What the edge and the gateway started here know each other by."""
    token = settings.environment.get(ADMITTED_BY) or machine.gateway_token
    return {ADMITTED_BY: token} if token else {}


def _trusted_hosts(settings: Settings, machine: Machine) -> dict[str, str]:
    """The gateway refuses a private address as a model's host unless it is named here."""
    if named := settings.environment.get("TRUSTED_CUSTOM_HOSTS"):
        return {"TRUSTED_CUSTOM_HOSTS": named}
    ollama = urlsplit(settings.ollama_url).hostname
    if not machine.ollama_models or ollama is None or ollama in NEAR_HOSTS:
        return {}
    return {"TRUSTED_CUSTOM_HOSTS": ",".join((*NEAR_HOSTS, ollama))}


def _shown_at(address: Address | None) -> dict[str, str]:
    return {address.variable: _listen(address)} if address else {}


def _listen(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"
