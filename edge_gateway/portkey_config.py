"""Turns a ranking into ONE inline Portkey config: a fallback chain over the ranked models, for one of two routes.

Portkey's /v1/proxy route keeps a body's unknown fields and its answer's bytes, but speaks no provider's own form; its
/v1/chat/completions route translates, and drops what it does not know. So a chain of providers that all speak OpenAI's
form takes the first; a chain with another provider in it takes the second, unless that would drop a field of the request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_gateway.providers import Provider

VERBATIM_ROUTE = "/proxy/chat/completions"
TRANSLATED_ROUTE = "/chat/completions"
# A failed connection is Portkey's 500, its time-out a 408: both must be named to fail over on them.
FAILOVER_STATUSES = (408, 429, 500, 502, 503, 504, 529)
# Portkey reads headers of up to 16 KB; a config target takes about 250 bytes.
MAX_TARGETS = 6
# What the translating route keeps of a request (measured on 1.15.2); anything else it drops without a word.
TRANSLATED_FIELDS = frozenset(
    [
        "model",
        "messages",
        "stream",
        "temperature",
        "top_p",
        "n",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "user",
        "seed",
        "tools",
        "tool_choice",
        "response_format",
        "logprobs",
        "top_logprobs",
        "stream_options",
        "parallel_tool_calls",
    ]
)
_TARGET = re.compile(r"targets\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to send a request, with which config, and which models that config may reach, in its order."""

    route: str
    config: str
    models: tuple[str, ...]

    def served(self, last_used: str) -> str:
        """The model that answered, from Portkey's x-portkey-last-used-option-index; the first when it does not say."""
        found = _TARGET.search(last_used)
        position = int(found.group(1)) if found else 0
        return self.models[position] if position < len(self.models) else self.models[0]


def plan(
    ranking: Sequence[str],
    providers: Mapping[str, Provider],
    fields: frozenset[str],
    time_limit: float,
) -> Plan:
    """The plan for a ranking, best first; at least its first model's provider must be reachable.

    `time_limit`: seconds each model has until its response headers, which a plain answer sends when it is whole.
    """
    chain = [(model, providers[_provider(model)]) for model in ranking if _provider(model) in providers]
    if not chain:
        raise LookupError("no provider of the ranking is reachable")
    verbatim = chain[0][1].verbatim
    mixed = any(provider.verbatim != verbatim for _, provider in chain)
    if mixed and (not verbatim or fields <= TRANSLATED_FIELDS):
        verbatim = False
    elif mixed:
        chain = [(model, provider) for model, provider in chain if provider.verbatim]
    chain = chain[:MAX_TARGETS]
    limited = bool(fields & {"max_tokens", "max_completion_tokens"})
    targets = [_target(model, provider, verbatim, limited, time_limit) for model, provider in chain]
    config = {
        "strategy": {"mode": "fallback", "on_status_codes": list(FAILOVER_STATUSES)},
        "targets": targets,
    }
    return Plan(
        route=VERBATIM_ROUTE if verbatim else TRANSLATED_ROUTE,
        config=json.dumps(config, separators=(",", ":")),
        models=tuple(model for model, _ in chain),
    )


def _provider(model: str) -> str:
    return model.split("/", 1)[0]


def _target(model: str, provider: Provider, verbatim: bool, limited: bool, time_limit: float) -> dict[str, Any]:
    params: dict[str, Any] = {"model": model.split("/", 1)[1]}
    if provider.default_max_tokens and not limited:
        params["max_tokens"] = provider.default_max_tokens
    target: dict[str, Any] = {
        "provider": provider.slug,
        "override_params": params,
        "request_timeout": int(time_limit * 1000),
    }
    if provider.api_key:
        target["api_key"] = provider.api_key
    if provider.base_url and (verbatim or provider.own_host):
        shortened = not verbatim and provider.appends_version
        target["custom_host"] = provider.base_url.removesuffix("/v1") if shortened else provider.base_url
    return target
