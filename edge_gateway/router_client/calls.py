"""The calls to the router over one channel: questions and reports in as few as the load allows, the rest one by one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import grpc

from edge_gateway.router_client.gathering import Gathering, Unanswered
from edge_gateway.router_client.wire import Removed, removed_of
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc

Message = TypeVar("Message")
Answer = TypeVar("Answer")

_CODES = {code.value[0]: code for code in grpc.StatusCode}
# Questions of a call at most: deciding them holds up nobody for long.
MOST_QUESTIONS, MOST_REPORTS = 32, 128
# Bytes of them, which is less than a router takes in one message.
MOST_BYTES = 3 << 20
# Seconds that questions are gathered for at most, while a call has no answer yet.
QUESTIONS_WAIT = 0.02
# Nobody waits for reports: seconds that they are gathered for, and at most, while a call has no answer yet.
REPORTS_WAIT, REPORTS_WAIT_BUSY = 0.02, 0.05
# Seconds until a router that knows no calls of many is asked again whether it does: it may be of the release before.
ALONE = 30.0
# Seconds after which a replica that answers no ping counts as dead; it is sent one each second.
PING = 0.5
# Waits that were measured: a dead replica is noticed in about a second, a new one is used within a few.
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.keepalive_time_ms", 1_000),
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


def options(ping: float = PING) -> list[tuple[str, Any]]:
    """How a channel to the router behaves; `ping`: seconds after which a replica that answers none counts as dead."""
    return [*OPTIONS, ("grpc.http2.ping_timeout_ms", round(ping * 1000))]


class CallFailed(Exception):
    """The router answered with a status, or gRPC did in its place; `removed`: the candidates that it says are unfit."""

    def __init__(self, code: grpc.StatusCode, text: str = "", removed: Sequence[Removed] = ()) -> None:
        super().__init__(code.name)
        self.code = code
        self.text = text
        self.removed = removed


class Unreadable(Exception):
    """The answer's bytes were no message of the contract."""


