"""Asks the router what may be asked for: its profiles, and the models behind them."""

from __future__ import annotations

from dataclasses import dataclass

from router_client import Model, Router


@dataclass(frozen=True, slots=True)
class Offer:
    """A profile's name, what it is for, and its candidates."""

    name: str
    description: str
    candidates: tuple[Model, ...]


def offers(router: Router) -> tuple[Offer, ...]:
    """The profiles in the configuration's order, with their candidates' limits."""
    models = {model.id: model for model in router.models()}
    return tuple(
        Offer(profile.name, profile.description, tuple(models[name] for name in profile.candidates if name in models))
        for profile in router.profiles()
    )
