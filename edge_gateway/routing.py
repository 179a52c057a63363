"""Has a model chosen for a request: asks the router, and stands in for it with the default order when it gives no answer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from edge_gateway import chat_request, errors, telemetry
from edge_gateway.aider import Understanding
from edge_gateway.chat_request import CHARACTERS_PER_TOKEN, ChatRequest
from edge_gateway.conversations import Recognised
from edge_gateway.decisions import Decision, PreviousReply, Question
from edge_gateway.forms import CHAT, Form
from edge_gateway.leases import Leases
from edge_gateway.providers import ProviderEntry, Providers, missing_key_hint, provider_of
from edge_gateway.router_client.client import RouterClient, RouterUnavailable
from edge_gateway.tracing.span import NOT_TRACED, Span

# What a model may be called: printable, without blanks, with something behind each slash.
_MODEL_NAME = re.compile(r"(?=.{1,200}$)[!-.0-~]+(/[!-.0-~]+)*")


class Asker(msgspec.Struct, frozen=True):
    """Who asks: a tenant, and a name within it, the key's; empty where nobody says."""

    tenant: str = ""
    caller: str = ""


class Routing:
    """The way from a request to a decision whose models can all be reached."""

    def __init__(
        self,
        router: RouterClient,
        providers: Providers,
        entries: Mapping[str, ProviderEntry],
        default_order: Mapping[str, tuple[str, ...]],
        routing_characters: int,
        translates: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        """`entries`: all configured providers, reachable or not; `routing_characters`: how much text the router sees.

        `translates`: whether Portkey translates a form for every provider; `clock`: seconds, for leases.
        """
        self._router = router
        self._providers = providers
        self._entries = entries
        self._default_order = default_order
        self._routing_characters = routing_characters
        self._translates = translates
        self._clock = clock
        self._leases = Leases()
        # By form's name; what can be reached stays the same.
        self._speakers: dict[str, list[str]] = {}

    def profiles(self) -> list[str]:
        """The profiles a client may ask for, as far as they are known here."""
        return list(self._router.offer.profiles or self._default_order)

    def candidates(self, model: str) -> list[str]:
        """The models that may serve what a client asks for, as far as they can be reached."""
        if "/" in model:
            return [model]
        known = self._router.offer.profiles.get(model)
        order = known.candidates if known else self._default_order.get(model, ())
        return [name for name in order if self._providers.of(name) is not None]

    def speakers(self, form: Form) -> list[str]:
        """The providers that take requests of a form, by name."""
        if (known := self._speakers.get(form.name)) is None:
            everybody = self._translates(form.name)
            speaking = (name for name, provider in self._providers.items() if everybody or provider.speaks(form.name))
            known = self._speakers[form.name] = sorted(speaking)
        return known

    def question(
        self,
        form: Form,
        request: ChatRequest,
        understanding: Understanding,
        recognised: Recognised | None,
        asker: Asker,
    ) -> Question:
        """What to ask the router; a GatewayError when what is asked for cannot be served."""
        named = "/" in request.model
        self._check(form, request, named=named)
        known = self._known(request, understanding, recognised) if recognised else {}
        return Question(
            purpose=understanding.purpose,
            edit_format=understanding.edit_format,
            turns=[(turn.role, turn.text) for turn in chat_request.clipped(request.turns, self._routing_characters)],
            input_tokens=request.input_tokens,
            output_tokens=request.output_tokens,
            vision=request.vision,
            tools=request.tools,
            json=request.json,
            available_providers=self._available(form, request),
            continuation=understanding.continuation or request.bound,
            tenant=asker.tenant,
            caller=asker.caller,
            profile="" if named else request.model,
            model=request.model if named else "",
            **known,
        )

    def _known(self, request: ChatRequest, understanding: Understanding, recognised: Recognised) -> dict[str, Any]:
        """What is known of the request's past."""
        previous = recognised.previous
        return {
            "conversation_id": recognised.conversation_id,
            "previous": PreviousReply(previous.outcome, previous.model, previous.decision_id, previous.failures),
            "prefix_tokens": min(int(previous.prefix_characters / CHARACTERS_PER_TOKEN), request.input_tokens),
            "resent": recognised.retry,
            "metadata": _metadata(understanding, recognised),
        }

    def _check(self, form: Form, request: ChatRequest, *, named: bool) -> None:
        if not _MODEL_NAME.fullmatch(request.model):
            raise errors.unknown_model(request.model, self.profiles())
        if not named:
            if not form.routed:
                raise errors.unrouted_form(f"/v1{form.path}", request.model)
            if request.stored:
                raise errors.stored_answer("previous_response_id")
            return
        provider = self._providers.of(request.model)
        if provider is None:
            hint = missing_key_hint(provider_of(request.model), self._entries)
            raise errors.unknown_model(request.model, self.profiles(), hint)
        if not (provider.speaks(form.name) or self._translates(form.name)):
            raise errors.unspoken_form(f"/v1{form.path}", request.model, self.speakers(form))

    def _available(self, form: Form, request: ChatRequest) -> list[str]:
        """Whom the router may choose from; a provider of Portkey's catalogue is reached when it is named."""
        speakers = self.speakers(form)
        if not speakers and "/" not in request.model and request.model not in self.profiles():
            raise errors.unknown_model(request.model, self.profiles())
        if not speakers:
            raise errors.unspoken_form(f"/v1{form.path}", request.model, speakers)
        if "/" in request.model:
            return sorted({*speakers, provider_of(request.model)})
        if form is not CHAT or not request.rests_on:
            return speakers
        whole = [name for name in speakers if not request.rests_on & set(self._providers[name].loses)]
        able = {provider_of(name) for name in self.candidates(request.model)} & set(whole)
        return whole if able else speakers

    async def decide(self, question: Question, span: Span = NOT_TRACED) -> Decision:
        """The router's decision, or what its lease allows; when it gives none, the default order, said as such.

        `span`: the request's in a trace.
        """
        leased = self._leases.decide(question, self._router.offer, self._clock())
        if leased is not None:
            return leased
        try:
            decision = await self._router.select(question, span)
        except RouterUnavailable as error:
            return self._default(question, str(error))
        usable = self._reachable(decision.ranking, question)
        if usable[:1] != decision.ranking[:1]:
            return self._default(question, f"it chose {decision.ranking[0]}, which cannot be reached")
        if usable != decision.ranking:
            decision = msgspec.structs.replace(decision, ranking=usable)
        self._leases.keep(question, decision, self._clock())
        return decision

    def _default(self, question: Question, problem: str) -> Decision:
        telemetry.problem("router_unavailable", problem=problem)
        own_id = f"edge_{secrets.token_hex(16)}"
        if question.model:
            reason = f"{question.model} was asked for by name; the router gave no decision ({problem})"
            return Decision(own_id, False, (question.model,), "requested", reason)
        known = self._router.offer.profiles.get(question.profile)
        order = known.candidates if known else self._default_order.get(question.profile)
        if order is None:
            raise errors.unknown_model(question.profile, self.profiles())
        usable = self._reachable(order, question)
        if not usable:
            text = f"No provider of profile {question.profile!r} is configured; set a provider's API key."
            raise errors.no_candidate(text)
        reason = f"the router gave no decision ({problem}); the default order of {question.profile}"
        return Decision(own_id, False, usable, "edge_default", reason)

    def _reachable(self, models: tuple[str, ...], question: Question) -> tuple[str, ...]:
        available = question.available_providers
        return tuple(
            model for model in models if provider_of(model) in available and self._providers.of(model) is not None
        )


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
