"""Which providers can be reached, and how Portkey reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class ProviderEntry(BaseModel):
    """One [providers.NAME] table of the configuration; edge.toml says what each value means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: str
    key: str = ""
    url: str = ""
    base_url: str = ""
    verbatim: bool = False
    appends_version: bool = False
    stand_in: bool = False
    default_max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that can be reached; `own_host` when its address is not the one Portkey knows by itself."""

    name: str
    slug: str
    api_key: str
    base_url: str
    verbatim: bool
    own_host: bool
    appends_version: bool
    default_max_tokens: int | None

    def __repr__(self) -> str:
        return f"Provider({self.name!r})"


def reachable(
    entries: Mapping[str, ProviderEntry], shipped: Mapping[str, ProviderEntry], environment: Mapping[str, str]
) -> dict[str, Provider]:
    """The providers whose key, or address where no key is needed, is at hand; a stand-in only where no other is."""
    found = {}
    for name, entry in entries.items():
        api_key = environment.get(entry.key, "") if entry.key else ""
        base_url = (environment.get(entry.url, "") if entry.url else "") or entry.base_url
        if (entry.key and not api_key) or (not entry.key and not base_url):
            continue
        known = shipped.get(name)
        own_host = known is None or known.slug == "openai" != name or base_url != known.base_url
        found[name] = Provider(
            name=name,
            slug=entry.slug,
            api_key=api_key,
            base_url=base_url.rstrip("/"),
            verbatim=entry.verbatim,
            own_host=own_host,
            appends_version=entry.appends_version,
            default_max_tokens=entry.default_max_tokens,
        )
    real = {name: provider for name, provider in found.items() if not entries[name].stand_in}
    return real or found


def missing_key_hint(name: str, entries: Mapping[str, ProviderEntry]) -> str:
    """What to set so that a provider becomes reachable; empty when it is not one of the configured."""
    entry = entries.get(name)
    if entry is None:
        return ""
    return f"Provider {name} is not reachable: set {entry.key or entry.url or f'[providers.{name}] base_url'}."
