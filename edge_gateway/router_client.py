"""Asks the router for decisions over gRPC; protobuf ends here."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import grpc

from edge_gateway import router_wire
from edge_gateway.decisions import Decision, Offer, Question
from edge_gateway.event_stream import Usage
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc

Message = TypeVar("Message")

# Seconds between two looks at the router's profiles.
REFRESH = 30.0
# A decision that has not come after so many seconds is asked of another replica too, so many times in all.
HEDGE_AFTER, TRIES = 0.3, 6
# Seconds within which a refusal counts as given at once, gRPC's own retries included.
AT_ONCE = 0.15
# A router that is stopped cancels the calls that it cannot finish.
_LOST = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
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


class RouterClient:
    """One channel to the router's replicas; made inside the running event loop, as grpc.aio requires."""

    def __init__(
        self,
        target: str,
        deadline: float,
        credentials: grpc.ChannelCredentials | None = None,
        token: str = "",
        on_time: Callable[[], bool] = lambda: True,
    ) -> None:
        """`target`: a gRPC target such as dns:///router:50051; `deadline`: seconds a decision may take.

        `credentials` are for a router with TLS, `token` for one that asks for it. `on_time`: whether this process is; while it
        is not, an answer that stays out says nothing against its replica.
        """
        self._on_time = on_time
        self._target = target
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._deadline = deadline
        self._connect(credentials)
        self.offer = Offer({}, {})

    async def select(self, question: Question) -> Decision:
        """The router's decision; RouterUnavailable when there is none, a GatewayError when it refuses the request."""
        answer = await self._ask(question)
        if not answer.model:
            raise RouterUnavailable("its answer named no model")
        return router_wire.read_decision(answer)

    async def _ask(self, question: Question) -> pb.SelectModelResponse:
        """Ask, and ask another replica as well when one stays silent or breaks off; the first answer counts.

        A frozen process answers neither yes nor no, and a call that it holds is lost with it. Two refusals at once are no
        reason to ask again: then no replica is there.
        """
        request = router_wire.write_question(question)
        started = time.monotonic()
        asked: set[asyncio.Task[pb.SelectModelResponse]] = set()
        tries = 0
        try:
            while (left := self._deadline - (time.monotonic() - started)) > 0 and (asked or tries < TRIES):
                if tries < TRIES:
                    asked.add(asyncio.create_task(self._select_model(request, left)))
                    tries += 1
                wait = min(HEDGE_AFTER, left) if tries < TRIES and self._on_time() else left
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
            raise router_wire.refusal(error, question, self.offer) or RouterUnavailable(error.code().name) from None
        finally:
            for task in asked:
                task.cancel()

    async def _select_model(self, request: pb.SelectModelRequest, seconds: float) -> pb.SelectModelResponse:
        return _read(await self._stub.SelectModel(request, timeout=seconds, metadata=self._metadata))

    async def report(
        self,
        decision_id: str,
        served_model: str,
        outcome: str,
        usage: Usage,
        seconds: tuple[float, float] | None,
        adaptations: tuple[str, ...] = (),
    ) -> float | None:
        """Tell how a reply fared; what it cost in US dollars, None where the router cannot say.

        `seconds` are (latency, first byte), None where they are not known.
        """
        request = router_wire.write_report(decision_id, served_model, outcome, usage, seconds, adaptations)
        try:
            answer = _read(await self._stub.ReportOutcome(request, timeout=self._deadline, metadata=self._metadata))
        except grpc.aio.AioRpcError as error:
            raise RouterUnavailable(error.code().name) from None
        return answer.cost_usd if answer.HasField("cost_usd") else None

    async def spending(self, since: float) -> Mapping[str, float]:
        """What each key's replies have cost, US dollars, since then (seconds since the epoch)."""
        request = pb.GetSpendingRequest()
        request.since.FromNanoseconds(int(since * 1e9))
        try:
            answer = _read(await self._stub.GetSpending(request, timeout=self._deadline, metadata=self._metadata))
        except grpc.aio.AioRpcError as error:
            raise RouterUnavailable(error.code().name) from None
        return {row.caller: row.cost_usd for row in answer.rows if row.caller}

    async def refresh(self) -> None:
        """Look at the router's profiles and models once; RouterUnavailable when it does not answer."""
        try:
            limits: dict[str, Any] = {"timeout": self._deadline, "metadata": self._metadata}
            profiles = _read(await self._stub.ListProfiles(pb.ListProfilesRequest(), **limits))
            models = _read(await self._stub.ListModels(pb.ListModelsRequest(), **limits))
        except grpc.aio.AioRpcError as error:
            raise RouterUnavailable(error.code().name) from None
        self.offer = router_wire.read_offer(profiles, models)

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

    async def renew(self, credentials: grpc.ChannelCredentials) -> None:
        """Go on over a new channel with these credentials; calls under way finish on the one before."""
        before = self._channel
        self._connect(credentials)
        await before.close(self._deadline)

    def _connect(self, credentials: grpc.ChannelCredentials | None) -> None:
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=_OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(self._target, credentials, options=_OPTIONS)
        self._stub = router_pb2_grpc.RouterServiceStub(self._channel)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def _read(answer: Message | None) -> Message:
    """The answer; RouterUnavailable where its bytes were no message, for which grpc.aio gives None."""
    if answer is None:
        raise RouterUnavailable("its answer could not be read")
    return answer
