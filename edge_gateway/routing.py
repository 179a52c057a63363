"""Has a model chosen for a request: asks the router, and stands in for it with the default order when it gives no answer."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace

from edge_gateway import chat_request, errors, telemetry
from edge_gateway.aider import Understanding
from edge_gateway.chat_request import CHARACTERS_PER_TOKEN, ChatRequest
from edge_gateway.conversations import Recognised
from edge_gateway.decisions import Decision, PreviousReply, Question
from edge_gateway.providers import Provider, ProviderEntry, missing_key_hint
from edge_gateway.router_client import RouterClient, RouterUnavailable

# What a model may be called: printable, without blanks, with something behind each slash.
_MODEL_NAME = re.compile(r"(?=.{1,200}$)[!-.0-~]+(/[!-.0-~]+)*")


class Routing:
    """The way from a request to a decision whose models can all be reached."""

    def __init__(
        self,
        router: RouterClient,
        providers: Mapping[str, Provider],
        entries: Mapping[str, ProviderEntry],
        default_order: Mapping[str, tuple[str, ...]],
        routing_characters: int,
    ) -> None:
        """`entries`: all configured providers, reachable or not; `routing_characters`: how much text the router sees."""
        self._router = router
        self._providers = providers
        self._entries = entries
        self._default_order = default_order
        self._routing_characters = routing_characters

    def profiles(self) -> list[str]:
        """The profiles a client may ask for, as far as they are known here."""
        return list(self._router.offer.profiles or self._default_order)

    def question(
        self, request: ChatRequest, understanding: Understanding, recognised: Recognised, tenant: str
    ) -> Question:
        """What to ask the router; a 404 when a model of an unreachable provider is asked for by name."""
        named = "/" in request.model
        if not _MODEL_NAME.fullmatch(request.model):
            raise errors.unknown_model(request.model, self.profiles())
        if named and _provider(request.model) not in self._providers:
            hint = missing_key_hint(_provider(request.model), self._entries)
            raise errors.unknown_model(request.model, self.profiles(), hint)
        previous = recognised.previous
        return Question(
            purpose=understanding.purpose,
            edit_format=understanding.edit_format,
            conversation_id=recognised.conversation_id,
            turns=[(turn.role, turn.text) for turn in chat_request.clipped(request.turns, self._routing_characters)],
            input_tokens=request.input_tokens,
            output_tokens=request.output_tokens,
            vision=request.vision,
            tools=request.tools,
            json=request.json,
            available_providers=sorted(self._providers),
            previous=PreviousReply(previous.outcome, previous.model, previous.decision_id, previous.failures),
            prefix_tokens=min(int(previous.prefix_characters / CHARACTERS_PER_TOKEN), request.input_tokens),
            continuation=understanding.continuation,
            tenant=tenant,
            metadata=_metadata(understanding, recognised),
            profile="" if named else request.model,
            model=request.model if named else "",
        )

    async def decide(self, question: Question) -> Decision:
        """The router's decision; when it gives none, the default order, said as such."""
        try:
            decision = await self._router.select(question)
        except RouterUnavailable as error:
            return self._default(question, str(error))
        usable = self._reachable(decision.ranking)
        if usable[:1] != decision.ranking[:1]:
            return self._default(question, f"it chose {decision.ranking[0]}, which cannot be reached")
        return replace(decision, ranking=usable)

    def _default(self, question: Question, problem: str) -> Decision:
        telemetry.problem("router_unavailable", problem=problem)
        own_id = f"edge_{uuid.uuid4().hex}"
        if question.model:
            reason = f"{question.model} was asked for by name; the router gave no decision ({problem})"
            return Decision(own_id, False, (question.model,), "requested", reason)
        known = self._router.offer.profiles.get(question.profile)
        order = known.candidates if known else self._default_order.get(question.profile)
        if order is None:
            raise errors.unknown_model(question.profile, self.profiles())
        usable = self._reachable(order)
        if not usable:
            text = f"No provider of profile {question.profile!r} is configured; set a provider's API key."
            raise errors.no_candidate(text)
        reason = f"the router gave no decision ({problem}); the default order of {question.profile}"
        return Decision(own_id, False, usable, "edge_default", reason)

    def _reachable(self, models: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(model for model in models if _provider(model) in self._providers)


def _metadata(understanding: Understanding, recognised: Recognised) -> dict[str, str]:
    """What was understood, for whoever looks the decision up; only what there is."""
    counts = {
        "files": len(understanding.files),
        "files_characters": sum(file.characters for file in understanding.files),
        "repo_map_characters": understanding.repo_map_characters,
        "images": understanding.images,
        "failures": recognised.previous.failures,
    }
    flags = {"retry": recognised.retry, "continuation": understanding.continuation}
    told = {name: str(number) for name, number in counts.items() if number}
    return told | {name: "true" for name, holds in flags.items() if holds} | {"linked": recognised.linked}


def _provider(model: str) -> str:
    return model.split("/", 1)[0]
