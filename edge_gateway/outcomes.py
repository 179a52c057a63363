"""Tells the router how each reply was delivered, behind the client's back: never in its way, never lost silently."""

from __future__ import annotations

import asyncio

from edge_gateway import telemetry
from edge_gateway.event_stream import Usage
from edge_gateway.router_client import RouterClient, RouterUnavailable

# Reports under way at once; beyond it the router is too slow to be told everything.
MOST_UNDER_WAY = 1000


class Outcomes:
    """Sends reports in tasks of their own."""

    def __init__(self, router: RouterClient) -> None:
        self._router = router
        self._under_way: set[asyncio.Task[None]] = set()

    def tell(self, decision_id: str, model: str, outcome: str, usage: Usage, latency: float, first_byte: float) -> None:
        """Report a delivery of one of the router's decisions."""
        if len(self._under_way) >= MOST_UNDER_WAY:
            telemetry.problem("report_dropped", decision_id=decision_id)
            return
        task = asyncio.create_task(self._send(decision_id, model, outcome, usage, latency, first_byte))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Wait for the reports under way; each has a deadline of its own."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send(
        self, decision_id: str, model: str, outcome: str, usage: Usage, latency: float, first_byte: float
    ) -> None:
        tokens = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)
        try:
            await self._router.report(decision_id, model, outcome, tokens, (latency, first_byte))
        except RouterUnavailable as error:
            telemetry.problem("report_failed", decision_id=decision_id, status=str(error))
