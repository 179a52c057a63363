"""What the edge says in each of its spans: of a request, of the question to the router, of the call to the models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from starlette.types import Scope

from edge_gateway import chat_request
from edge_gateway.call import Call, header_value
from edge_gateway.chat_request import ChatRequest, Turn
from edge_gateway.decisions import Decision
from edge_gateway.event_stream import Said, Usage
from edge_gateway.tracing import names
from edge_gateway.tracing.span import Attributes, Span, TraceContext, Tracer

RPC = "router.v1.RouterService"
SERVER_ERROR, CLIENT_ERROR = 500, 400
# Characters of a prompt, and of a reply, where they may be said.
LONGEST_CONTENTS = 8000
LONGEST_PATH, LONGEST_MODEL = 300, 100
# What may be why an answer ended; else a provider could say anything there.
_FINISH = re.compile(r"[A-Za-z_-]{1,40}")


def request_begun(tracer: Tracer, scope: Scope, call: Call) -> Span:
    """A client's request has come; it belongs to the trace that its headers name."""
    path: str = scope["path"]
    session = call.base_url_session
    route = path.replace(f"/s/{session}", "/s/{session}", 1) if session else path
    came = [value for name, value in call.request_headers.items() if name == "traceparent"]
    states = [value for name, value in call.request_headers.items() if name == "tracestate"]
    # Two parents are none.
    context = TraceContext(came[0] if len(came) == 1 else "", ",".join(states))
    said = {
        names.HTTP_METHOD: "POST",
        names.HTTP_ROUTE: route[:LONGEST_PATH],
        names.URL_PATH: path[:LONGEST_PATH],
        names.URL_SCHEME: str(scope.get("scheme", "http")),
        names.REQUEST_ID: call.headers["x-request-id"],
    }
    return tracer.begin(f"POST {route[:LONGEST_PATH]}", context, said)


def request_ended(span: Span, status: int, problem: str = "") -> None:
    """It is answered, to its last byte; `problem`: the code of the error that it is answered with."""
    span.say({names.HTTP_STATUS: status})
    if status >= SERVER_ERROR:
        span.fail(problem or str(status))
    elif status >= CLIENT_ERROR and problem:
        span.say({names.ERROR_TYPE: problem})
    span.end()


def request_decided(call: Call, decision: Decision) -> None:
    """Which model is to answer, and why."""
    call.span.say(
        {
            names.SOURCE: decision.source,
            names.REASON: header_value(decision.reason),
            names.DECISION_ID: decision.id,
            names.PURPOSE: call.headers["x-router-purpose"],
            names.PREVIOUS_OUTCOME: call.headers["x-router-previous-outcome"],
            names.REQUESTED_MODEL: header_value(call.requested_model)[:LONGEST_MODEL],
        }
    )


def request_answered_again(call: Call) -> None:
    """It has the answer that the same request had before."""
    call.span.say(
        {
            names.ANSWERED_AGAIN: True,
            names.PURPOSE: call.headers["x-router-purpose"],
            names.REQUESTED_MODEL: header_value(call.requested_model)[:LONGEST_MODEL],
        }
    )


def router_asked(parent: Span) -> Span:
    """The router is asked for a decision; many ask in one call, and each has its own span."""
    said = {names.RPC_SYSTEM: "grpc", names.RPC_SERVICE: RPC, names.RPC_METHOD: "SelectModel"}
    return parent.child(f"{RPC}/SelectModel", said, calls=True)


def router_answered(span: Span, decision: Decision) -> None:
    """It has decided."""
    reason = header_value(decision.reason)
    said = {names.SOURCE: decision.source, names.REASON: reason, names.DECISION_ID: decision.id}
    span.say({names.RPC_STATUS: 0, **said})


def router_failed(span: Span, problem: str, code: int | None = None) -> None:
    """It has not; `code`: gRPC's, None where an answer came that was of no use."""
    if code is not None:
        span.say({names.RPC_STATUS: code})
    span.fail(problem)


def leased(parent: Span, decision: Decision) -> TraceContext:
    """Nobody was asked: the router had allowed it. The context is for whoever is told of it."""
    said = {
        names.SOURCE: decision.source,
        names.REASON: header_value(decision.reason),
        names.DECISION_ID: decision.id,
        names.LEASE: decision.lease,
    }
    span = parent.child("router.decision leased", said, calls=False)
    span.end()
    return span.context()


def models_asked(parent: Span, form: str, request: ChatRequest, model: str, portkey: tuple[str, int]) -> Span:
    """Models are asked by way of Portkey, this one first; `portkey`: its host and port."""
    operation = names.OPERATIONS.get(form, "chat")
    address, port = portkey
    span = parent.child(
        f"{operation} {model}",
        {
            names.OPERATION: operation,
            names.PROVIDER: _provider(model),
            names.REQUEST_MODEL: model,
            names.REQUEST_STREAM: request.stream,
            names.REQUESTED_MODEL: header_value(request.model)[:LONGEST_MODEL],
            names.SERVER_ADDRESS: address,
            names.SERVER_PORT: port,
        },
        calls=True,
    )
    if span.contents:
        turns = chat_request.clipped(request.turns, LONGEST_CONTENTS)
        span.say({names.INPUT_MESSAGES: _messages((turn, "") for turn in turns)})
    return span


def model_answers(span: Span, served: str, fallback_index: int, first_chunk: float | None) -> None:
    """One of them does; `first_chunk`: seconds until it began to, None for an answer that came whole."""
    span.say({names.PROVIDER: _provider(served), names.RESPONSE_MODEL: served, names.FALLBACK_INDEX: fallback_index})
    if first_chunk is not None:
        span.say({names.TIME_TO_FIRST_CHUNK: first_chunk})


def models_failed(span: Span, problem: str, last_tried: str) -> None:
    """None of them does; `problem`: the error's code."""
    if last_tried:
        span.say({names.RESPONSE_MODEL: last_tried})
    span.fail(problem)
    span.end()


def model_answered(span: Span, call: Call, decision: Decision, outcome: str, usage: Usage, said: Said) -> None:
    """The answer has ended, for the client too; `outcome`: as it is reported."""
    told: Attributes = {
        names.OUTCOME: outcome,
        names.DECISION_ID: decision.id,
        names.CONVERSATION: call.headers.get("x-router-conversation-id", ""),
        names.INPUT_TOKENS: usage.input_tokens,
        names.OUTPUT_TOKENS: usage.output_tokens,
        names.CACHED_TOKENS: usage.cached_input_tokens,
        names.TOKENS_ESTIMATED: usage.estimated,
    }
    span.say(told)
    call.span.say({names.OUTCOME: outcome})
    if said.reasons:
        span.say({names.FINISH_REASONS: [reason for reason in said.reasons if _FINISH.fullmatch(reason)]})
    if span.contents and said.text:
        turn = Turn("assistant", said.text[:LONGEST_CONTENTS])
        span.say({names.OUTPUT_MESSAGES: _messages([(turn, said.reasons[0] if said.reasons else "")])})
    if outcome == "provider_failed":
        span.fail(outcome)
        call.span.fail(outcome)
    span.end()


def _provider(model: str) -> str:
    name = model.partition("/")[0]
    return names.PROVIDERS.get(name, name)


def _messages(turns: Iterable[tuple[Turn, str]]) -> str:
    """Messages in the conventions' form, each with why it ended, if it did; as JSON, for attributes hold no more."""
    told = []
    for turn, finish in turns:
        message: dict[str, object] = {"role": turn.role, "parts": [{"type": "text", "content": turn.text}]}
        told.append(message | ({"finish_reason": finish} if finish else {}))
    return json.dumps(told)
