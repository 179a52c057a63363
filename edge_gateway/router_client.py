"""Asks the router for decisions over gRPC; protobuf ends here."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from edge_gateway.decisions import Decision, ModelFacts, Offer, ProfileFacts, Question
from edge_gateway.errors import context_exceeded, no_candidate, unknown_model
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc

# Seconds between two looks at the router's profiles.
REFRESH = 30.0
# Waits that were measured: a dead replica is noticed in about a second, a new one is used within a few.
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 1),
    # A proxy named in the environment is for the internet, not for the service next door.
    ("grpc.enable_http_proxy", 0),
    (
        "grpc.service_config",
        json.dumps(
            {
                "loadBalancingConfig": [{"round_robin": {}}],
                "methodConfig": [
                    {
                        "name": [{"service": "router.v1.RouterService"}],
                        "retryPolicy": {
                            "maxAttempts": 3,
                            "initialBackoff": "0.01s",
                            "maxBackoff": "0.1s",
                            "backoffMultiplier": 2,
                            "retryableStatusCodes": ["UNAVAILABLE"],
                        },
                    }
                ],
                "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
            }
        ),
    ),
]


class RouterUnavailable(Exception):
    """The router gave no usable answer; the text says which status."""


_SOURCES = {number: name.removeprefix("DECISION_SOURCE_").lower() for name, number in pb.DecisionSource.items()}


class RouterClient:
    """One channel to the router's replicas; made inside the running event loop, as grpc.aio requires."""

    def __init__(self, target: str, deadline: float) -> None:
        """`target`: a gRPC target such as dns:///router:50051; `deadline`: seconds a decision may take."""
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._stub = router_pb2_grpc.RouterServiceStub(self._channel)
        self._deadline = deadline
        self.offer = Offer({}, {})

    async def select(self, question: Question) -> Decision:
        """The router's decision; RouterUnavailable when there is none, a GatewayError when it refuses the request."""
        try:
            answer = await self._stub.SelectModel(_write(question), timeout=self._deadline)
        except grpc.aio.AioRpcError as error:
            raise self._refusal(error, question) from None
        ranking = tuple(dict.fromkeys([answer.model, *(entry.model for entry in answer.ranking)]))
        if not answer.model:
            raise RouterUnavailable("its answer named no model")
        # A newer router may know sources that this edge does not.
        source = _SOURCES.get(answer.source, "unspecified")
        return Decision(answer.decision_id, True, ranking, source, answer.reason)

    async def report(
        self,
        decision_id: str,
        served_model: str,
        outcome: str,
        usage: tuple[int, int, int],
        seconds: tuple[float, float],
    ) -> None:
        """Tell how a reply fared: usage as (input, output, cached input) tokens, seconds as (latency, first byte)."""
        request = pb.ReportOutcomeRequest(
            decision_id=decision_id,
            served_model=served_model,
            outcome=pb.Outcome.Value(f"OUTCOME_{outcome.upper()}"),
            input_tokens=usage[0],
            output_tokens=usage[1],
            cached_input_tokens=usage[2],
            latency=_duration(seconds[0]),
            time_to_first_byte=_duration(seconds[1]),
        )
        try:
            await self._stub.ReportOutcome(request, timeout=self._deadline)
        except grpc.aio.AioRpcError as error:
            raise RouterUnavailable(error.code().name) from None

    async def refresh(self) -> None:
        """Look at the router's profiles and models once; RouterUnavailable when it does not answer."""
        try:
            profiles = await self._stub.ListProfiles(pb.ListProfilesRequest(), timeout=self._deadline)
            models = await self._stub.ListModels(pb.ListModelsRequest(), timeout=self._deadline)
        except grpc.aio.AioRpcError as error:
            raise RouterUnavailable(error.code().name) from None
        self.offer = Offer(
            {p.name: ProfileFacts(p.name, p.description, tuple(p.candidates)) for p in profiles.profiles},
            {m.id: _model_facts(m) for m in models.models},
        )

    async def keep_refreshing(self) -> None:
        """Look at the offer now and every REFRESH seconds; sooner while the router has never answered."""
        while True:
            try:
                await self.refresh()
            except RouterUnavailable:
                # The last known offer stands.
                await asyncio.sleep(REFRESH if self.offer.profiles else 1.0)
            else:
                await asyncio.sleep(REFRESH)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    def _refusal(self, error: grpc.aio.AioRpcError, question: Question) -> Exception:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return unknown_model(question.profile or question.model, list(self.offer.profiles))
        if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
            # Only what the caller can reach says something about its request.
            violations = [v for v in _violations(error) if v.type != "provider"]
            limits = [self.offer.models[v.subject].context_tokens for v in violations if v.subject in self.offer.models]
            if limits and all(violation.type == "context" for violation in violations):
                return context_exceeded(max(limits), question.input_tokens)
            return no_candidate(error.details() or "No model meets the request's requirements.")
        return RouterUnavailable(error.code().name)


def _violations(error: grpc.aio.AioRpcError) -> list[error_details_pb2.PreconditionFailure.Violation]:
    found: list[error_details_pb2.PreconditionFailure.Violation] = []
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            with contextlib.suppress(DecodeError):
                for detail in status_pb2.Status.FromString(value).details:
                    failure = error_details_pb2.PreconditionFailure()
                    if detail.Unpack(failure):
                        found.extend(failure.violations)
    return found


def _write(question: Question) -> pb.SelectModelRequest:
    outcome = f"OUTCOME_{question.previous_outcome.upper()}"
    request = pb.SelectModelRequest(
        messages=[pb.Message(role=role, text=text) for role, text in question.turns],
        purpose=pb.Purpose.Value(f"PURPOSE_{question.purpose.upper()}"),
        edit_format=question.edit_format,
        conversation_id=question.conversation_id,
        requirements=pb.Requirements(
            input_tokens=question.input_tokens,
            output_tokens=min(question.output_tokens, 2**31),
            vision=question.vision,
            tools=question.tools,
            json=question.json,
        ),
        available_providers=question.available_providers,
        previous_reply=pb.PreviousReply(outcome=pb.Outcome.Value(outcome)),
        metadata=question.metadata,
    )
    if question.model:
        request.model = question.model
    else:
        request.profile = question.profile
    return request


def _model_facts(model: pb.Model) -> ModelFacts:
    return ModelFacts(
        model.id,
        model.context_tokens,
        model.max_output_tokens,
        model.input_usd_per_mtok,
        model.output_usd_per_mtok,
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
