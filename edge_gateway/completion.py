"""The story of one chat completion: understand it, have a model chosen, dispatch it, relay the answer, tell how it went."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from edge_gateway import aider, chat_request, conversations, errors, portkey_config, relay
from edge_gateway.aider import Understanding
from edge_gateway.call import Call, Reply, header_value
from edge_gateway.chat_request import ChatRequest
from edge_gateway.conversations import Conversations, Exchange, Recognised
from edge_gateway.decisions import Decision, Question
from edge_gateway.event_stream import Said, Usage
from edge_gateway.outcomes import Outcomes
from edge_gateway.portkey import BrokenOff, Portkey, Stalled, Upstream
from edge_gateway.portkey_config import Plan
from edge_gateway.providers import Provider
from edge_gateway.routing import Routing

# Portkey says 246 when a guardrail objected and let the answer pass.
OK = range(200, 300)
LARGEST_ERROR_BODY = 64 * 1024
LAST_USED = "x-portkey-last-used-option-index"
# How often the client's SDK has sent the request before.
RETRY_COUNT = "x-stainless-retry-count"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds: until a model's stream begins, until its plain answer is whole, and for a request in all."""

    first_byte: float
    answer: float
    total: float


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One reply on its way to the client, for those who must know how it went."""

    outcomes: Outcomes
    conversations: Conversations
    call: Call
    decision: Decision
    served: str
    exchange: Exchange
    # What the client sent along of the reply, so that it be continued.
    begun: str
    input_tokens: int

    def heard(self, said: Said) -> None:
        """The reply is whole, and its last bytes are about to go out."""
        self.conversations.heard(self.exchange, self.served, self.begun + said.text, said=said.anything)

    def finished(self, outcome: str, usage: Usage, first_byte: float, said: Said) -> None:
        """The delivery has ended."""
        self.conversations.ended(self.exchange, self.served, outcome, self.begun + said.text, said=said.anything)
        if said.text and not (usage.input_tokens or usage.output_tokens):
            # Aider does not ask streams for their usage.
            usage = Usage(self.input_tokens, chat_request.tokens_of(said.text), estimated=True)
        self.outcomes.delivered(self.call, self.decision, self.served, outcome, usage, first_byte)


class Completion:
    """Serves chat completions; wired once, by app."""

    def __init__(
        self,
        routing: Routing,
        portkey: Portkey,
        outcomes: Outcomes,
        known: Conversations,
        providers: Mapping[str, Provider],
        limits: TimeLimits,
    ) -> None:
        self._routing = routing
        self._portkey = portkey
        self._outcomes = outcomes
        self._conversations = known
        self._providers = providers
        self._limits = limits

    async def serve(self, call: Call) -> Reply:
        """Serve one request; a GatewayError is for the client, with `call.headers` as far as they are known."""
        request = chat_request.parse(call.body)
        call.requested_model = request.model
        understanding = aider.understand(request)
        recognised = self._recognise(call, request, understanding)
        try:
            return await self._answer(call, request, understanding, recognised)
        except asyncio.CancelledError:
            self._conversations.ended(recognised.exchange, "", "interrupted", "", said=False)
            raise
        except Exception as error:
            # What clients do not send again, word for word.
            final = isinstance(error, errors.GatewayError) and error.status in (
                errors.BAD_REQUEST,
                errors.UNAUTHORIZED,
                errors.NOT_FOUND,
            )
            outcome = "refused" if final else "provider_failed"
            self._conversations.ended(recognised.exchange, "", outcome, "", said=False)
            raise

    def _recognise(self, call: Call, request: ChatRequest, understanding: Understanding) -> Recognised:
        """Which conversation goes on, and what the request tells of its earlier replies."""
        asked = conversations.Request(
            caller=conversations.caller(call.request_headers, call.peer),
            stated=conversations.identify(call.request_headers, call.base_url_session),
            body=hash(call.body),
            resent=call.request_headers.get(RETRY_COUNT, "0") not in ("0", ""),
            purpose=understanding.purpose,
            turns=request.turns,
            user_text=understanding.user_text,
            outcome=understanding.previous_outcome,
            failures=understanding.failures,
            continuation=understanding.continuation,
            files={file.name: file.digest for file in understanding.files},
        )
        recognised = self._conversations.recognise(asked, call.started, f"conv_{uuid.uuid4().hex}")
        call.headers |= {
            "x-router-purpose": understanding.purpose,
            "x-router-conversation-id": recognised.conversation_id,
            "x-router-previous-outcome": recognised.previous.outcome,
        }
        return recognised

    async def _answer(
        self, call: Call, request: ChatRequest, understanding: Understanding, recognised: Recognised
    ) -> Reply:
        tenant = conversations.tenant(call.request_headers)
        question = self._routing.question(request, understanding, recognised, tenant)
        decision = await self._routing.decide(question)
        self._outcomes.fared(self._conversations.decided(recognised, decision.id, decision.made_by_router))
        call.headers |= {
            "x-router-decision-id": header_value(decision.id),
            "x-router-model": header_value(decision.ranking[0]),
            "x-router-source": decision.source,
            "x-router-reason": header_value(decision.reason),
        }
        try:
            return await self._deliver(call, request, question, decision, recognised)
        except asyncio.CancelledError:
            # The client left before the first byte, so nothing relayed tells of it.
            served = call.headers.get("x-served-model", decision.ranking[0])
            self._outcomes.delivered(call, decision, served, "interrupted", Usage(), 0)
            raise

    async def _deliver(
        self, call: Call, request: ChatRequest, question: Question, decision: Decision, recognised: Recognised
    ) -> Reply:
        limit = self._limits.first_byte if request.stream else self._limits.answer
        plan = portkey_config.plan(decision.ranking, self._providers, request.fields, limit)
        upstream, served = await self._dispatch(call, question, decision, plan, limit * len(plan.models) + 1)
        call.headers |= relay.passed_headers(upstream)
        exchange, begun = recognised.exchange, recognised.request.begun
        delivery = _Delivery(
            self._outcomes, self._conversations, call, decision, served, exchange, begun, request.input_tokens
        )
        if request.stream and upstream.content_type == relay.EVENT_STREAM:
            return Reply(relay.EVENT_STREAM, call.headers, stream=relay.stream(upstream, served, delivery))
        if request.stream:
            upstream.close()
            delivery.finished("provider_failed", Usage(), 0, Said())
            raise errors.bad_upstream_response(upstream.content_type or "an unnamed media type")
        return Reply(relay.JSON, call.headers, body=await relay.whole(upstream, served, delivery))

    async def _dispatch(
        self, call: Call, question: Question, decision: Decision, plan: Plan, wait: float
    ) -> tuple[Upstream, str]:
        """The answer whose headers say 200, and the model that gives it; a GatewayError when there is none."""
        metadata = {"purpose": question.purpose, "profile": question.profile, "source": decision.source}
        deadline = call.started + self._limits.total
        served = plan.models[0]
        try:
            upstream = await self._portkey.send(plan, call.body, decision.id, json.dumps(metadata), wait, deadline)
            served = plan.served(upstream.header(LAST_USED))
            call.headers["x-served-model"] = header_value(served)
            if upstream.status in OK:
                return upstream, served
            raw = await _error_body(upstream)
            raise errors.from_upstream(upstream.status, raw, served, upstream.header("retry-after") or None)
        except errors.GatewayError as error:
            # A request that no provider would take says nothing against this one.
            outcome = "refused" if error.status in (errors.BAD_REQUEST, errors.NOT_FOUND) else "provider_failed"
            self._outcomes.delivered(call, decision, served, outcome, Usage(), 0)
            raise


async def _error_body(upstream: Upstream) -> bytes:
    try:
        return await upstream.read(limit=LARGEST_ERROR_BODY)
    except (BrokenOff, Stalled):
        return b""
    finally:
        upstream.close()
