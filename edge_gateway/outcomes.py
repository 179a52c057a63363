"""Tells how each reply was delivered: a log line, and a report to the router behind the client's back."""

from __future__ import annotations

import asyncio

from edge_gateway import telemetry
from edge_gateway.call import Call, header_value
from edge_gateway.decisions import Decision
from edge_gateway.event_stream import Usage
from edge_gateway.router_client import RouterClient, RouterUnavailable

# Reports under way at once; beyond it the router is too slow to be told everything.
MOST_UNDER_WAY = 1000
LONGEST_NAME = 100


class Outcomes:
    """Logs deliveries and reports them in tasks of their own: never in a client's way, never lost silently."""

    def __init__(self, router: RouterClient) -> None:
        self._router = router
        self._under_way: set[asyncio.Task[None]] = set()

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
            first_byte_ms=None if until_first is None else round(until_first * 1000),
            ms=round(latency * 1000),
        )
        if decision.made_by_router and outcome != "refused":
            self._report(decision.id, served, outcome, usage, (latency, until_first or latency))

    async def close(self) -> None:
        """Wait for the reports under way; each has a deadline of its own."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _report(self, decision_id: str, served: str, outcome: str, usage: Usage, seconds: tuple[float, float]) -> None:
        if len(self._under_way) >= MOST_UNDER_WAY:
            telemetry.problem("report_dropped", decision_id=decision_id)
            return
        task = asyncio.create_task(self._send(decision_id, served, outcome, usage, seconds))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(
        self, decision_id: str, served: str, outcome: str, usage: Usage, seconds: tuple[float, float]
    ) -> None:
        tokens = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)
        try:
            await self._router.report(decision_id, served, outcome, tokens, seconds)
        except RouterUnavailable as error:
            telemetry.problem("report_failed", decision_id=decision_id, status=str(error))
