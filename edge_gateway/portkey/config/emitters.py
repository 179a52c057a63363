"""How a model becomes a target of a config: for the open-source gateway, and for hosted Portkey with what only that has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from edge_gateway.forms import CHAT, MESSAGES, RESPONSES
from edge_gateway.providers import CATALOGUE, Deployment, Provider

# A failed connection is Portkey's 500, its time-out a 408: both must be named to fail over on them. 520 to 524 are said by
# what stands before a provider (Cloudflare), 529 by Anthropic when it is overloaded.
FAILOVER_STATUSES = (408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)
# Portkey reads at most 16 KB of headers; the rest is for the others.
LONGEST_CONFIG = 12_000
# All deployments behind each would pass that from seven on, so there are about so many in all.
MOST_BRANCHED = 16
# Anthropic's form at a provider of another name is spoken to as Anthropic is.
ANTHROPIC_SLUG = "anthropic"


@dataclass(frozen=True, slots=True)
class Features:
    """What the operator has Portkey do with every request; [portkey] in edge.toml says what each value means."""

    cache: Mapping[str, Any] = field(default_factory=dict)
    input_guardrails: Sequence[Any] = ()
    output_guardrails: Sequence[Any] = ()

    @property
    def guarded(self) -> bool:
        """Whether guardrails look at requests or answers; the proxy route would pass them by."""
        return bool(self.input_guardrails or self.output_guardrails)


class Way(msgspec.Struct, frozen=True):
    """How a dispatch's targets are reached: the client's form, the route, and the seconds each has for its headers."""

    form: str
    verbatim: bool
    seconds: float


class Emitter(Protocol):
    """Writes targets and configs for one kind of Portkey."""

    features: Features

    def target(self, provider: Provider, params: Mapping[str, Any], way: Way) -> dict[str, Any]:
        """The target for one model; of several deployments one is drawn by weight, and the others follow it."""

    def config(self, targets: Sequence[Mapping[str, Any]], statuses: Sequence[int], attempts: int) -> dict[str, Any]:
        """The whole config; `attempts`: how often a single target is tried again."""

    def translates(self, form: str) -> bool:
        """Whether it translates that form for every provider."""


class OpenSource:
    """Portkey's open-source gateway: it translates chat completions alone, and holds no keys."""

    def __init__(self, features: Features) -> None:
        self.features = features

    def target(self, provider: Provider, params: Mapping[str, Any], way: Way) -> dict[str, Any]:
        """The target for one model."""
        own = [self._deployment(provider, deployment, way) for deployment in provider.deployments]
        return {**_balanced(own, provider.deployments), "override_params": dict(params)}

    def config(self, targets: Sequence[Mapping[str, Any]], statuses: Sequence[int], attempts: int) -> dict[str, Any]:
        """The whole config."""
        made: dict[str, Any] = {
            "strategy": {"mode": "fallback", "on_status_codes": list(statuses)},
            "targets": list(targets),
        }
        if attempts:
            made["retry"] = {"attempts": attempts, "on_status_codes": [code for code in statuses if code >= 500]}  # noqa: PLR2004
        if self.features.input_guardrails:
            made["input_guardrails"] = list(self.features.input_guardrails)
        if self.features.output_guardrails:
            made["output_guardrails"] = list(self.features.output_guardrails)
        return made

    def translates(self, form: str) -> bool:
        """It translates chat completions for every provider."""
        return form == CHAT.name

    def _deployment(self, provider: Provider, deployment: Deployment, way: Way) -> dict[str, Any]:
        """One account at one address."""
        elsewhere = way.form == MESSAGES.name and provider.messages_url
        made: dict[str, Any] = {
            "provider": ANTHROPIC_SLUG if elsewhere else provider.slug,
            "request_timeout": int(way.seconds * 1000),
        }
        if deployment.api_key:
            made["api_key"] = deployment.api_key
        host = provider.messages_url if elsewhere else self._host(provider, deployment, way)
        if host:
            made["custom_host"] = host
        return made

    def _host(self, provider: Provider, deployment: Deployment, way: Way) -> str:
        if not deployment.base_url or not (way.verbatim or provider.own_host):
            return ""
        shortened = not way.verbatim and provider.appends_version
        return deployment.base_url.removesuffix("/v1") if shortened else deployment.base_url


class Hosted(OpenSource):
    """Portkey's own service: it also holds keys and catalogues, has a cache, and translates every form for everybody."""

    def config(self, targets: Sequence[Mapping[str, Any]], statuses: Sequence[int], attempts: int) -> dict[str, Any]:
        """The whole config."""
        made = super().config(targets, statuses, attempts)
        if attempts:
            made["retry"]["use_retry_after_headers"] = True
        if self.features.cache:
            made["cache"] = dict(self.features.cache)
        return made

    def translates(self, form: str) -> bool:
        """It translates whatever carries messages."""
        return form in (CHAT.name, MESSAGES.name, RESPONSES.name)

    def _deployment(self, provider: Provider, deployment: Deployment, way: Way) -> dict[str, Any]:
        if deployment.virtual_key:
            return {"virtual_key": deployment.virtual_key, "request_timeout": int(way.seconds * 1000)}
        return super()._deployment(provider, deployment, way)

    def _host(self, provider: Provider, deployment: Deployment, way: Way) -> str:
        # A provider of the catalogue has its address there.
        return "" if provider.slug.startswith(CATALOGUE) else super()._host(provider, deployment, way)


def _balanced(own: Sequence[Mapping[str, Any]], deployments: Sequence[Deployment]) -> dict[str, Any]:
    """One target as it is; of several one drawn by weight, and where it fails the others in their order, or the next one."""
    if len(own) == 1:
        return dict(own[0])
    branches = []
    each = max(2, MOST_BRANCHED // len(own))
    for at, deployment in enumerate(deployments):
        turned = [*own[at:], *own[:at]][:each]
        branch = {"strategy": {"mode": "fallback", "on_status_codes": list(FAILOVER_STATUSES)}}
        branches.append({**branch, "targets": turned, "weight": deployment.weight})
    return {"strategy": {"mode": "loadbalance"}, "targets": branches}
