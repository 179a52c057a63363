"""Tells how each reply was delivered and, later, how it fared: a log line, and reports behind the client's back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable

from edge_gateway import telemetry
from edge_gateway.call import Call, header_value
from edge_gateway.conversations import Verdict
from edge_gateway.decisions import Decision
from edge_gateway.event_stream import Usage
from edge_gateway.feedback import Feedback
from edge_gateway.router_client import ABSENT, RouterClient, RouterUnavailable

# Reports under way at once; beyond it the router is too slow, or gone too long, to be told everything.
MOST_UNDER_WAY = 1000
# Seconds until what the router was not there to hear is told again: in all about what a restart takes.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0)
LONGEST_NAME = 100


class Outcomes:
    """Logs deliveries and reports them in tasks of their own: never in a client's way, never lost silently."""

    def __init__(self, router: RouterClient, feedback: Feedback | None = None) -> None:
        """`feedback`: hosted Portkey's, None where it is not to be told."""
        self._router = router
        self._feedback = feedback
        self._under_way: set[asyncio.Task[None]] = set()
        # For each decision the latest report: what is told last counts, so one waits for the other.
        self._latest: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._closing = asyncio.Event()

    def delivered(
        self, call: Call, decision: Decision, served: str, outcome: str, usage: Usage, first_byte: float
    ) -> None:
        """Tell of a delivery that has ended; `first_byte` is when the first byte came, 0 when it was not streamed."""
        call.told = True
        latency = call.elapsed()
        until_first = first_byte - call.started if first_byte else None
        telemetry.event(
            "completion",
            request_id=call.headers["x-request-id"],
            decision_id=decision.id,
            requested=header_value(call.requested_model)[:LONGEST_NAME],
            model=decision.ranking[0],
            served=served,
            source=decision.source,
            purpose=call.headers["x-router-purpose"],
            previous_outcome=call.headers["x-router-previous-outcome"],
            outcome=outcome,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            tokens_estimated=usage.estimated,
            first_byte_ms=None if until_first is None else round(until_first * 1000),
            ms=round(latency * 1000),
        )
        if decision.made_by_router and outcome != "refused":
            seconds = (latency, until_first or latency)
            self._start("router", decision.id, self._report(decision.id, served, outcome, usage, seconds))

    def fared(self, verdicts: Iterable[Verdict]) -> None:
        """Tell of earlier replies what the client's next request has shown."""
        for verdict in verdicts:
            told = self._report(verdict.decision_id, verdict.served, verdict.outcome)
            self._start("router", verdict.decision_id, told)
            if self._feedback is not None:
                self._start("portkey", verdict.decision_id, self._feedback.send(verdict.decision_id, verdict.outcome))

    async def close(self) -> None:
        """Wait for the reports under way, each tried once more at most; each try has a deadline of its own."""
        self._closing.set()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._feedback is not None:
            await self._feedback.close()

    def _start(self, whom: str, decision_id: str, work: Coroutine[None, None, None]) -> None:
        if len(self._under_way) >= MOST_UNDER_WAY:
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

    async def _report(
        self,
        decision_id: str,
        served: str,
        outcome: str,
        usage: Usage = Usage(),  # noqa: B008 - frozen
        seconds: tuple[float, float] | None = None,
    ) -> None:
        for pause in (*PAUSES, None):
            closing = self._closing.is_set()
            try:
                await self._router.report(decision_id, served, outcome, usage, seconds)
            except RouterUnavailable as error:
                if pause is None or closing or str(error) not in ABSENT:
                    telemetry.problem("report_failed", decision_id=decision_id, status=str(error))
                    return
            else:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)


async def _after(earlier: asyncio.Task[None] | None, work: Coroutine[None, None, None]) -> None:
    if earlier is not None:
        await asyncio.wait({earlier})
    await work
