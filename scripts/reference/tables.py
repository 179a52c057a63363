"""All tables that pages may take, by the name they take them by: `<!-- made: NAME -->`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scripts.reference import client, contract, errors, figures, profile_fields, settings, small, words

TABLES: Mapping[str, Callable[[], str]] = {
    "settings": settings.tables,
    "headers": words.headers,
    "events": words.events,
    "calls": contract.calls,
    "purposes": contract.purposes,
    "outcomes": contract.outcomes,
    "sources": contract.sources,
    "client-calls": client.calls,
    "client-errors": client.errors,
    "client-values": client.values,
    "edge-errors": errors.edge,
    "router-errors": errors.router,
    "adaptations": small.adaptations,
    "providers": small.providers,
    "profiles": small.profiles,
    "profile-fields": profile_fields.tables,
    "targets": small.targets,
    "peers": figures.peers,
}
