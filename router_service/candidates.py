"""Which models may answer at all: the profile's candidates, then the hard filters, each removal with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from router_service.catalog import Catalog, Model
from router_service.domain import Removed, Request


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The candidates that remain, in the profile's order, and those that a filter removed."""

    kept: tuple[Model, ...]
    removed: tuple[Removed, ...]


def shortlist(
    names: tuple[str, ...], request: Request, catalog: Catalog, today: date, unhealthy: frozenset[str] = frozenset()
) -> Shortlist:
    """Apply the hard filters to the named candidates; `unhealthy` providers are those that reports say are failing.

    A model that meets every requirement is never removed, and one that misses any never stays.
    """
    kept: list[Model] = []
    removed: list[Removed] = []
    for name in dict.fromkeys(names):
        model = catalog.by_id.get(name)
        barred = _barred(name, request, catalog, unhealthy)
        if barred is not None:
            removed.append(Removed(name, *barred))
        elif model is None:
            removed.append(Removed(name, "unknown_model", "it is not in the catalogue; add a [[models]] entry"))
        elif (objection := _objection(model, request, today)) is not None:
            removed.append(Removed(name, *objection))
        else:
            kept.append(model)
    return Shortlist(tuple(kept), tuple(removed))


def _barred(name: str, request: Request, catalog: Catalog, unhealthy: frozenset[str]) -> tuple[str, str] | None:
    """What bars a model by its name alone, known or not: who can reach it, who may use it, whether its provider fails."""
    provider = name.split("/", 1)[0]
    if request.available_providers and provider not in request.available_providers:
        return "provider", f"the caller cannot reach {provider}"
    tenant = catalog.tenants.get(request.tenant)
    if tenant is not None and not tenant.permits(name):
        return "tenant", f"the lists of tenant {request.tenant} bar it"
    if provider in request.unhealthy_providers:
        return "unhealthy", f"the caller sees {provider} failing"
    if provider in unhealthy:
        return "unhealthy", f"reports say that {provider} is failing"
    return None


def _objection(model: Model, request: Request, today: date) -> tuple[str, str] | None:
    """The first filter that the model fails, with what it lacks; None when it fits."""
    needs = request.requirements
    if model.prior_kind == "scripted" and model.provider not in request.available_providers:
        return "provider", "scripted models serve only a caller that names their provider"
    if model.deprecated_on is not None and model.deprecated_on <= today:
        return "deprecated", f"it was retired on {model.deprecated_on.isoformat()}"
    if needs.input_tokens > model.context_tokens:
        return "context", f"{needs.input_tokens} input tokens do not fit its {model.context_tokens}"
    if needs.output_tokens > model.max_output_tokens:
        return "output", f"{needs.output_tokens} output tokens are more than its {model.max_output_tokens}"
    if needs.vision and not model.vision:
        return "vision", "it takes no images"
    if needs.tools and not model.tools:
        return "tools", "it takes no tools"
    if needs.json and not model.json_mode:
        return "json", "it cannot be held to JSON"
    return None
