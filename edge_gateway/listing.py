"""What a client may ask for, as GET /v1/models tells it: the profiles, and the models that can be asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edge_gateway.decisions import ModelFacts, Offer, ProfileFacts
from edge_gateway.providers import Providers, provider_of


def listing(
    offer: Offer, fallback: Sequence[str], providers: Providers, permits: Callable[[str], bool], created: int
) -> list[dict[str, Any]]:
    """The entries of the list.

    `fallback`: the profiles' names while the router has told none. `permits`: whether the client may ask for a name.
    `created`: seconds since the epoch.
    """
    reachable = {name: model for name, model in offer.models.items() if providers.of(name) is not None}
    known = list(offer.profiles.values()) or [
        ProfileFacts(name, "Served by the default order until the router answers.", ()) for name in fallback
    ]
    profiles = [_profile(profile, reachable, created) for profile in known if permits(profile.name)]
    return profiles + [_model(model, created) for name, model in reachable.items() if permits(name)]


def _profile(profile: ProfileFacts, reachable: dict[str, ModelFacts], created: int) -> dict[str, Any]:
    """A profile: what it is for, and what holds whichever of its models answers."""
    models = [reachable[name] for name in profile.candidates if name in reachable]
    entry = _entry(profile.name, "router", created) | {"description": profile.description}
    if not models:
        return entry
    inputs = [model.input_usd_per_mtok for model in models]
    outputs = [model.output_usd_per_mtok for model in models]
    return entry | {
        "context_length": min(model.context_tokens for model in models),
        "max_output_tokens": min(model.max_output_tokens for model in models),
        "pricing": {
            "input_usd_per_mtok": {"least": min(inputs), "most": max(inputs)},
            "output_usd_per_mtok": {"least": min(outputs), "most": max(outputs)},
        },
        "candidates": [model.id for model in models],
    }


def _model(model: ModelFacts, created: int) -> dict[str, Any]:
    return _entry(model.id, provider_of(model.id), created) | {
        "context_length": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "pricing": {
            "input_usd_per_mtok": model.input_usd_per_mtok,
            "output_usd_per_mtok": model.output_usd_per_mtok,
        },
    }


def _entry(name: str, owner: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": owner}
