"""The page's calls to the router, over a channel of their own: nothing that the page asks holds up a decision's call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import grpc

from edge_gateway.page import wire
from edge_gateway.page.views import Explanation, Profile, Report, Row, Sum, Trial
from edge_gateway.router_client.calls import options
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc

Message = TypeVar("Message")

# Seconds for one decision or a list, for a trial (Not Diamond may be asked), for a large ledger, until a watch begins.
QUICK, TRIAL, SLOW, BEGINNING = 3.0, 5.0, 5.0, 2.0
# Seconds that calls under way get on a channel that is replaced.
GRACE = 1.0
_REFUSALS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
)


class RouterAway(Exception):
    """The router gave no answer; the text says with which status."""


class Refused(Exception):
    """The router refused what was asked; the text is its sentence."""


class Watching:
    """From here on the watch misses nothing."""


Event = Watching | Row | Report


class Calls:
    """What the page asks of the router; made inside the running event loop, as grpc.aio requires."""

    def __init__(self, target: str, credentials: grpc.ChannelCredentials | None, token: str) -> None:
        """`target`, `credentials` and `token`: as of RouterClient."""
        self._target = target
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._connect(credentials)

    async def renew(self, credentials: grpc.ChannelCredentials) -> None:
        """Go on over a new channel with these credentials."""
        before = self._channel
        self._connect(credentials)
        await before.close(GRACE)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def decisions(
        self, tenant: str, profile: str, model: str, conversation: str, size: int, token: str
    ) -> tuple[tuple[Row, ...], str]:
        """A page of decisions, latest first, and the next page's token, empty after the last."""
        request = pb.ListDecisionsRequest(
            page_size=size,
            page_token=token,
            tenant=tenant,
            profile=profile,
            model=model,
            conversation_id=conversation,
        )
        answer = await self._call(self._stub.ListDecisions, request, QUICK)
        return tuple(wire.read_summary(summary) for summary in answer.decisions), answer.next_page_token

    async def explain(self, decision_id: str) -> Explanation:
        """The whole trace of a decision; Refused where the router does not know it."""
        request = pb.ExplainDecisionRequest(decision_id=decision_id)
        return wire.read_explanation(await self._call(self._stub.ExplainDecision, request, QUICK))

    async def sums(self, tenant: str, profile: str, since: float) -> tuple[Sum, ...]:
        """What came of the decisions since then (seconds since the epoch, 0 for all)."""
        request = pb.GetSavingsRequest(tenant=tenant, profile=profile)
        if since:
            request.since.FromNanoseconds(int(since * 1e9))
        return wire.read_sums(await self._call(self._stub.GetSavings, request, SLOW))

    async def profiles(self) -> tuple[Profile, ...]:
        """The routing policies."""
        return wire.read_profiles(await self._call(self._stub.ListProfiles, pb.ListProfilesRequest(), QUICK))

    async def route(self, trial: Trial) -> Explanation:
        """The decision on a trial, with as much of its trace as is to be had."""
        answer = await self._call(self._stub.SelectModel, wire.write_trial(trial), TRIAL)
        try:
            return await self.explain(answer.decision_id)
        except (RouterAway, Refused):
            # Another replica may have been asked, which does not know it yet.
            return wire.read_decision(answer, trial, time.time())

    async def watch(self) -> AsyncGenerator[Event, None]:
        """What happens at the router from now on, beginning with a Watching; RouterAway when it does not tell, or no longer."""
        call = self._stub.WatchDecisions(pb.WatchDecisionsRequest(), metadata=self._metadata)
        try:
            async with asyncio.timeout(BEGINNING):
                await call.initial_metadata()
            if not call.done():
                yield Watching()
            async for event in call:
                if event is None:
                    raise RouterAway("UNREADABLE")
                if event.HasField("decision"):
                    yield wire.read_summary(event.decision)
                elif event.HasField("outcome"):
                    yield wire.read_report(event.outcome)
        except grpc.aio.AioRpcError as error:
            raise RouterAway(error.code().name) from None
        except TimeoutError:
            raise RouterAway("DEADLINE_EXCEEDED") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # It was the call alone: its channel was closed for one with new credentials.
            raise RouterAway("CANCELLED") from None
        finally:
            call.cancel()

    def _connect(self, credentials: grpc.ChannelCredentials | None) -> None:
        own: list[tuple[str, Any]] = [*options(), ("grpc.use_local_subchannel_pool", 1)]
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=own)
        else:
            self._channel = grpc.aio.secure_channel(self._target, credentials, options=own)
        self._stub = router_pb2_grpc.RouterServiceStub(self._channel)

    async def _call(self, method: Callable[..., Awaitable[Message]], request: object, seconds: float) -> Message:
        try:
            answer = await method(request, timeout=seconds, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                raise Refused(error.details() or error.code().name) from None
            raise RouterAway(error.code().name) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RouterAway("CANCELLED") from None
        if answer is None:
            # Its bytes were no message of the contract.
            raise RouterAway("UNREADABLE")
        return answer
