"""Tells how each reply was delivered and, later, how it fared: a log line, and reports behind the client's back."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import TypeAlias

import msgspec

from edge_gateway import telemetry
from edge_gateway.cache import Answers, Kept
from edge_gateway.call import Call, header_value
from edge_gateway.conversations import Verdict
from edge_gateway.decisions import Decision, Question
from edge_gateway.event_stream import Usage
from edge_gateway.feedback import Feedback
from edge_gateway.router_client.client import ABSENT, RouterClient, RouterUnavailable
from edge_gateway.tracing import spans

# Reports under way at once; beyond it the router is too slow, or gone too long, to be told everything.
MOST_UNDER_WAY = 1000
# Seconds until what the router was not there to hear is told again: in all about what a restart takes.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0)
LONGEST_NAME = 100
# What the router says of a decision that it does not know, and how ids of those made here begin.
UNKNOWN, LEASED = "NOT_FOUND", "lease_"
NOT_IN_A_TRACE: Mapping[str, str] = {}

# Takes what a request used and what it cost, US dollars, None where the router could not say; called once.
Settle: TypeAlias = Callable[[Usage, str, float | None], Coroutine[None, None, None]]
# An answer to be kept, and the key under which it is.
Keep: TypeAlias = tuple[bytes, Kept]


class Delivered(msgspec.Struct, frozen=True):
    """A delivery that has ended: `served` gave the reply, after its request was fitted by the rules `adaptations`."""

    decision: Decision
    served: str
    outcome: str
    usage: Usage = Usage()
    adaptations: tuple[str, ...] = ()


class Outcomes:
    """Logs deliveries and reports them in tasks of their own: never in a client's way, never lost silently."""

    def __init__(self, router: RouterClient, answers: Answers, feedback: Feedback | None = None) -> None:
        """`feedback`: hosted Portkey's, None where it is not to be told."""
        self._router = router
        self._answers = answers
        self._feedback = feedback
        self._under_way: set[asyncio.Task[None]] = set()
        # For each decision the latest report: what is told last counts, so one waits for the other.
        self._latest: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._closing = asyncio.Event()

    def delivered(
        self, call: Call, ended: Delivered, first_byte: float, settle: Settle | None = None, kept: Keep | None = None
    ) -> None:
        """Tell of a delivery that has ended; `first_byte` is when the first byte came, 0 when it was not streamed."""
        call.told = True
        latency = call.elapsed()
        until_first = first_byte - call.started if first_byte else None
        decision, usage = ended.decision, ended.usage
        telemetry.event(
            "completion",
            request_id=call.headers["x-request-id"],
            key=call.key_name,
            form=call.form,
            decision_id=decision.id,
            requested=header_value(call.requested_model)[:LONGEST_NAME],
            model=decision.ranking[0],
            served=ended.served,
            source=decision.source,
            purpose=call.headers["x-router-purpose"],
            previous_outcome=call.headers["x-router-previous-outcome"],
            outcome=ended.outcome,
            status=call.status,
            code=call.code,
            stream=call.streamed,
            stream_end=call.stream_end,
            model_class=call.model_class,
            adaptations=list(ended.adaptations),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            tokens_estimated=usage.estimated,
            first_byte_ms=None if until_first is None else round(until_first * 1000),
            router_ms=_milliseconds(call.router),
            added_ms=_milliseconds(call.added()) if call.dispatched_at else None,
            upstream_ms=_milliseconds(call.upstream),
            model_ms=_milliseconds(latency - (call.dispatched_at - call.started)) if call.dispatched_at else None,
            ms=round(latency * 1000),
            **_traced(call),
        )
        if kept is not None:
            self._start("cache", decision.id, self._answers.keep(*kept, decision.id))
        seconds = (latency, until_first or latency)
        told = decision.made_by_router and ended.outcome != "refused"
        if settle is not None and ("router", decision.id) in self._latest:
            # Its report waits until the router has heard of the decision, which may take long; whoever waits for room does not.
            self._start("limits", decision.id, settle(usage, ended.served, None), must=True)
            settle = None
        if told or settle is not None:
            self._start(
                "router", decision.id, self._account(ended, seconds if told else None, settle), must=bool(settle)
            )

    def answered_again(self, call: Call, served: str) -> None:
        """Tell of an answer out of the cache: nothing was decided, and nothing cost anything."""
        call.told = True
        telemetry.event(
            "answered_again",
            request_id=call.headers["x-request-id"],
            key=call.key_name,
            form=call.form,
            decision_id=call.headers.get("x-router-decision-id", ""),
            requested=header_value(call.requested_model)[:LONGEST_NAME],
            served=served,
            purpose=call.headers["x-router-purpose"],
            previous_outcome=call.headers["x-router-previous-outcome"],
            stream=call.streamed,
            model_class=call.model_class,
            ms=round(call.elapsed() * 1000),
            **_traced(call),
        )

    def leased(self, call: Call, decision: Decision, question: Question) -> None:
        """Tell the router what was decided here by its lease; what is reported of the decision waits for it."""
        made_at = time.time()
        # Texts are not told, and a router that is away may take long to hear.
        told_of = msgspec.structs.replace(question, turns=())
        trace = spans.leased(call.span, decision) if call.span.traced else None
        told = self._persist(decision.id, lambda: self._router.tell_leased(decision, told_of, made_at, trace))
        self._start("router", decision.id, told, must=True)

    def release(self, settle: Settle | None) -> None:
        """A request that was let in has been refused before it cost anything."""
        if settle is not None:
            self._start("limits", uuid.uuid4().hex, settle(Usage(), "", 0.0), must=True)

    def fared(self, verdicts: Iterable[Verdict]) -> None:
        """Tell of earlier replies what the client's next request has shown."""
        for verdict in verdicts:
            told = self._report(verdict.decision_id, verdict.served, verdict.outcome)
            self._start("router", verdict.decision_id, told)
            self._start("cache", verdict.decision_id, self._answers.forget(verdict.decision_id, verdict.outcome))
            if self._feedback is not None:
                self._start("portkey", verdict.decision_id, self._feedback.send(verdict.decision_id, verdict.outcome))

    @property
    def under_way(self) -> int:
        """How much is still to be told."""
        return len(self._under_way)

    async def close(self) -> None:
        """Wait for the reports under way, each tried once more at most; each try has a deadline of its own."""
        self._closing.set()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._feedback is not None:
            await self._feedback.close()

    def _start(self, whom: str, decision_id: str, work: Coroutine[None, None, None], *, must: bool = False) -> None:
        """Do the work behind the client's back; `must`: even where too much of it is under way."""
        if len(self._under_way) >= MOST_UNDER_WAY and not must:
            work.close()
            telemetry.problem("report_dropped", decision_id=decision_id)
            return
        key = (whom, decision_id)
        task = asyncio.create_task(_after(self._latest.get(key), work))
        self._under_way.add(task)
        self._latest[key] = task

        def done(task: asyncio.Task[None]) -> None:
            self._under_way.discard(task)
            if self._latest.get(key) is task:
                del self._latest[key]

        task.add_done_callback(done)

    async def _account(self, ended: Delivered, seconds: tuple[float, float] | None, settle: Settle | None) -> None:
        """Report a delivery, and settle what it cost: by the router's word, or without it where that does not come at once."""

        async def settled(cost: float | None) -> None:
            if settle is not None:
                await settle(ended.usage, ended.served, cost)

        if seconds is None:
            await settled(None)
            return
        await self._report(
            ended.decision.id, ended.served, ended.outcome, ended.usage, seconds, ended.adaptations, settled
        )

    async def _report(
        self,
        decision_id: str,
        served: str,
        outcome: str,
        usage: Usage = Usage(),  # noqa: B008 - frozen
        seconds: tuple[float, float] | None = None,
        adaptations: tuple[str, ...] = (),
        settle: Callable[[float | None], Awaitable[None]] | None = None,
    ) -> None:
        async def report() -> None:
            nonlocal settle
            cost = None
            try:
                cost = await self._router.report(decision_id, served, outcome, usage, seconds, adaptations)
            finally:
                if settle is not None:
                    # Whoever waits for room waits for this; a router that is away may take long to say.
                    settling, settle = settle, None
                    await settling(cost)

        await self._persist(decision_id, report)

    async def _persist(self, decision_id: str, tell: Callable[[], Awaitable[None]]) -> None:
        """Tell the router, again and again while it is not there to hear."""
        for pause in (*PAUSES, None):
            closing = self._closing.is_set()
            try:
                await tell()
            except RouterUnavailable as error:
                problem = str(error)
            else:
                return
            # Another replica may have been told of the decision, and write it in a moment.
            unwritten = problem == UNKNOWN and decision_id.startswith(LEASED) and pause == PAUSES[0]
            if pause is None or closing or not (problem in ABSENT or unwritten):
                telemetry.problem("report_failed", decision_id=decision_id, status=problem)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)


def _traced(call: Call) -> Mapping[str, str]:
    """By what a line of the log is found again in a trace."""
    return {"trace_id": call.span.trace_id} if call.span.traced else NOT_IN_A_TRACE


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


async def _after(earlier: asyncio.Task[None] | None, work: Coroutine[None, None, None]) -> None:
    if earlier is not None:
        await asyncio.wait({earlier})
    await work
