"""Puts what Not Diamond is asked and told together: only candidates it knows are offered, and outcomes go back to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cachetools import LRUCache
from msgspec.structs import replace

from router_service.catalog import Model
from router_service.domain import FAILURES, Consultation, Decision, Message, Outcome
from router_service.model_refresh import ModelRefresh
from router_service.not_diamond import NotDiamond
from router_service.recommendations import Recommendations
from router_service.records import Report

# A choice takes two.
FEWEST_OFFERED = 2
MOST_UNDER_WAY = 100
# Sessions whose latest feedback is remembered.
MOST_TOLD = 10_000


class Consulting:
    """Not Diamond as the selection uses it."""

    def __init__(
        self, client: NotDiamond, recommendations: Recommendations, refresh: ModelRefresh, feedback: bool
    ) -> None:
        """`feedback`: whether outcomes are told to Not Diamond."""
        self._client = client
        self._recommendations = recommendations
        self._refresh = refresh
        self._feedback = feedback
        self._told: LRUCache[str, bool] = LRUCache(MOST_TOLD)
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Ask for the models it knows, which also warms the connection."""
        self._refresh.start()

    async def recommend(
        self,
        models: Sequence[Model],
        messages: Sequence[Message],
        tradeoff: int,
        preference_id: str,
        budget: float,
        tenant: str = "",
    ) -> Consultation:
        """Ask about the candidates that Not Diamond knows; the others are told with the answer."""
        offered, unknown = self._refresh.known.offerable(models)
        if len(offered) < FEWEST_OFFERED:
            return Consultation(problem="it knows fewer than two of the candidates", not_offered=tuple(unknown))
        answer = await self._recommendations.recommend(offered, messages, tradeoff, preference_id, budget, tenant)
        return replace(answer, not_offered=tuple(unknown))

    def learn(self, decision: Decision, report: Report) -> None:
        """Tell Not Diamond how its recommendation fared, behind the caller's back; only where that is switched on."""
        asked = decision.consultation
        if not self._feedback or not asked or not asked.session_id or len(self._under_way) >= MOST_UNDER_WAY:
            return
        # A cached answer repeats a session that has had its report, and a switched model was not its choice.
        if asked.cached or asked.model != decision.model or report.served_model not in ("", decision.model):
            return
        good = report.outcome is Outcome.APPLIED
        if (good or report.outcome in FAILURES) and self._told.get(asked.session_id) is not good:
            # Two kinds of failure of one reply are one verdict to Not Diamond.
            self._told[asked.session_id] = good
            self._spawn(self._client.feedback(asked.session_id, decision.model, good))
        if (
            report.outcome is Outcome.COMPLETED
            and report.output_tokens
            and not report.tokens_estimated
            and report.latency_seconds
        ):
            speed = report.output_tokens / report.latency_seconds
            self._spawn(self._client.latency(asked.session_id, decision.model, speed))

    async def close(self) -> None:
        """Finish what is under way and close the connections."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._refresh.close()
        await self._recommendations.close()
        await self._client.close()

    def _spawn(self, work: asyncio._CoroutineLike[None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
