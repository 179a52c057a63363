"""Plans a dispatch: which of the ranked models one config may reach, on which route, with which body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from edge_gateway import prompt_messages
from edge_gateway.adaptations import Adaptation, Adaptations, Asked, Changes
from edge_gateway.forms import CHAT, MESSAGES, Form
from edge_gateway.portkey.config.emitters import FAILOVER_STATUSES, LONGEST_CONFIG, Emitter, Way
from edge_gateway.providers import Provider, Providers, provider_of

MAX_TARGETS = 6
# What the translating route keeps of a chat completion (measured on 1.15.2); anything else it drops without a word.
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


class Plan(msgspec.Struct, frozen=True):
    """Where to send a request, with which config and body, and which models that config may reach, in its order.

    `config`: inline JSON, or the id of one saved at hosted Portkey. `adaptations`: the rules applied for each model.
    `deployments`: how many accounts and addresses of all its models may be tried. `changes`: made to the client's body, None
    where that has become another one.
    """

    route: str
    config: str
    models: tuple[str, ...]
    body: bytes
    adaptations: Mapping[str, tuple[str, ...]]
    deployments: int
    changes: Changes | None = None

    def position(self, last_used: str) -> int:
        """Which of the models answered, from Portkey's x-portkey-last-used-option-index; the first when it does not say."""
        found = _TARGET.search(last_used)
        position = int(found.group(1)) if found else 0
        return position if position < len(self.models) else 0


class Bounds(msgspec.Struct, frozen=True):
    """How far one dispatch may go: seconds each model has for its headers, targets in all, repeats of a single one."""

    seconds: float
    targets: int = MAX_TARGETS
    attempts: int = 0


class _Candidate(msgspec.Struct, frozen=True):
    model: str
    provider: Provider
    adaptation: Adaptation
    verbatim: bool


def fitting(ranking: Sequence[str], providers: Providers, asked: Asked) -> tuple[str, ...]:
    """The models of a ranking that can be reached without losing a field of the request that the first one gets."""
    chain = [(model, provider) for model in ranking if (provider := providers.of(model)) is not None]
    if not chain:
        raise LookupError("no provider of the ranking is reachable")
    kept_whole = asked.form == CHAT.name and chain[0][1].verbatim and not asked.request.fields <= TRANSLATED_FIELDS
    return tuple(model for model, provider in chain if provider.verbatim or not kept_whole)


def plan(
    form: Form,
    raw: bytes,
    models: Sequence[str],
    providers: Providers,
    asked: Asked,
    rules: Adaptations,
    emitter: Emitter,
    bounds: Bounds,
) -> Plan:
    """The plan for the first of these models and those after it that the same config and body can reach."""
    chain = _chain(form, models, providers, asked, rules)
    first = chain[0]
    if first.provider.config:
        # A saved configuration stands alone: its targets are its own.
        return _saved(form, raw, first, asked.stable)
    chain = chain[: max(1, min(bounds.targets, MAX_TARGETS))]
    verbatim = all(candidate.verbatim for candidate in chain) and not emitter.features.guarded
    way = Way(form.name, verbatim, bounds.seconds)
    changes = Changes.of([candidate.adaptation for candidate in chain])
    members = changes.members(raw)
    while True:
        params = changes.given(members, [candidate.adaptation for candidate in chain])
        targets = [
            emitter.target(candidate.provider, _params(candidate, extra), way)
            for candidate, extra in zip(chain, params, strict=True)
        ]
        attempts = bounds.attempts if len(chain) == 1 else 0
        config = json.dumps(emitter.config(targets, FAILOVER_STATUSES, attempts), separators=(",", ":"))
        if len(config) <= LONGEST_CONFIG or len(chain) == 1:
            break
        chain.pop()
    names = {candidate.model: candidate.adaptation.names for candidate in chain}
    route = f"/proxy{form.path}" if verbatim else form.path
    deployments = sum(len(candidate.provider.deployments) for candidate in chain)
    return Plan(route, config, tuple(names), changes.body(raw, members, asked.stable), names, deployments, changes)


def _chain(
    form: Form, models: Sequence[str], providers: Providers, asked: Asked, rules: Adaptations
) -> list[_Candidate]:
    """The first model and those after it whose requests have the same messages."""
    chain: list[_Candidate] = []
    for model in models:
        provider = providers[provider_of(model)]
        needed = rules.needed(model, asked, provider.default_max_tokens)
        if chain and (provider.config or chain[0].provider.config or needed.edits != chain[0].adaptation.edits):
            break
        chain.append(_Candidate(model, provider, needed, _is_verbatim(provider, form)))
    return chain


def _is_verbatim(provider: Provider, form: Form) -> bool:
    """Whether the provider itself speaks the form, so that nothing has to be translated."""
    return provider.speaks(form.name) and (form is MESSAGES or provider.verbatim)


def _params(candidate: _Candidate, extra: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": candidate.model.split("/", 1)[1], **extra}


def _saved(form: Form, raw: bytes, candidate: _Candidate, stable: int) -> Plan:
    """A saved configuration overrides no model, so the body names it."""
    changes = Changes.of([candidate.adaptation])
    members = changes.members(raw)
    (extra,) = changes.given(members, [candidate.adaptation])
    named = prompt_messages.with_values(changes.body(raw, members, stable), _params(candidate, extra))
    applied = {candidate.model: candidate.adaptation.names}
    deployments = len(candidate.provider.deployments)
    return Plan(form.path, candidate.provider.config, (candidate.model,), named, applied, deployments)
