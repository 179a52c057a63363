"""`python -m console.services`: reads the settings as each service does before it listens, and prints what came of it as JSON.

A process of its own, so that a setting that stops a service stops nothing here; nothing is opened and nobody is called.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from console.home import SHIPPED, VARIABLE

EXAMPLE, COMPOSE = SHIPPED / ".env.example", SHIPPED / "docker-compose.yml"
Problems = list[dict[str, str]]


def main() -> int:
    """Print the document; it is whole whatever is wrong with the settings."""
    problems: Problems = []
    found: dict[str, Any] = {"known": [], "key_variables": {}, "keys": None, "providers": None, "max_connections": 0}
    for service, look in (("launcher", _launcher), ("router", _router), ("edge", _edge), ("demo", _demo)):
        try:
            found |= look()
        except Exception as error:  # whatever a service would be stopped by
            problems.append({"service": service, "text": _sentence(error)})
    found["known"] = sorted(_known() | set(found["key_variables"]))
    sys.stdout.write(json.dumps({**found, "problems": problems}))
    return 0


def _launcher() -> dict[str, Any]:
    """The addresses and whose parts they are; what the services are started with is set on the way."""
    from launcher.settings import parse_settings  # noqa: PLC0415

    configured = parse_settings({name: value for name, value in os.environ.items() if value})
    os.environ["EDGE_ROUTER"] = configured.edge_router
    if not configured.hosted_portkey:
        os.environ["PORTKEY_BASE_URL"] = configured.portkey_base_url
    parts = (configured.router, configured.portkey, configured.demo, configured.edge)
    wanted = (
        not configured.own_router,
        not configured.own_gateway,
        configured.gateway_is_near and not configured.provider_keys,
        True,
    )
    # Those that nobody has asked for by name are given up where their port is taken.
    beside = [part for part in configured.beside if part.variable in os.environ]
    return {
        "addresses": [
            {
                "variable": part.variable,
                "used_by": part.used_by,
                "host": part.host,
                "port": part.port,
                "target": part.target,
            }
            for part in (*itertools.compress(parts, wanted), *beside)
        ],
        "router": configured.edge_router,
        "edge": f"http://{configured.edge.target}",
        "portkey": configured.portkey_base_url,
        "hosted": configured.hosted_portkey,
        "own_gateway": configured.own_gateway,
        "own_router": configured.own_router,
        "provider_keys": list(configured.provider_keys),
        **({} if configured.own_gateway else _node()),
    }


def _node() -> dict[str, Any]:
    from launcher.errors import LaunchError  # noqa: PLC0415
    from launcher.node import find_node  # noqa: PLC0415

    try:
        node = find_node().executable
    except LaunchError as error:
        return {"node": {"problem": str(error)}}
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    return {"node": {"executable": node, "version": answer.strip()}}


def _router() -> dict[str, Any]:
    """As router_service.wiring does, up to where it would open something."""
    from router_service import settings  # noqa: PLC0415
    from router_service.authentication import read_tokens  # noqa: PLC0415
    from router_service.credentials import (  # noqa: PLC0415
        check_exposure,
        check_metrics_exposure,
        configured_credentials,
    )
    from router_service.errors import InvalidConfiguration  # noqa: PLC0415
    from router_service.stores import REDIS_SCHEMES  # noqa: PLC0415

    configured = settings.load()
    catalog = settings.load_catalog(configured.config)
    check_exposure(configured.listen, bool(configured.tls_cert), configured.trusted_network)
    check_metrics_exposure(configured.metrics_listen, configured.trusted_network)
    configured_credentials(configured.tls_cert, configured.tls_key, configured.tls_client_ca, lambda *_: None)
    if configured.tokens_file:
        read_tokens(Path(configured.tokens_file))
    if configured.redis_url and not configured.redis_url.startswith(REDIS_SCHEMES):
        raise InvalidConfiguration("ROUTER_REDIS_URL: an address starts with redis://, rediss:// or unix://")
    return {"profiles": list(catalog.profiles), "ledger_url": configured.ledger_url}


def _edge() -> dict[str, Any]:
    """The edge's own making of its application, which opens its connections only when it is served."""
    from edge_gateway import app, settings  # noqa: PLC0415
    from edge_gateway.access.entries import parse  # noqa: PLC0415
    from edge_gateway.access.keys import read  # noqa: PLC0415

    configured = settings.load()
    config = settings.load_config(configured.config)
    settings.check_exposure(configured)
    # Metrics and the page are listened for at once, and a running edge has their ports.
    made = app.create(configured.model_copy(update={"metrics_listen": "", "page_listen": ""}), config)
    variables: dict[str, str] = {}
    for name, entry in config.providers.items():
        for key in (entry.key, *(each.key for each in entry.deployments)):
            variables |= {key: name} if key else {}
        variables |= {entry.url: ""} if entry.url else {}
    keys = None
    if configured.api_keys_file:
        entries = parse(read(Path(configured.api_keys_file)), configured.api_keys_file)
        revoked = sum(entry.revoked for entry in entries.values())
        keys = {"valid": len(entries) - revoked, "revoked": revoked}
    return {
        "key_variables": variables,
        "keys": keys,
        "providers": sorted(made.state.providers),
        "max_connections": configured.max_connections,
    }


def _demo() -> dict[str, Any]:
    from demo.settings import Settings  # noqa: PLC0415

    Settings()
    return {}


def _known() -> set[str]:
    """Every variable that anything here reads."""
    from edge_gateway.settings import Settings as Edge  # noqa: PLC0415
    from router_service.settings import Settings as Router  # noqa: PLC0415

    names = {name for settings in (Edge, Router) for name in _aliases(settings)}
    for path, pattern in ((EXAMPLE, r"^#?([A-Z][A-Z0-9_]*)="), (COMPOSE, r"\$\{([A-Z][A-Z0-9_]*)")):
        if path.is_file():
            names |= set(re.findall(pattern, path.read_text(encoding="utf-8"), re.M))
    return names | {"EDGE_DEMO_URL", "EDGE_OLLAMA_URL", "AIDER_MODEL_ROUTER_KEY", VARIABLE}


def _aliases(settings: type[BaseSettings]) -> Iterator[str]:
    for field in settings.model_fields.values():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            yield from (choice for choice in alias.choices if isinstance(choice, str))
        elif isinstance(alias, str):
            yield alias


def _sentence(error: Exception) -> str:
    """A service's own sentence; pydantic's is shortened to what is wrong, for the value may be a secret."""
    told: Callable[[], list[dict[str, Any]]] | None = getattr(error, "errors", None)
    if told is None:
        return str(error) or type(error).__name__
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in told())


if __name__ == "__main__":
    sys.exit(main())
