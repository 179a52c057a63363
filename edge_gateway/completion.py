"""The story of one chat completion: understand it, have a model chosen, dispatch it, relay the answer, tell how it went."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from edge_gateway import aider, chat_request, conversations, errors, portkey_config, relay
from edge_gateway.call import Call, Reply, header_value
from edge_gateway.decisions import Decision, Question
from edge_gateway.event_stream import Usage
from edge_gateway.outcomes import Outcomes
from edge_gateway.portkey import BrokenOff, Portkey, Stalled, Upstream
from edge_gateway.portkey_config import Plan
from edge_gateway.providers import Provider
from edge_gateway.routing import Routing

# Portkey says 246 when a guardrail objected and let the answer pass.
OK = range(200, 300)
LARGEST_ERROR_BODY = 64 * 1024
LAST_USED = "x-portkey-last-used-option-index"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds: until a model's stream begins, until its plain answer is whole, and for a request in all."""

    first_byte: float
    answer: float
    total: float


class Completion:
    """Serves chat completions; wired once, by app."""

    def __init__(
        self,
        routing: Routing,
        portkey: Portkey,
        outcomes: Outcomes,
        providers: Mapping[str, Provider],
        limits: TimeLimits,
    ) -> None:
        self._routing = routing
        self._portkey = portkey
        self._outcomes = outcomes
        self._providers = providers
        self._limits = limits

    async def serve(self, call: Call) -> Reply:
        """Serve one request; a GatewayError is for the client, with `call.headers` as far as they are known."""
        request = chat_request.parse(call.body)
        call.requested_model = request.model
        understanding = aider.understand(request)
        conversation = conversations.identify(call.request_headers, call.base_url_session)
        call.headers |= {
            "x-router-purpose": understanding.purpose,
            # Without a name from the client, a request is a conversation of its own.
            "x-router-conversation-id": conversation or f"conv_{uuid.uuid4().hex}",
            "x-router-previous-outcome": understanding.previous_outcome,
        }
        question = self._routing.question(request, understanding, conversation)
        decision = await self._routing.decide(question)
        call.headers |= {
            "x-router-decision-id": header_value(decision.id),
            "x-router-model": header_value(decision.ranking[0]),
            "x-router-source": decision.source,
            "x-router-reason": header_value(decision.reason),
        }
        limit = self._limits.first_byte if request.stream else self._limits.answer
        plan = portkey_config.plan(decision.ranking, self._providers, request.fields, limit)
        upstream, served = await self._dispatch(call, question, decision, plan, limit * len(plan.models) + 1)
        call.headers |= relay.passed_headers(upstream)

        def finished(outcome: str, usage: Usage, first_byte: float) -> None:
            self._outcomes.delivered(call, decision, served, outcome, usage, first_byte)

        if request.stream and upstream.content_type == relay.EVENT_STREAM:
            return Reply(relay.EVENT_STREAM, call.headers, stream=relay.stream(upstream, served, finished))
        if request.stream:
            upstream.close()
            finished("provider_failed", Usage(), 0)
            raise errors.bad_upstream_response(upstream.content_type or "an unnamed media type")
        return Reply(relay.JSON, call.headers, body=await relay.whole(upstream, served, finished))

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
