"""The ledger's two tables, as the latest migration leaves them, and the rows they hold."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict
from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, MetaData, Table, Text, false

from router_service.domain import Decision
from router_service.ledger.documents import key_of, to_document
from router_service.ledger.summaries import Arrived, Reported

METADATA = MetaData()

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("time", Double, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("expected_cost_usd", Double),
    Column("baseline_model", Text, nullable=False),
    Column("baseline_cost_usd", Double),
    Column("served_model", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("cost_usd", Double),
    Column("baseline_actual_cost_usd", Double),
    Column("strongest_actual_cost_usd", Double),
    Column("cheapest_actual_cost_usd", Double),
    # The defaults are for a replica of the release before, which writes on without these columns.
    Column("edit_format", Text, nullable=False, server_default=""),
    Column("previous_outcome", Text, nullable=False, server_default="unknown"),
    Column("reported_at", Double),
    Column("tokens_estimated", Boolean, nullable=False, server_default=false()),
    Column("caller", Text, nullable=False, server_default=""),
    Column("time_to_first_byte_seconds", Double, nullable=False, server_default="0"),
    Column("trace", JSON, nullable=False),
    Index("decisions_by_time", "time", "id"),
    Index("decisions_by_tenant", "tenant", "time", "id"),
    Index("decisions_by_conversation", "conversation_id", "time", "id"),
    Index("decisions_by_report", "reported_at", "id"),
    # All that spending reads, so that edges may ask every few seconds.
    Index("decisions_by_spending", "time", "caller", "cost_usd"),
)

# No foreign key: a report may arrive before the decision that another replica has yet to write.
REPORTS = Table(
    "reports",
    METADATA,
    # In the order of arrival. SQLite counts up in an INTEGER only.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("decision_id", Text, nullable=False),
    Column("received", Double, nullable=False),
    Column("document", JSON, nullable=False),
    Index("reports_by_decision", "decision_id"),
)


def storable(text: str) -> str:
    """Text as every database takes it: PostgreSQL has no zero byte, and UTF-8 no lone surrogate."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def decision_row(decision: Decision) -> dict[str, Any]:
    """A decision's row before anything is reported of it."""
    request = decision.request
    return {
        "id": storable(decision.id),
        "time": decision.time,
        "tenant": storable(request.tenant),
        "profile": storable(request.profile),
        "purpose": str(request.purpose),
        "conversation_id": storable(request.conversation_id),
        "model": storable(decision.model),
        "source": str(decision.source),
        "reason": storable(decision.reason),
        "caller": storable(request.caller),
        "expected_cost_usd": decision.ranking[0].expected_cost_usd if decision.ranking else None,
        "baseline_model": storable(decision.baseline_model),
        "baseline_cost_usd": decision.baseline_cost_usd,
        "edit_format": storable(request.edit_format),
        "previous_outcome": str(request.previous_reply.outcome),
        **UNREPORTED,
        "trace": to_document(decision),
    }


def reported_columns(reported: Reported) -> dict[str, Any]:
    """The columns of a decision's row that its reports fill."""
    texts = {"served_model": storable(reported.served_model), "outcome": str(reported.outcome)}
    return {**asdict(reported), **texts}


UNREPORTED = reported_columns(Reported())


def report_row(arrived: Arrived) -> dict[str, Any]:
    """A report's row."""
    return {
        "key": key_of(arrived.report),
        "decision_id": storable(arrived.report.decision_id),
        "received": arrived.received,
        "document": to_document(arrived.report),
    }
