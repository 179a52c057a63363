"""Which providers can be reached, in which forms of API, and how Portkey reaches them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# Marks a provider of hosted Portkey's own model catalogue.
CATALOGUE = "@"
# What a variable's name looks like, and no provider's key does.
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def _variable(value: str) -> str:
    """A key stands in the environment; what stands here is shown to whoever reads the file, and is not repeated."""
    if value and not _VARIABLE.fullmatch(value):
        raise ValueError("name the environment variable that holds it, such as OPENAI_API_KEY")
    return value


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = not value or (parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0)
    except ValueError:
        good = False
    if not good:
        raise ValueError("give an http or https address, such as https://api.openai.com/v1")
    return value


Variable = Annotated[str, AfterValidator(_variable)]
Address = Annotated[str, AfterValidator(_address)]
FormName = Literal["chat", "responses", "completions", "embeddings", "messages"]


class DeploymentEntry(BaseModel):
    """One of several accounts or addresses of a provider; what it leaves out is the provider's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Variable = ""
    base_url: Address = ""
    virtual_key: str = ""
    weight: float = Field(default=1.0, gt=0, le=1_000_000, allow_inf_nan=False)


class ProviderEntry(BaseModel):
    """One [providers.NAME] table of the configuration; edge.toml says what each value means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: str
    key: Variable = ""
    url: Variable = ""
    base_url: Address = ""
    virtual_key: str = ""
    config: str = ""
    verbatim: bool = False
    forms: tuple[FormName, ...] = ("chat",)
    messages_url: Address = ""
    appends_version: bool = False
    stand_in: bool = False
    default_max_tokens: int | None = Field(default=None, gt=0)
    loses: tuple[str, ...] = ()
    deployments: tuple[DeploymentEntry, ...] = Field(default=(), max_length=16)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One account at one address; empty is what Portkey knows by itself."""

    api_key: str
    base_url: str
    virtual_key: str
    weight: float

    def __repr__(self) -> str:
        return f"Deployment({self.base_url!r})"


# Its key is kept there.
_AT_PORTKEY = Deployment("", "", "", 1.0)


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that can be reached.

    `own_host`: its address is not the one Portkey knows by itself. `config`: a configuration saved at hosted Portkey that
    stands for it. `forms`: the forms of API that it speaks itself. `messages_url`: where it speaks Anthropic's. `loses`: the
    fields of a chat completion that Portkey drops on the way to it.
    """

    name: str
    slug: str
    deployments: tuple[Deployment, ...]
    verbatim: bool
    own_host: bool
    appends_version: bool
    default_max_tokens: int | None
    forms: tuple[str, ...] = ("chat",)
    messages_url: str = ""
    config: str = ""
    loses: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Provider({self.name!r})"

    def speaks(self, form: str) -> bool:
        """Whether it takes requests of that form itself, or in a form that Portkey makes of it."""
        return form in self.forms or (form == "messages" and bool(self.messages_url)) or bool(self.config)


class Providers(Mapping[str, Provider]):
    """The providers that can be reached; with hosted Portkey also those of its model catalogue, by `@slug`."""

    def __init__(self, named: Mapping[str, Provider], *, hosted: bool = False) -> None:
        self._named = dict(named)
        self._hosted = hosted

    def __getitem__(self, name: str) -> Provider:
        found = self._named.get(name)
        if found is not None:
            return found
        if self._hosted and name.startswith(CATALOGUE) and len(name) > 1:
            # Its key and address are kept at Portkey, which also translates for it.
            return Provider(name, name, (_AT_PORTKEY,), False, False, False, None)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def of(self, model: str) -> Provider | None:
        """The provider of `provider/model`, None when it cannot be reached."""
        name = provider_of(model)
        return self._named.get(name) or self.get(name)


def provider_of(model: str) -> str:
    """The provider's part of `provider/model`."""
    return model.split("/", 1)[0]


def reachable(
    entries: Mapping[str, ProviderEntry],
    shipped: Mapping[str, ProviderEntry],
    environment: Mapping[str, str],
    *,
    hosted: bool = False,
) -> Providers:
    """The providers whose key, or address where no key is needed, is at hand; a stand-in only where no other is.

    `hosted`: the gateway is hosted Portkey, which may hold keys itself: virtual keys, saved configurations, `@slug`.
    """
    found = {}
    for name, entry in entries.items():
        kept_there = hosted and (entry.config or entry.slug.startswith(CATALOGUE))
        deployments = tuple(_deployments(entry, environment, hosted=hosted))
        if not deployments and not kept_there:
            continue
        known = shipped.get(name)
        first = deployments[0].base_url if deployments else ""
        found[name] = Provider(
            name=name,
            slug=entry.slug,
            deployments=deployments or (_AT_PORTKEY,),
            verbatim=entry.verbatim,
            own_host=known is None or known.slug == "openai" != name or first != known.base_url,
            appends_version=entry.appends_version,
            default_max_tokens=entry.default_max_tokens,
            forms=entry.forms,
            # Nobody but Portkey has the key that would be needed there.
            messages_url=""
            if kept_there or any(one.virtual_key for one in deployments)
            else entry.messages_url.rstrip("/"),
            config=entry.config if hosted else "",
            loses=entry.loses,
        )
    real = {name: provider for name, provider in found.items() if not entries[name].stand_in}
    return Providers(real or found, hosted=hosted)


def missing_key_hint(name: str, entries: Mapping[str, ProviderEntry]) -> str:
    """What to set so that a provider becomes reachable; empty when it is not one of the configured."""
    if name.startswith(CATALOGUE):
        return f"{name} is of hosted Portkey's model catalogue: set PORTKEY_API_KEY."
    entry = entries.get(name)
    if entry is None:
        return ""
    deployments = entry.deployments or (DeploymentEntry(),)
    variables = [key for key in (each.key or entry.key for each in deployments) if key] or [entry.url]
    if entry.config or any(each.virtual_key or entry.virtual_key for each in deployments):
        variables.append("PORTKEY_API_KEY")
    wanted = [*dict.fromkeys(filter(None, variables))] or [f"[providers.{name}] base_url"]
    return f"Provider {name} is not reachable: set {' or '.join(wanted)}."


def _deployments(entry: ProviderEntry, environment: Mapping[str, str], *, hosted: bool) -> Iterator[Deployment]:
    own_url = (environment.get(entry.url, "") if entry.url else "") or entry.base_url
    for each in entry.deployments or (DeploymentEntry(),):
        key = each.key or entry.key
        api_key = environment.get(key, "") if key else ""
        base_url = (each.base_url or own_url).rstrip("/")
        virtual_key = (each.virtual_key or entry.virtual_key) if hosted else ""
        if virtual_key or api_key or (base_url and not key):
            yield Deployment("" if virtual_key else api_key, base_url, virtual_key, each.weight)