class RouterCalls:
    """One channel to the router's replicas; made inside the running event loop, as grpc.aio requires."""

    def __init__(
        self,
        target: str,
        deadline: float,
        credentials: grpc.ChannelCredentials | None,
        token: str,
        ping: float = PING,
    ) -> None:
        """`target`: a gRPC target such as dns:///router:50051; `deadline`: seconds a call may take unless it says otherwise.

        `ping`: seconds after which a replica that answers none counts as dead.
        """
        self._options = options(ping)
        self._target = target
        self._deadline = deadline
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._alone_until = 0.0
        self._questions = Gathering(self._select_many, _told, 0.0, QUESTIONS_WAIT, MOST_QUESTIONS)
        self._reports = Gathering(self._report_many, _told, REPORTS_WAIT, REPORTS_WAIT_BUSY, MOST_REPORTS)
        self.connect(credentials)

    def connect(self, credentials: grpc.ChannelCredentials | None) -> None:
        """Open a channel with these credentials, for the calls from now on."""
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=self._options)
        else:
            self._channel = grpc.aio.secure_channel(self._target, credentials, options=self._options)
        self._stub = router_pb2_grpc.RouterServiceStub(self._channel)

    async def reconnect(self, credentials: grpc.ChannelCredentials) -> None:
        """Go on over a new channel; calls under way finish on the one before."""
        before = self._channel
        self.connect(credentials)
        await before.close(self._deadline)

    async def close(self) -> None:
        """Send what is gathered, and close the channel."""
        await self._reports.close()
        await self._channel.close()

    def select(self, request: pb.SelectModelRequest) -> asyncio.Future[pb.SelectModelResponse]:
        """The decision to come, in one call with what others ask at the same time; CallFailed or Unreadable where it fails."""
        if self._alone():
            # One by one, so that none waits for another's.
            return asyncio.ensure_future(self.select_alone(request, self._deadline))
        return self._questions.ask(request)

    async def select_alone(self, request: pb.SelectModelRequest, seconds: float) -> pb.SelectModelResponse:
        """The decision, in a call of its own within so many seconds; CallFailed or Unreadable where it fails."""
        return await self._call(self._stub.SelectModel, request, seconds)

    def report(self, request: pb.ReportOutcomeRequest) -> asyncio.Future[pb.ReportOutcomeResponse]:
        """Have a report kept, in one call with others; CallFailed or Unreadable where it is not."""
        return self._reports.ask(request)

    def tell_leased(self, leased: pb.LeasedDecision) -> asyncio.Future[pb.ReportOutcomeResponse]:
        """Have a leased decision kept, in one call with reports; CallFailed or Unreadable where it is not."""
        return self._reports.ask(leased)

    async def list_models(self) -> pb.ListModelsResponse:
        """The router's catalogue; CallFailed or Unreadable where it does not come."""
        return await self._call(self._stub.ListModels, pb.ListModelsRequest())

    async def list_profiles(self) -> pb.ListProfilesResponse:
        """The router's profiles; CallFailed or Unreadable where they do not come."""
        return await self._call(self._stub.ListProfiles, pb.ListProfilesRequest())

    async def spending(self, request: pb.GetSpendingRequest) -> pb.GetSpendingResponse:
        """What callers' replies have cost; CallFailed or Unreadable where it does not come."""
        return await self._call(self._stub.GetSpending, request)

    async def _select_many(
        self, requests: Sequence[pb.SelectModelRequest]
    ) -> AsyncIterator[tuple[int, pb.SelectModelResponse | Exception]]:
        # One alone needs no call of many, nor the copy that it takes.
        asked = pb.SelectModelStreamRequest(requests=requests) if len(requests) > 1 else None
        if asked is not None and asked.ByteSize() <= MOST_BYTES:
            try:
                async for answer in self._stub.SelectModelStream(
                    asked, timeout=self._deadline, metadata=self._metadata
                ):
                    for result in _readable(answer).results:
                        if result.position >= len(requests):
                            # Nobody has asked it; what else this router says is no better.
                            raise Unreadable
                        refused = result.HasField("refusal")
                        yield result.position, _refused(result.refusal) if refused else result.decision
            except grpc.aio.AioRpcError as error:
                self._note(error)
            else:
                return
        calls = (self.select_alone(request, self._deadline) for request in requests)
        for position, each in enumerate(await asyncio.gather(*calls, return_exceptions=True)):
            yield position, _known(each)

    async def _report_many(
        self, told: Sequence[pb.ReportOutcomeRequest | pb.LeasedDecision]
    ) -> AsyncIterator[tuple[int, pb.ReportOutcomeResponse | Exception]]:
        reports = [(place, entry) for place, entry in enumerate(told) if isinstance(entry, pb.ReportOutcomeRequest)]
        leased = [(place, entry) for place, entry in enumerate(told) if isinstance(entry, pb.LeasedDecision)]
        if leased or (len(reports) > 1 and not self._alone()):
            asked = pb.ReportOutcomesRequest(
                reports=[entry for _, entry in reports], leased=[entry for _, entry in leased]
            )
            try:
                answer = await self._stub.ReportOutcomes(asked, timeout=self._deadline, metadata=self._metadata)
            except grpc.aio.AioRpcError as error:
                self._note(error)
                for place, _ in leased:
                    # Another replica knows leases, for one has given it.
                    yield place, CallFailed(grpc.StatusCode.UNAVAILABLE)
            else:
                results = _readable(answer)
                for (place, _), result in [
                    *zip(leased, results.leased, strict=False),
                    *zip(reports, results.results, strict=False),
                ]:
                    yield place, _refused(result.refusal) if result.HasField("refusal") else result.kept
                return
        calls = (self._call(self._stub.ReportOutcome, report) for _, report in reports)
        for (place, _), each in zip(reports, await asyncio.gather(*calls, return_exceptions=True), strict=True):
            yield place, _known(each)

    def _alone(self) -> bool:
        """Whether the router was found not to take many at once, a moment ago."""
        return time.monotonic() < self._alone_until

    def _note(self, error: grpc.aio.AioRpcError) -> None:
        """Go on one by one where the router does not take many at once; any other failure counts."""
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise _failure(error) from None
        self._alone_until = time.monotonic() + ALONE

    async def _call(
        self, method: Callable[..., Awaitable[Message]], request: object, seconds: float | None = None
    ) -> Message:
        try:
            answer = await method(request, timeout=seconds or self._deadline, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None
        return _readable(answer)


def _readable(answer: Message | None) -> Message:
    """The answer; Unreadable where its bytes were no message, for which grpc.aio gives None."""
    if answer is None:
        raise Unreadable
    return answer


def _failure(error: grpc.aio.AioRpcError) -> CallFailed:
    return CallFailed(error.code(), error.details() or "", removed_of(error))


def _refused(refusal: pb.Refusal) -> CallFailed:
    removed = [Removed(entry.model, entry.filter) for entry in refusal.removed]
    return CallFailed(_CODES.get(refusal.code, grpc.StatusCode.UNKNOWN), refusal.message, removed)


def _known(each: Answer | BaseException) -> Answer | Exception:
    """One of several calls' answers or failures; what is neither goes on."""
    if isinstance(each, BaseException) and not isinstance(each, Exception):
        raise each
    return each


def _told(error: BaseException) -> Exception:
    """What each of those whose call failed is told."""
    if isinstance(error, CallFailed):
        return CallFailed(error.code, error.text, error.removed)
    return (
        type(error)() if isinstance(error, Unreadable | Unanswered) else RuntimeError("the call to the router failed")
    )
