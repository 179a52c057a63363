"""Takes in what callers report: priced by the catalogue, kept in the ledger, learnt from, shown to watchers."""

from __future__ import annotations

from dataclasses import replace

from router_service import economics
from router_service.catalog import Catalog
from router_service.domain import Decision, Report
from router_service.ledger import Ledger, LedgerUnavailable
from router_service.selection import Selection
from router_service.watch import Watchers


async def take_in(report: Report, selection: Selection, ledger: Ledger, watchers: Watchers) -> None:
    """Keep a report and act on it; UnknownDecision when its decision is not kept."""
    try:
        decision = await ledger.find(report.decision_id)
    except LedgerUnavailable:
        # The ledger keeps it all the same, and writes it when the database is back; only its price is not known.
        await ledger.report(report)
        return
    priced = price(report, decision, selection.catalog)
    await ledger.report(priced)
    selection.learn(decision, priced)
    watchers.publish((priced, decision))


def price(report: Report, decision: Decision, catalog: Catalog) -> Report:
    """The report with its costs: as reported, else from tokens and prices; and the same tokens on the baseline model."""
    served = catalog.by_id.get(report.served_model or decision.model)
    baseline = catalog.by_id.get(decision.baseline_model)
    cost = report.cost_usd
    if cost is None and served is not None:
        cost = economics.actual_cost(served, report)
    compared = None if baseline is None else economics.actual_cost(baseline, report)
    return replace(report, cost_usd=cost, baseline_cost_usd=compared)
