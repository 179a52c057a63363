"""Asks the router for decisions over gRPC; protobuf ends here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import TypeVar

import grpc

from edge_gateway.decisions import Decision, Offer, Question
from edge_gateway.event_stream import Usage
from edge_gateway.router_client import wire
from edge_gateway.router_client.calls import PING, CallFailed, RouterCalls, Unreadable
from edge_gateway.router_client.gathering import Unanswered
from edge_gateway.tracing import spans
from edge_gateway.tracing.span import NOT_TRACED, Span, TraceContext
from protos.router.v1 import router_pb2 as pb

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
UNREADABLE = "its answer could not be read"


class RouterUnavailable(Exception):
    """The router gave no usable answer; the text says which status."""


class RouterClient:
    """Asks the router's replicas over one channel; made inside the running event loop, as grpc.aio requires."""

    def __init__(
        self,
        target: str,
        deadline: float,
        credentials: grpc.ChannelCredentials | None = None,
        token: str = "",
        on_time: Callable[[], bool] = lambda: True,
        hedge_after: float = HEDGE_AFTER,
        ping: float = PING,
    ) -> None:
        """`target`: a gRPC target such as dns:///router:50051; `deadline`: seconds a decision may take.

        `credentials` are for a router with TLS, `token` for one that asks for it. `on_time`: whether this process is; while it
        is not, an answer that stays out says nothing against its replica. `hedge_after`: seconds until one that has not come
        is asked of another replica too; `ping`: until a replica that answers no ping counts as dead.
        """
        self._on_time = on_time
        self._hedge_after = hedge_after
        self._deadline = deadline
        self._calls = RouterCalls(target, deadline, credentials, token, ping)
        self.offer = Offer({}, {})
        # Whether it answered when it was asked last, for a decision or for its offer.
        self.answers = False

    def select(self, question: Question, parent: Span = NOT_TRACED) -> Coroutine[None, None, Decision]:
        """The router's decision; RouterUnavailable when there is none, a GatewayError when it refuses the request.

        `parent`: the span within which it is asked.
        """
        request = wire.write_question(question)
        if parent.traced:
            return self._select_traced(request, question, parent)
        return self._select(request, question, NOT_TRACED)

    async def _select_traced(self, request: pb.SelectModelRequest, question: Question, parent: Span) -> Decision:
        span = spans.router_asked(parent)
        wire.write_trace(request, span.context())
        try:
            decision = await self._select(request, question, span)
            spans.router_answered(span, decision)
        except RouterUnavailable as unavailable:
            spans.router_failed(span, str(unavailable))
            raise
        finally:
            span.end()
        return decision

    async def _select(self, request: pb.SelectModelRequest, question: Question, span: Span) -> Decision:
        try:
            answer = await self._ask(request)
            self.answers = True
        except RouterUnavailable:
            self.answers = False
            raise
        except CallFailed as failed:
            # A refusal is an answer.
            self.answers = failed.code not in _LOST
            if span.traced:
                code: int = failed.code.value[0]
                spans.router_failed(span, failed.code.name, code)
            # Not by a name of its own: an error holds the frames it comes by, and would hold itself by one of them.
            raise (
                wire.refusal(failed.code, failed.text, failed.removed, question, self.offer)
                or RouterUnavailable(failed.code.name)
            ) from None
        if not answer.model:
            raise RouterUnavailable("its answer named no model")
        return wire.read_decision(answer)

    async def _ask(self, request: pb.SelectModelRequest) -> pb.SelectModelResponse:
        """Ask, and ask another replica as well when one stays silent or breaks off; the first answer counts.

        A frozen process answers neither yes nor no, and a call that it holds is lost with it. Two refusals at once are no
        reason to ask again: then no replica is there. Whoever asks again asks by itself.
        """
        started = time.monotonic()
        asked: set[asyncio.Future[pb.SelectModelResponse]] = set()
        done: set[asyncio.Future[pb.SelectModelResponse]] = set()
        tries = 0
        try:
            while (left := self._deadline - (time.monotonic() - started)) > 0 and (asked or tries < TRIES):
                if tries < TRIES:
                    again = tries > 0
                    alone = self._calls.select_alone(request, left) if again else None
                    asked.add(asyncio.ensure_future(alone) if alone else self._calls.select(request))
                    tries += 1
                wait = min(self._hedge_after, left) if tries < TRIES and self._on_time() else left
                done, asked = await asyncio.wait(asked, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for answer in done:
                    error = answer.exception()
                    if error is None:
                        return answer.result()
                    refused_at_once = time.monotonic() - started < AT_ONCE and tries > 1
                    if not _is_lost(error) or refused_at_once:
                        try:
                            raise _plain(error)
                        finally:
                            # As above.
                            del error, answer
            raise RouterUnavailable("DEADLINE_EXCEEDED")
        finally:
            _let_go(asked | done)
            done.clear()

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
        request = wire.write_report(decision_id, served_model, outcome, usage, seconds, adaptations)
        answer = await _heard(self._calls.report(request))
        return answer.cost_usd if answer.HasField("cost_usd") else None

    async def tell_leased(
        self, decision: Decision, question: Question, made_at: float, trace: TraceContext | None = None
    ) -> None:
        """Tell what was decided here under a lease; `made_at`: seconds since the epoch."""
        leased = wire.write_leased(decision, question, made_at)
        if trace is not None:
            wire.write_trace(leased.request, trace)
        await _heard(self._calls.tell_leased(leased))

    async def spending(self, since: float) -> Mapping[str, float]:
        """What each key's replies have cost, US dollars, since then (seconds since the epoch)."""
        request = pb.GetSpendingRequest()
        request.since.FromNanoseconds(int(since * 1e9))
        answer = await _heard(self._calls.spending(request))
        return {row.caller: row.cost_usd for row in answer.rows if row.caller}

    async def refresh(self) -> None:
        """Look at the router's profiles and models once; RouterUnavailable when it does not answer."""
        try:
            profiles = await _heard(self._calls.list_profiles())
            models = await _heard(self._calls.list_models())
        except RouterUnavailable:
            self.answers = False
            raise
        self.offer, self.answers = wire.read_offer(profiles, models), True

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
        await self._calls.reconnect(credentials)

    async def close(self) -> None:
        """Close the channel."""
        await self._calls.close()


async def _heard(call: Awaitable[Message]) -> Message:
    """A call's answer; RouterUnavailable where it has none."""
    try:
        return await call
    except CallFailed as failed:
        raise RouterUnavailable(failed.code.name) from None
    except (Unreadable, Unanswered):
        raise RouterUnavailable(UNREADABLE) from None


def _let_go(answers: Iterable[asyncio.Future[pb.SelectModelResponse]]) -> None:
    """Nobody waits for these any more."""
    for answer in answers:
        if not answer.cancel() and not answer.cancelled():
            # asyncio logs a failure that nobody has looked at.
            answer.exception()


def _is_lost(error: BaseException) -> bool:
    """Whether another replica may answer in the place of the one that failed so."""
    return isinstance(error, CallFailed) and error.code in _LOST


def _plain(error: BaseException) -> BaseException:
    """What a question ends with that failed so."""
    return RouterUnavailable(UNREADABLE) if isinstance(error, Unreadable | Unanswered) else error
