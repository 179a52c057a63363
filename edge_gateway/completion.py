"""The story of one request: understand it, have a model chosen, dispatch it, relay the answer, tell how it went."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping

import msgspec

from edge_gateway import aider, conversations, errors, notes, prompt_messages, relay
from edge_gateway.access.entries import Key
from edge_gateway.adaptations import Asked
from edge_gateway.aider import PreviousOutcome, Purpose, Understanding
from edge_gateway.cache import Answers, Kept, Recording, Wish, key_of, wish_of
from edge_gateway.call import Call, Reply, header_value
from edge_gateway.chat_request import ChatRequest
from edge_gateway.clients import Clients
from edge_gateway.conversations import Conversations, Recognised
from edge_gateway.decisions import Decision, Question
from edge_gateway.delivery import Delivery
from edge_gateway.dispatch import Answer, Dispatcher, NotServed, Order
from edge_gateway.event_stream import Usage
from edge_gateway.forms import CHAT, Form
from edge_gateway.outcomes import Outcomes, Settle
from edge_gateway.parsing import aside, parsed
from edge_gateway.portkey.headers import portkey_said, versions_of
from edge_gateway.routing import Routing
from edge_gateway.tracing import spans

# How often the client's SDK has sent the request before.
RETRY_COUNT = "x-stainless-retry-count"
# Of what carries no messages nothing is understood.
_NOT_UNDERSTOOD = Understanding(purpose=Purpose.CHAT, edit_format="", previous_outcome=PreviousOutcome.NONE)
# What clients do not send again, word for word.
_FINAL = (errors.BAD_REQUEST, errors.UNAUTHORIZED, errors.FORBIDDEN, errors.NOT_FOUND)


class _Asked(msgspec.Struct, frozen=True):
    """A request that has been read: what it says, what it is for, and which conversation goes on, if any.

    `kept_under`: the key of its answer in the cache, empty when that is not to be kept. `wish`: the client's as to the cache.
    """

    form: Form
    request: ChatRequest
    key: Key | None
    understanding: Understanding
    recognised: Recognised | None
    kept_under: bytes
    wish: Wish


class Completion:
    """Serves requests in every form; wired once, by app."""

    def __init__(
        self,
        clients: Clients,
        routing: Routing,
        dispatcher: Dispatcher,
        outcomes: Outcomes,
        known: Conversations,
        answers: Answers,
        total_seconds: float,
        *,
        cached_by_portkey: bool,
    ) -> None:
        """`total_seconds`: for a request in all; `cached_by_portkey`: whether hosted Portkey keeps answers as well."""
        self._clients = clients
        self._routing = routing
        self._dispatcher = dispatcher
        self._outcomes = outcomes
        self._conversations = known
        self._answers = answers
        self._total_seconds = total_seconds
        self._cached_by_portkey = cached_by_portkey

    def identify(self, call: Call, form: Form) -> Key | None:
        """Who asks, by the headers alone, before a body is read; a GatewayError where it has to be somebody known."""
        call.form = form.name
        key = self._clients.identify(call.request_headers)
        call.key_name = key.name if key else ""
        return key

    async def serve(self, call: Call, form: Form, key: Key | None) -> Reply:
        """Serve one request of `key`, whom `identify` found.

        A GatewayError is for the client, with `call.headers` as far as they are known.
        """
        request = await parsed(form, call.body)
        call.requested_model, call.streamed = request.model, request.stream
        self._clients.check(key, request.model)
        caller = conversations.caller(call.request_headers, call.peer)
        wish = wish_of(call.request_headers)
        takes = self._answers.takes(request, wish)
        versions = versions_of(call.request_headers)
        kept_under = await aside(call.body, lambda: key_of(caller, form.path, versions, call.body)) if takes else b""
        talks = form.routed and bool(request.turns)
        understanding = aider.understand(request) if talks else _NOT_UNDERSTOOD
        recognised = self._recognise(call, caller, request, understanding) if talks else None
        call.headers |= {
            "x-router-purpose": understanding.purpose,
            "x-router-previous-outcome": recognised.previous.outcome if recognised else "none",
        }
        asked = _Asked(form, request, key, understanding, recognised, kept_under, wish)
        try:
            kept = await self._answers.find(asked.kept_under) if takes and wish is Wish.NONE else None
            return self._again(call, asked, kept) if kept else await self._answer(call, asked)
        except asyncio.CancelledError:
            self._ended(recognised, "interrupted")
            raise
        except Exception as error:
            final = isinstance(error, errors.GatewayError) and error.status in _FINAL
            self._ended(recognised, "refused" if final else "provider_failed")
            raise

    def _recognise(self, call: Call, caller: bytes, request: ChatRequest, understanding: Understanding) -> Recognised:
        """Which conversation goes on, and what the request tells of its earlier replies."""
        asked = conversations.Request(
            caller=caller,
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
        recognised = self._conversations.recognise(asked, call.started, f"conv_{secrets.token_hex(16)}")
        call.headers["x-router-conversation-id"] = recognised.conversation_id
        return recognised

    def _again(self, call: Call, asked: _Asked, kept: Kept) -> Reply:
        """The answer that was given to the same request before."""
        age = max(0, int(time.time() - kept.kept_at))
        call.headers |= {**kept.headers, "cache-status": "edge_gateway; hit", "age": str(age)}
        served = kept.headers.get("x-served-model", "")
        if asked.recognised is not None:
            decision_id = kept.headers.get("x-router-decision-id", "")
            exchange, begun = asked.recognised.exchange, asked.recognised.request.begun
            self._outcomes.fared(self._conversations.decided(asked.recognised, decision_id, True))
            said = begun + kept.text
            self._conversations.heard(exchange, served, said, said=kept.anything)
            self._conversations.ended(exchange, served, "completed", said, said=kept.anything)
        self._outcomes.answered_again(call, served)
        if call.span.traced:
            spans.request_answered_again(call)
        return Reply(kept.media_type, call.headers, body=kept.body)

    async def _answer(self, call: Call, asked: _Asked) -> Reply:
        """Have a model chosen, and deliver what it answers."""
        asker = self._clients.asker(asked.key, call.request_headers)
        question = self._routing.question(asked.form, asked.request, asked.understanding, asked.recognised, asker)
        asked_at = time.monotonic()
        settle = await self._clients.admit(asked.key, asked.request, len(call.body), self._routing.candidates)
        call.waited = time.monotonic() - asked_at
        try:
            decision = await self._decide(call, asked, question)
        except BaseException:
            self._outcomes.release(settle)
            raise
        delivery = self._delivery(call, asked, decision, settle)
        try:
            return await self._deliver(call, asked, delivery)
        except asyncio.CancelledError:
            # The client left before the first byte, so nothing relayed tells of it.
            call.status = errors.CLIENT_CLOSED
            delivery.left()
            raise
        except NotServed as failed:
            delivery.served = failed.served or delivery.served
            if failed.served:
                call.headers["x-served-model"] = header_value(failed.served)
            # A request that no provider would take, or that none was asked, says nothing against this one.
            call.status, call.code = failed.error.status, failed.error.code
            blameless = not failed.served or failed.error.status in _FINAL
            delivery.tell("refused" if blameless else "provider_failed", Usage())
            error = failed.error
        except Exception as fault:
            # No plan can be made for the request, or the fault is ours: what was let in is given back all the same.
            call.status = fault.status if isinstance(fault, errors.GatewayError) else errors.SERVER_ERROR
            delivery.tell("refused", Usage())
            raise
        try:
            raise error
        finally:
            # An error holds the frames it comes by. If one of them held it too, all that they hold would wait for a collection.
            del error

    async def _decide(self, call: Call, asked: _Asked, question: Question) -> Decision:
        call.profile = question.profile
        asked_at = time.monotonic()
        decision = await self._routing.decide(question, call.span)
        if not decision.lease:
            call.router = time.monotonic() - asked_at
        if asked.recognised is not None:
            verdicts = self._conversations.decided(asked.recognised, decision.id, decision.made_by_router)
            self._outcomes.fared(verdicts)
        if decision.lease:
            self._outcomes.leased(call, decision, question)
        if call.span.traced:
            spans.request_decided(call, decision)
        call.headers |= {
            "x-router-decision-id": header_value(decision.id),
            "x-router-model": header_value(decision.ranking[0]),
            "x-router-source": decision.source,
            "x-router-reason": header_value(decision.reason),
        }
        return decision

    def _delivery(self, call: Call, asked: _Asked, decision: Decision, settle: Settle | None) -> Delivery:
        return Delivery(
            self._outcomes,
            self._conversations,
            call,
            decision,
            asked.request.input_tokens,
            asked.recognised,
            settle,
            Recording(self._answers.most_bytes) if asked.kept_under else None,
            asked.kept_under,
            served=decision.ranking[0],
        )

    async def _deliver(self, call: Call, asked: _Asked, delivery: Delivery) -> Reply:
        decision, form, request = delivery.decision, asked.form, asked.request
        needs = Asked(form.name, request, asked.understanding.stable_turns, prompt_messages.repeats_user(request.turns))
        said = portkey_said(call, decision, cached=self._cached_by_portkey)
        deadline = call.started + self._total_seconds
        retried = RETRY_COUNT in call.request_headers
        call.dispatched_at = time.monotonic()
        order = Order(form, call.body, needs, decision.ranking, said, deadline, retried, call.span)
        answer = await self._dispatcher.send(order)
        call.upstream = time.monotonic() - call.dispatched_at
        delivery.served, delivery.adaptations, delivery.span = answer.served, answer.adaptations, answer.span
        call.headers |= {**self._told(answer), **relay.passed_headers(answer.upstream)}
        if asked.kept_under:
            why = "request" if asked.wish is Wish.FRESH else "miss"
            call.headers["cache-status"] = f"edge_gateway; fwd={why}"
        if answer.upstream.status == errors.GUARDRAIL_OBJECTED:
            delivery.recording = None
        if answer.opening is None:
            delivery.media_type = relay.JSON
            delivery.passed(answer.body)
            delivery.finished("completed", answer.usage, 0, answer.said)
            return Reply(relay.JSON, call.headers, body=answer.body)
        delivery.media_type = relay.EVENT_STREAM
        told = decision.note and form is CHAT
        note = notes.note(decision, answer.served, int(time.time())) if told else b""
        stream = relay.stream(answer.opening, form, answer.served, delivery, note)
        return Reply(relay.EVENT_STREAM, call.headers, stream=stream, abandon=lambda: _abandon(answer, delivery))

    def _told(self, answer: Answer) -> Mapping[str, str]:
        headers = {"x-served-model": header_value(answer.served)}
        if answer.adaptations:
            headers["x-router-adaptations"] = ", ".join(answer.adaptations)
        if answer.upstream.status == errors.GUARDRAIL_OBJECTED:
            headers["x-router-guardrail"] = "objected"
        return headers

    def _ended(self, recognised: Recognised | None, outcome: str) -> None:
        if recognised is not None:
            self._conversations.ended(recognised.exchange, "", outcome, "", said=False)


def _abandon(answer: Answer, delivery: Delivery) -> None:
    """The client left before a byte was relayed, so the stream never ran."""
    if not delivery.ended:
        answer.upstream.close()
        seen = answer.opening.observer.usage if answer.opening else answer.usage
        usage = seen if seen.input_tokens else Usage(delivery.input_tokens, estimated=True)
        delivery.finished("interrupted", usage, 0, answer.said, "client_closed")
