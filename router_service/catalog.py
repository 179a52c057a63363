"""The catalogue: models, their priors and the routing profiles, as one checked and immutable value."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from router_service.domain import Purpose
from router_service.errors import InvalidConfiguration

Tradeoff = Annotated[int, Field(ge=0, le=10)]
# A year: no cache lives as long, and every store takes it.
Seconds = Annotated[float, Field(ge=0, le=31_536_000)]
# Lengths of memory that evidence is kept for at once.
MOST_MEMORIES = 8
# A provider that begins with @ is a slug: see `names_a_slug`.
MODEL_ID = r"^@?[a-z0-9][a-z0-9_.-]*/[^\s/][^\s]*$"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Prior(_Entry):
    """A benchmark's result, per cent; see router.toml for what each figure means."""

    name: str
    date: str
    edit_format: str
    pass_rate_1: float = Field(ge=0, le=100)
    pass_rate_2: float = Field(ge=0, le=100)
    well_formed: float = Field(ge=0, le=100)
    retry_success: float = Field(default=0, ge=0, le=100)
    output_tokens: int | None = None
    scripted: bool = False


class Model(_Entry):
    """A model that may be selected: limits in tokens, prices in US dollars per million tokens."""

    id: str = Field(pattern=MODEL_ID)
    context_tokens: int = Field(gt=0)
    max_output_tokens: int = Field(gt=0)
    input_usd_per_mtok: float = Field(ge=0)
    output_usd_per_mtok: float = Field(ge=0)
    cache_read_usd_per_mtok: float | None = Field(default=None, ge=0)
    vision: bool = False
    tools: bool = False
    json_mode: bool = Field(default=False, alias="json")
    deprecated_on: date | None = None
    prior: str = ""
    prior_kind: Literal["measured", "inherited", "scripted", "assumed"] = "assumed"
    source: str
    checked: date

    @property
    def provider(self) -> str:
        """The part before the first slash."""
        return self.id.split("/", 1)[0]


class Trial(_Entry):
    """A second policy that decides for a share of the conversations."""

    # The profile that decides for a share of the conversations.
    profile: str
    # That share.
    weight: float = Field(ge=0, le=1)


class Tenant(_Entry):
    """Which models a tenant's requests may use; globs over model ids."""

    # Models that its requests may use.
    allow: tuple[str, ...] = ("*",)
    # Models that they may not; this outweighs the other.
    deny: tuple[str, ...] = ()

    def permits(self, model: str) -> bool:
        """Whether the lists let a model pass; a deny outweighs an allow."""
        return any(fnmatchcase(model, glob) for glob in self.allow) and not any(
            fnmatchcase(model, glob) for glob in self.deny
        )


class Escalation(_Entry):
    """When a failed reply moves a conversation to another model; shares are 0 to 1."""

    # The least retry success, as a share, at which a model gets one more try after lint or test output; above 1 none does.
    second_try: float = Field(default=0.45, ge=0, le=2)
    # Failures in a row after which the strongest candidate takes over.
    strongest_after: int = Field(default=3, ge=1)
    # How much weaker a model may be that takes over: its edits are better formed, or nobody is stronger.
    slack: float = Field(default=0.05, ge=0, le=1)


class Learning(_Entry):
    """What the outcomes of replies do to the estimates of quality."""

    mode: Literal["off", "shadow", "on"] = "shadow"
    # How many outcomes weigh as much as the prior.
    prior_weight: float = Field(default=30, ge=1, le=10_000)
    # How many of a model's latest outcomes count; older ones fade.
    memory: float = Field(default=200, ge=10, le=100_000)
    # How far a conversation's estimates are drawn away from their mean, so that all candidates get their trial.
    exploration: float = Field(default=0.2, ge=0, le=1)
    # How much surer a failure signal must make that a reply is wrong, as a share of the most it could, to be acted on.
    least_lift: float = Field(default=0.2, ge=0, le=1)


