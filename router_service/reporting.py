"""Takes in what callers report: priced by the catalogue, kept in the ledger, learnt from, shown to watchers."""

from __future__ import annotations

import asyncio
import time

import msgspec
from msgspec.structs import replace

from router_service import economics, telemetry
from router_service.catalog import Catalog
from router_service.domain import Decision
from router_service.latest import Latest
from router_service.ledger import Ledger, LedgerUnavailable
from router_service.records import Report
from router_service.selection import Selection
from router_service.watch import Watchers

# Seconds to find a report's decision in; a slower ledger gets the report without its price.
LOOK_UP = 0.4


class Reporting:
    """The way of a report through the router."""

    def __init__(self, selection: Selection, ledger: Ledger, watchers: Watchers) -> None:
        self._selection = selection
        self._ledger = ledger
        self._watchers = watchers
        self._seen = Latest(time.monotonic)

    async def take_in(self, report: Report) -> float | None:
        """Keep a report and act on it once; UnknownDecision when its decision is not kept.

        The answer is what the reply cost, in US dollars; None when that is not known.
        """
        try:
            async with asyncio.timeout(LOOK_UP):
                decision = await self._ledger.find(report.decision_id)
        except (LedgerUnavailable, TimeoutError):
            # The ledger keeps it all the same, and writes it when the database is back; only its price is not known.
            await self._ledger.report(report)
            return report.cost_usd
        priced = price(report, decision, self._selection.catalog)
        await self._ledger.report(priced)
        if self._seen.is_new(msgspec.json.encode(report)):
            telemetry.reported(priced, decision)
            self._selection.learn(decision, priced)
            self._watchers.publish((priced, decision))
        return priced.cost_usd


def price(report: Report, decision: Decision, catalog: Catalog) -> Report:
    """The report with its costs: as reported, else from tokens and prices; and the same tokens on other models."""

    def on(name: str) -> float | None:
        model = catalog.by_id.get(name)
        return None if model is None else economics.actual_cost(model, report)

    return replace(
        report,
        cost_usd=on(report.served_model or decision.model) if report.cost_usd is None else report.cost_usd,
        baseline_cost_usd=on(decision.baseline_model),
        strongest_cost_usd=on(decision.strongest_model),
        cheapest_cost_usd=on(decision.cheapest_model),
    )
