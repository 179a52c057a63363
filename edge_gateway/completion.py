"""The story of one chat completion: understand it, have a model chosen, dispatch it, relay the answer, tell how it went."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

from edge_gateway import aider, chat_request, conversations, errors, portkey_config, telemetry
from edge_gateway.event_stream import EventTooLarge, StreamObserver, Usage, usage_of
from edge_gateway.outcomes import Outcomes
from edge_gateway.portkey import BrokenOff, Portkey, Stalled, Upstream
from edge_gateway.providers import Provider, ProviderEntry, missing_key_hint
from edge_gateway.router_client import Decision, Question, RouterClient, RouterUnavailable

OK = 200
STREAM = "text/event-stream"
LONGEST_REASON = 300
# What a reply's own headers may be, beside ours: the provider's rate-limit figures and its request id.
PASSED_HEADERS = ("openai-processing-ms", "openai-version", "retry-after")
PASSED_PREFIX = "x-ratelimit-"


@dataclass(slots=True)
class Call:
    """One request as it came, and the response headers that grow with what is known of it."""

    body: bytes
    request_headers: Mapping[str, str]
    base_url_session: str = ""
    started: float = field(default_factory=time.monotonic)
    headers: dict[str, str] = field(default_factory=dict)
    requested_model: str = ""

    def __post_init__(self) -> None:
        self.headers["x-request-id"] = f"req_{uuid.uuid4().hex}"

    def elapsed(self) -> float:
        """Seconds since the request came."""
        return time.monotonic() - self.started


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: headers, and either a whole body or a stream."""

    media_type: str
    headers: Mapping[str, str]
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


