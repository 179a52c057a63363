"""Asks the router for decisions over gRPC; protobuf ends here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from edge_gateway.decisions import Decision, ModelFacts, Offer, ProfileFacts, Question
from edge_gateway.errors import context_exceeded, no_candidate, unknown_model
from edge_gateway.event_stream import Usage
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc

# Seconds between two looks at the router's profiles.
REFRESH = 30.0
# A decision that has not come after so many seconds is asked of another replica too, so many times in all.
HEDGE_AFTER, TRIES = 0.3, 6
# Seconds within which a refusal counts as given at once, gRPC's own retries included.
AT_ONCE = 0.15
_LOST = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
# What RouterUnavailable says where no router answered.
ABSENT = tuple(status.name for status in _LOST)
# Waits that were measured: a dead replica is noticed in about a second, a new one is used within a few.
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.keepalive_time_ms", 1_000),
    ("grpc.http2.ping_timeout_ms", 500),
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

    def __init__(
        self, target: str, deadline: float, credentials: grpc.ChannelCredentials | None = None, token: str = ""
    ) -> None:
        """`target`: a gRPC target such as dns:///router:50051; `deadline`: seconds a decision may take.

        `credentials` are for a router with TLS, `token` for one that asks for it.
        """
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._stub = router_pb2_grpc.RouterServiceStub(self._channel)
        self._deadline = deadline
        self.offer = Offer({}, {})

    async def select(self, question: Question) -> Decision:
        """The router's decision; RouterUnavailable when there is none, a GatewayError when it refuses the request."""
        answer = await self._ask(question)
        ranking = tuple(dict.fromkeys([answer.model, *(entry.model for entry in answer.ranking)]))
        if not answer.model:
            raise RouterUnavailable("its answer named no model")
        # A newer router may know sources that this edge does not.
        source = _SOURCES.get(answer.source, "unspecified")
        return Decision(answer.decision_id, True, ranking, source, answer.reason)

    async def _ask(self, question: Question) -> pb.SelectModelResponse:
        """Ask, and ask another replica as well when one stays silent or breaks off; the first answer counts.

        A frozen process answers neither yes nor no, and a call that it holds is lost with it. Two refusals at once are no
        reason to ask again: then no replica is there.
        """
        request = _write(question)
        started = time.monotonic()
        asked: set[asyncio.Task[pb.SelectModelResponse]] = set()
        tries = 0
        try:
            while (left := self._deadline - (time.monotonic() - started)) > 0 and (asked or tries < TRIES):
                if tries < TRIES:
                    asked.add(asyncio.create_task(self._select_model(request, left)))
                    tries += 1
                wait = min(HEDGE_AFTER, left) if tries < TRIES else left
                done, asked = await asyncio.wait(asked, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception()
                    if error is None:
                        return task.result()
                    lost = isinstance(error, grpc.aio.AioRpcError) and error.code() in _LOST
                    refused_at_once = time.monotonic() - started < AT_ONCE and tries > 1
                    if not lost or refused_at_once:
                        raise error
            raise RouterUnavailable("DEADLINE_EXCEEDED")
        except grpc.aio.AioRpcError as error:
            raise self._refusal(error, question) from None
        finally:
            for task in asked:
                task.cancel()

    async def _select_model(self, request: pb.SelectModelRequest, seconds: float) -> pb.SelectModelResponse:
        return await self._stub.SelectModel(request, timeout=seconds, metadata=self._metadata)

    async def report(
        self,
        decision_id: str,
        served_model: str,
        outcome: str,
        usage: Usage,
        seconds: tuple[float, float] | None,
    ) -> None:
        """Tell how a reply fared; seconds are (latency, first byte), None where they are not known."""
        request = pb.ReportOutcomeRequest(
            decision_id=decision_id,
            served_model=served_model,
            outcome=pb.Outcome.Value(f"OUTCOME_{outcome.upper()}"),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            tokens_estimated=usage.estimated,
            latency=_duration(seconds[0]) if seconds else None,
            time_to_first_byte=_duration(seconds[1]) if seconds else None,
        )
        try:
            await self._stub.ReportOutcome(request, timeout=self._deadline, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise RouterUnavailable(error.code().name) from None

    async def refresh(self) -> None:
        """Look at the router's profiles and models once; RouterUnavailable when it does not answer."""
        try:
            limits: dict[str, Any] = {"timeout": self._deadline, "metadata": self._metadata}
            profiles = await self._stub.ListProfiles(pb.ListProfilesRequest(), **limits)
            models = await self._stub.ListModels(pb.ListModelsRequest(), **limits)
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


def channel_credentials(files: tuple[bytes, bytes | None, bytes | None] | None) -> grpc.ChannelCredentials | None:
    """Credentials from (authority, key, certificate); None for plaintext."""
    return None if files is None else grpc.ssl_channel_credentials(*files)


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
    previous = question.previous
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
            prefix_tokens=question.prefix_tokens,
        ),
        available_providers=question.available_providers,
        previous_reply=pb.PreviousReply(
            outcome=pb.Outcome.Value(f"OUTCOME_{previous.outcome.upper()}"),
            model=previous.model,
            decision_id=previous.decision_id,
            consecutive_failures=previous.failures,
        ),
        continuation=question.continuation,
        tenant=question.tenant,
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
