"""Which models may answer at all: the profile's candidates, then the hard filters, each removal with its reason."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from router_service.catalog import Catalog, Model
from router_service.domain import Removed, Request, Requirements, Word

# Callers and profiles whose candidates are remembered.
MOST_SCREENED = 256


class Shortlist(Word, frozen=True):
    """The candidates that remain, in the profile's order, and those that a filter removed."""

    kept: tuple[Model, ...]
    removed: tuple[Removed, ...]

    def keeps(self, name: str) -> bool:
        """Whether the model of this name remains."""
        return any(model.id == name for model in self.kept)


class Caller(Word, frozen=True):
    """What the hard filters ask of a request's caller: the providers that it reaches (empty is all) and sees failing."""

    tenant: str
    reaches: frozenset[str]
    sees_failing: frozenset[str]


class Screened(Word, frozen=True):
    """A shortlist for requests that need nothing, and the most that a request may need for it to be theirs too."""

    shortlist: Shortlist
    input_tokens: int
    output_tokens: int
    vision: bool
    tools: bool
    json: bool

    def suits(self, needs: Requirements) -> bool:
        """Whether every model of the shortlist meets the requirements."""
        return (
            needs.input_tokens <= self.input_tokens
            and needs.output_tokens <= self.output_tokens
            and (self.vision or not needs.vision)
            and (self.tools or not needs.tools)
            and (self.json or not needs.json)
        )


class Candidates:
    """The hard filters over one catalogue's models."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        # Most requests differ in their requirements alone, and most models meet these.
        self._screened = lru_cache(MOST_SCREENED)(self._screen)

    def shortlist(
        self, names: tuple[str, ...], request: Request, today: date, unhealthy: frozenset[str] = frozenset()
    ) -> Shortlist:
        """Apply the hard filters to the named candidates; `unhealthy` providers are those that reports say are failing.

        A model that meets every requirement is never removed, and one that misses any never stays.
        """
        caller = Caller(request.tenant, request.available_providers, request.unhealthy_providers)
        screened = self._screened(names, caller, today, unhealthy)
        if screened.suits(request.requirements):
            return screened.shortlist
        return self._filter(names, caller, request.requirements, today, unhealthy)

    def _screen(self, names: tuple[str, ...], caller: Caller, today: date, unhealthy: frozenset[str]) -> Screened:
        found = self._filter(names, caller, Requirements(), today, unhealthy)
        return Screened(
            found,
            min((model.context_tokens for model in found.kept), default=0),
            min((model.max_output_tokens for model in found.kept), default=0),
            all(model.vision for model in found.kept),
            all(model.tools for model in found.kept),
            all(model.json_mode for model in found.kept),
        )

    def _filter(
        self, names: tuple[str, ...], caller: Caller, needs: Requirements, today: date, unhealthy: frozenset[str]
    ) -> Shortlist:
        kept: list[Model] = []
        removed: list[Removed] = []
        for name in dict.fromkeys(names):
            model = self._catalog.by_id.get(name)
            barred = _barred(name, caller, self._catalog, unhealthy)
            if barred is not None:
                removed.append(Removed(name, *barred))
            elif model is None:
                removed.append(Removed(name, "unknown_model", "it is not in the catalogue; add a [[models]] entry"))
            elif (objection := _objection(model, caller, needs, today)) is not None:
                removed.append(Removed(name, *objection))
            else:
                kept.append(model)
        return Shortlist(tuple(kept), tuple(removed))


def _barred(name: str, caller: Caller, catalog: Catalog, unhealthy: frozenset[str]) -> tuple[str, str] | None:
    """What bars a model by its name alone, known or not: who can reach it, who may use it, whether its provider fails."""
    provider = name.split("/", 1)[0]
    if caller.reaches and provider not in caller.reaches:
        return "provider", f"the caller cannot reach {provider}"
    tenant = catalog.tenants.get(caller.tenant)
    if tenant is not None and not tenant.permits(name):
        return "tenant", f"the lists of tenant {caller.tenant} bar it"
    if provider in caller.sees_failing:
        return "unhealthy", f"the caller sees {provider} failing"
    if provider in unhealthy:
        return "unhealthy", f"reports say that {provider} is failing"
    return None


def _objection(model: Model, caller: Caller, needs: Requirements, today: date) -> tuple[str, str] | None:
    """The first filter that the model fails, with what it lacks; None when it fits."""
    if model.prior_kind == "scripted" and model.provider not in caller.reaches:
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