class Profile(_Entry):
    """A named routing policy."""

    name: str
    # What it is for; clients see it in the list of models.
    description: str = ""
    # Model ids or globs, in the order that serves when nobody can be asked.
    candidates: tuple[str, ...] = Field(min_length=1)
    # 0 = quality alone, 10 = cost alone.
    cost_quality_tradeoff: Tradeoff
    # Whether Not Diamond may be asked.
    not_diamond: bool = True
    # A custom Not Diamond router.
    preference_id: str = ""
    # What of a prompt leaves for Not Diamond: its last turns without files and repo map, all, or nothing and no question.
    privacy: Literal["full", "clipped", "features_only"] = "clipped"
    # Idle seconds after which a conversation's prompt cache counts as cold.
    pin_idle_seconds: Seconds = 300
    # Seconds for which a caller may keep a conversation on its model by itself, while its prompt cache is warm; 0: never.
    lease_seconds: Seconds = 30
    # A model to compare with.
    baseline: str = ""
    # Another profile that decides beside it, recorded and not applied.
    shadow: str = ""
    # Another profile that decides for a share of the conversations.
    trial: Trial | None = None
    # The cost_quality_tradeoff of single purposes.
    purposes: Mapping[Purpose, Tradeoff] = Field(default_factory=dict)
    # The least quality a purpose's model may have, as a share of the best candidate's.
    floors: Mapping[Purpose, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    # Seconds for which it is remembered what a conversation's replies came to, long after its prompt cache is cold.
    memory_seconds: Seconds = 86_400
    # What a failed reply leads to.
    escalation: Escalation = Escalation()
    # What outcomes do to the estimates of quality.
    learning: Learning = Learning()
    # Whether the user is to be told of each choice where the reply begins.
    note: bool = False

    def tradeoff_for(self, purpose: Purpose) -> int:
        """The cost_quality_tradeoff that applies to a purpose, 0 (quality) to 10 (cost)."""
        return self.purposes.get(purpose, self.cost_quality_tradeoff)


class Catalog(_Entry):
    """All that the decisions rest on; a new configuration is a new Catalog."""

    schema_version: Literal[1] = Field(alias="schema")
    models: tuple[Model, ...]
    priors: tuple[Prior, ...] = ()
    profiles: Mapping[str, Profile]
    expected_output_tokens: Mapping[Purpose, int]
    tenants: Mapping[str, Tenant] = Field(default_factory=dict)

    @cached_property
    def by_id(self) -> Mapping[str, Model]:
        """The models by id."""
        return {model.id: model for model in self.models}

    @cached_property
    def prior_by_name(self) -> Mapping[str, Prior]:
        """The priors by name."""
        return {prior.name: prior for prior in self.priors}

    @cached_property
    def assumed_prior(self) -> Prior:
        """What a model without a measured relative is taken for: the lower quartile of the benchmark, said as such."""
        measured = [prior for prior in self.priors if not prior.scripted]
        if len(measured) < 2:  # noqa: PLR2004 - a quartile needs two values
            return Prior(name="none", date="", edit_format="", pass_rate_1=0, pass_rate_2=0, well_formed=0)

        def quartile(values: Sequence[float]) -> float:
            return statistics.quantiles(values, n=4)[0]

        return Prior(
            name="the benchmark's lower quartile",
            date="",
            edit_format="",
            pass_rate_1=quartile([prior.pass_rate_1 for prior in measured]),
            pass_rate_2=quartile([prior.pass_rate_2 for prior in measured]),
            well_formed=quartile([prior.well_formed for prior in measured]),
            retry_success=quartile([prior.retry_success for prior in measured]),
        )

    @cached_property
    def median_output_tokens(self) -> float:
        """The median of what models wrote per benchmark task, the unit of their verbosity."""
        written = [prior.output_tokens for prior in self.priors if prior.output_tokens]
        return statistics.median(written) if written else 1.0

    def prior_of(self, model: Model) -> Prior:
        """The prior a model is judged by."""
        return self.prior_by_name.get(model.prior) or self.assumed_prior

    @cached_property
    def expansions(self) -> Mapping[str, tuple[str, ...]]:
        """The candidates of each profile by name; matching globs for each request would take a third of its time."""
        return {name: self._expand(profile) for name, profile in self.profiles.items()}

    def expand(self, profile: Profile) -> tuple[str, ...]:
        """The candidates of a profile of this catalogue, in its own order, globs resolved, each model once."""
        return self.expansions[profile.name]

    def _expand(self, profile: Profile) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for pattern in profile.candidates:
            found.update(dict.fromkeys(m.id for m in self.models if fnmatchcase(m.id, pattern)))
        return tuple(found)


def names_a_slug(model: str) -> bool:
    """Whether a model's provider is a name that its operator gave it, such as `@openai-prod`, and that nobody else knows."""
    return model.startswith("@")


def merge(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Lay documents over each other: a later model, prior or profile replaces the earlier one of its name."""
    merged: dict[str, Any] = {}
    for document in documents:
        for key, value in document.items():
            if key in ("models", "priors"):
                name = "id" if key == "models" else "name"
                if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
                    raise InvalidConfiguration(f"{key} must be a list of tables, written as [[{key}]]")
                entries = {entry.get(name): entry for entry in [*merged.get(key, []), *value]}
                merged[key] = list(entries.values())
            elif isinstance(value, Mapping) and isinstance(merged.get(key, {}), Mapping):
                merged[key] = {**merged.get(key, {}), **value}
            else:
                merged[key] = value
    return merged


def parse(document: Mapping[str, Any]) -> Catalog:
    """Check a configuration document and make the catalogue of it; InvalidConfiguration names the field."""
    profiles = document.get("profiles", {})
    if isinstance(profiles, Mapping):
        named = {name: {**entry, "name": name} for name, entry in profiles.items() if isinstance(entry, Mapping)}
        document = {**document, "profiles": {**profiles, **named}}
    try:
        catalog = Catalog.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(_problem(document, dict(item)) for item in error.errors()[:5])
        raise InvalidConfiguration(problems) from None
    unknown = [f"models.{m.id}.prior: no prior is named {m.prior!r}" for m in catalog.models
               if m.prior and m.prior not in catalog.prior_by_name]  # fmt: skip
    unknown += [problem for profile in catalog.profiles.values() for problem in _dangling(profile, catalog)]
    lengths = {profile.learning.memory for profile in catalog.profiles.values() if profile.learning.mode != "off"}
    if len(lengths) > MOST_MEMORIES:
        unknown.append(f"profiles.*.learning.memory: {len(lengths)} different lengths; use at most {MOST_MEMORIES}")
    if unknown:
        raise InvalidConfiguration("; ".join(unknown[:5]))
    return catalog


def _dangling(profile: Profile, catalog: Catalog) -> list[str]:
    """What a profile names and the catalogue does not have."""
    named = {"shadow": profile.shadow, "trial.profile": profile.trial.profile if profile.trial else ""}
    found = [
        f"profiles.{profile.name}.{field}: no profile is named {name!r}"
        for field, name in named.items()
        if name and name not in catalog.profiles
    ]
    if profile.baseline and profile.baseline not in catalog.by_id:
        found.append(f"profiles.{profile.name}.baseline: no model is named {profile.baseline!r}")
    return found


def _problem(document: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    path = list(item["loc"])
    if len(path) > 1 and path[0] in ("models", "priors") and isinstance(path[1], int):
        entry = document[path[0]][path[1]]
        name = (entry.get("id") or entry.get("name")) if isinstance(entry, Mapping) else None
        path[1] = name or path[1]
    return f"{'.'.join(str(step) for step in path)}: {item['msg']}"