class Completion:
    """Serves chat completions; wired once, by app."""

    def __init__(
        self,
        router: RouterClient,
        portkey: Portkey,
        outcomes: Outcomes,
        providers: Mapping[str, Provider],
        entries: Mapping[str, ProviderEntry],
        default_order: Mapping[str, tuple[str, ...]],
        first_byte_timeout: float,
        routing_characters: int,
    ) -> None:
        """`entries`: all configured providers, reachable or not; `routing_characters`: how much text the router sees."""
        self._router = router
        self._portkey = portkey
        self._outcomes = outcomes
        self._providers = providers
        self._entries = entries
        self._default_order = default_order
        self._first_byte_timeout = first_byte_timeout
        self._routing_characters = routing_characters

    async def serve(self, call: Call) -> Reply:
        """Serve one request; a GatewayError is for the client, with `call.headers` as far as they are known."""
        request = chat_request.parse(call.body)
        call.requested_model = request.model
        understanding = aider.understand(request)
        conversation = conversations.identify(call.request_headers, call.base_url_session, f"conv_{uuid.uuid4().hex}")
        call.headers["x-router-purpose"] = understanding.purpose
        call.headers["x-router-conversation-id"] = conversation
        call.headers["x-router-previous-outcome"] = understanding.previous_outcome
        question = self._question(request, understanding, conversation)
        decision = await self._decide(question)
        call.headers |= {
            "x-router-decision-id": decision.id,
            "x-router-model": decision.ranking[0],
            "x-router-source": decision.source,
            "x-router-reason": _header_text(decision.reason),
        }
        plan = portkey_config.plan(decision.ranking, self._providers, request.fields, self._first_byte_timeout)
        try:
            upstream = await self._dispatch(call, question, decision, plan)
        except errors.GatewayError:
            self._finished(call, decision, decision.ranking[0], "provider_failed", Usage())
            raise
        served = plan.served(upstream.header("x-portkey-last-used-option-index"))
        call.headers["x-served-model"] = served
        call.headers |= _passed(upstream)
        return await self._relay(call, request, decision, upstream, served)

    def _question(
        self, request: chat_request.ChatRequest, understanding: aider.Understanding, conversation: str
    ) -> Question:
        named = "/" in request.model
        if named and request.model.split("/", 1)[0] not in self._providers:
            hint = missing_key_hint(request.model.split("/", 1)[0], self._entries)
            raise errors.unknown_model(request.model, self.profiles(), hint)
        return Question(
            purpose=understanding.purpose,
            edit_format=understanding.edit_format,
            conversation_id=conversation,
            turns=[(turn.role, turn.text) for turn in chat_request.clipped(request.turns, self._routing_characters)],
            input_tokens=request.input_tokens,
            output_tokens=request.output_tokens,
            vision=request.vision,
            tools=request.tools,
            json=request.json,
            available_providers=sorted(self._providers),
            previous_outcome=understanding.previous_outcome,
            profile="" if named else request.model,
            model=request.model if named else "",
        )

    async def _decide(self, question: Question) -> Decision:
        """The router's decision; when it gives none, the default order, said as such."""
        try:
            decision = await self._router.select(question)
        except RouterUnavailable as error:
            return self._default(question, str(error))
        usable = tuple(model for model in decision.ranking if model.split("/", 1)[0] in self._providers)
        if not usable or usable[0] != decision.ranking[0]:
            return self._default(question, f"it chose {decision.ranking[0]}, which cannot be reached")
        return replace(decision, ranking=usable)

    def _default(self, question: Question, problem: str) -> Decision:
        telemetry.problem("router_unavailable", problem=problem)
        own_id = f"edge_{uuid.uuid4().hex}"
        if question.model:
            return Decision(
                own_id, False, (question.model,), "requested", "asked for by name; the router was not available"
            )
        known = self._router.offer.profiles.get(question.profile)
        order = known.candidates if known else self._default_order.get(question.profile)
        if order is None:
            raise errors.unknown_model(question.profile, self.profiles())
        usable = tuple(model for model in order if model.split("/", 1)[0] in self._providers)
        if not usable:
            raise errors.no_candidate(
                f"No provider of profile {question.profile!r} is configured; set a provider's API key."
            )
        reason = f"the router gave no decision ({problem}); the default order of {question.profile}"
        return Decision(own_id, False, usable, "edge_default", reason)

    def profiles(self) -> list[str]:
        """The profiles a client may ask for, as far as they are known here."""
        return list(self._router.offer.profiles or self._default_order)

    async def _dispatch(
        self, call: Call, question: Question, decision: Decision, plan: portkey_config.Plan
    ) -> Upstream:
        metadata = {"purpose": question.purpose, "profile": question.profile, "source": decision.source}
        wait = self._first_byte_timeout * len(plan.models) + 1
        upstream = await self._portkey.send(plan, call.body, decision.id, json.dumps(metadata), wait)
        if upstream.status == OK:
            return upstream
        served = plan.served(upstream.header("x-portkey-last-used-option-index"))
        try:
            raw = await upstream.read(limit=64 * 1024)
        except (BrokenOff, Stalled):
            raw = b""
        finally:
            upstream.close()
        call.headers["x-served-model"] = served
        raise errors.from_upstream(upstream.status, raw, served, upstream.header("retry-after") or None)

    async def _relay(
        self,
        call: Call,
        request: chat_request.ChatRequest,
        decision: Decision,
        upstream: Upstream,
        served: str,
    ) -> Reply:
        if request.stream and upstream.content_type == STREAM:
            return Reply(STREAM, call.headers, stream=self._stream(call, decision, upstream, served))
        try:
            if upstream.content_type != "application/json" or request.stream:
                raise errors.bad_upstream_response(f"{upstream.content_type or 'an unnamed media type'}")
            body = await upstream.read()
            usage = usage_of(body)
            if usage is None:
                raise errors.bad_upstream_response("JSON that is no completion")
        except (BrokenOff, Stalled):
            self._finished(call, decision, served, "provider_failed", Usage())
            raise errors.stream_truncated(served) from None
        except errors.GatewayError:
            self._finished(call, decision, served, "provider_failed", Usage())
            raise
        finally:
            upstream.close()
        self._finished(call, decision, served, "completed", usage)
        return Reply("application/json", call.headers, body=body)

    async def _stream(self, call: Call, decision: Decision, upstream: Upstream, served: str) -> AsyncIterator[bytes]:
        """The upstream's bytes as they come; an answer that broke off ends in an error event, never cleanly."""
        observer = StreamObserver()
        first_byte = 0.0
        outcome = "interrupted"
        try:
            async for chunk in upstream.chunks():
                first_byte = first_byte or call.elapsed()
                if relay := observer.feed(chunk):
                    yield relay
            if rest := observer.rest():
                yield rest
            outcome = "provider_failed" if observer.failed else "completed"
            if not observer.complete:
                outcome = "provider_failed"
                yield errors.stream_truncated(served).event()
        except (BrokenOff, EventTooLarge):
            outcome = "provider_failed"
            yield errors.stream_truncated(served).event()
        except Stalled:
            outcome = "provider_failed"
            yield errors.stream_stalled(served, upstream.idle_timeout).event()
        finally:
            upstream.close()
            self._finished(call, decision, served, outcome, observer.usage, first_byte)

    def _finished(
        self, call: Call, decision: Decision, served: str, outcome: str, usage: Usage, first_byte: float = 0.0
    ) -> None:
        latency = call.elapsed()
        if decision.made_by_router:
            self._outcomes.tell(decision.id, served, outcome, usage, latency, first_byte or latency)
        telemetry.event(
            "completion",
            request_id=call.headers["x-request-id"],
            decision_id=decision.id,
            requested=_header_text(call.requested_model)[:100],
            model=decision.ranking[0],
            served=served,
            source=decision.source,
            purpose=call.headers["x-router-purpose"],
            outcome=outcome,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            first_byte_ms=round(first_byte * 1000) if first_byte else None,
            ms=round(latency * 1000),
        )


def _header_text(text: str) -> str:
    """The text as a header's value: printable ASCII on one line."""
    return "".join(char if " " <= char <= "~" else " " for char in text)[:LONGEST_REASON].strip()


def _passed(upstream: Upstream) -> dict[str, str]:
    headers = upstream.response.headers
    return {
        name.lower(): value
        for name, value in headers.items()
        if name.lower() in PASSED_HEADERS or name.lower().startswith(PASSED_PREFIX)
    }
