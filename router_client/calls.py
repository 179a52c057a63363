"""What each call sends, how its answer is read, and how long it may take; both clients make their calls of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from protos.router.v1 import router_pb2 as pb
from router_client import failures, reading, writing
from router_client.answers import (
    Decision,
    DecisionSummary,
    Explanation,
    Model,
    Profile,
    Receipt,
    Savings,
    ServerInfo,
    Spending,
)
from router_client.asked import DecisionFilter, LeasedDecision, Question, Report
from router_client.errors import RouterError

# Seconds that a call may take unless it is told otherwise; and a sum, for which the router gives its database 30.
SECONDS, SUM_SECONDS = 5.0, 35.0
# Seconds for what is asked beside, of an older router.
BESIDE_SECONDS = 1.0
HEALTH = "/grpc.health.v1.Health/Check"
# HealthCheckRequest for RouterService, and a HealthCheckResponse that says SERVING, as bytes.
HEALTH_QUESTION = b"\x0a\x17router.v1.RouterService"
HEALTH_SERVING = b"\x08\x01"

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """A call by its name in the contract; `read` reads what it answers, or each message of its stream."""

    name: str
    request: Any
    read: Callable[[Any], Answer]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Receipts:
    """What came of each report and of each leased decision, in their order: kept, or why not."""

    reports: tuple[Receipt | RouterError, ...]
    leased: tuple[Receipt | RouterError, ...]


def select(question: Question) -> Call[Decision]:
    """SelectModel."""
    return Call("SelectModel", writing.question(question), reading.decision)


def select_many(questions: Iterable[Question]) -> Call[tuple[Decision | RouterError, ...]]:
    """SelectModels."""
    request = pb.SelectModelsRequest(requests=[writing.question(one) for one in questions])
    return Call("SelectModels", request, lambda answer: tuple(_decided(result) for result in answer.results))


def select_stream(questions: Iterable[Question]) -> Call[tuple[tuple[int, Decision | RouterError], ...]]:
    """SelectModelStream."""
    request = pb.SelectModelStreamRequest(requests=[writing.question(one) for one in questions])

    def read(answer: pb.SelectModelStreamResponse) -> tuple[tuple[int, Decision | RouterError], ...]:
        return tuple((result.position, _decided(result)) for result in answer.results)

    return Call("SelectModelStream", request, read)


def report(told: Report) -> Call[Receipt]:
    """ReportOutcome."""
    return Call("ReportOutcome", writing.report(told), reading.receipt)


def report_many(reports: Iterable[Report], leased: Iterable[LeasedDecision]) -> Call[Receipts]:
    """ReportOutcomes."""

    def read(answer: pb.ReportOutcomesResponse) -> Receipts:
        return Receipts(tuple(map(_kept, answer.results)), tuple(map(_kept, answer.leased)))

    return Call("ReportOutcomes", writing.reports(reports, leased), read)


def models() -> Call[tuple[Model, ...]]:
    """ListModels."""
    return Call("ListModels", pb.ListModelsRequest(), reading.models)


def profiles() -> Call[tuple[Profile, ...]]:
    """ListProfiles."""
    return Call("ListProfiles", pb.ListProfilesRequest(), reading.profiles)


def explain(decision_id: str) -> Call[Explanation]:
    """ExplainDecision."""
    return Call("ExplainDecision", writing.decision_id(decision_id), reading.explanation)


def page(wanted: DecisionFilter, size: int, token: str) -> Call[tuple[tuple[DecisionSummary, ...], str]]:
    """ListDecisions; with the token of the next page, empty after the last."""

    def read(answer: pb.ListDecisionsResponse) -> tuple[tuple[DecisionSummary, ...], str]:
        return tuple(map(reading.summary, answer.decisions)), answer.next_page_token

    return Call("ListDecisions", writing.page(wanted, size, token), read)


def watch(tenant: str, profile: str) -> Call[DecisionSummary | Report | None]:
    """WatchDecisions."""
    return Call("WatchDecisions", writing.watch(tenant, profile), reading.event)


def savings(since: datetime | None, until: datetime | None, tenant: str, profile: str) -> Call[Savings]:
    """GetSavings."""
    return Call("GetSavings", writing.savings(since, until, tenant, profile), reading.savings, SUM_SECONDS)


def spending(since: datetime | None, until: datetime | None) -> Call[tuple[Spending, ...]]:
    """GetSpending."""
    return Call("GetSpending", writing.spending(since, until), reading.spending, SUM_SECONDS)


def server_info() -> Call[ServerInfo]:
    """GetServerInfo."""
    return Call("GetServerInfo", pb.GetServerInfoRequest(), reading.server_info)


def _decided(result: pb.SelectModelsResult | pb.SelectModelStreamResult) -> Decision | RouterError:
    if result.HasField("decision"):
        return reading.decision(result.decision)
    return failures.refused(result.refusal) if result.HasField("refusal") else failures.unknown_answer()


def _kept(result: pb.ReportOutcomesResult) -> Receipt | RouterError:
    if result.HasField("kept"):
        return reading.receipt(result.kept)
    return failures.refused(result.refusal) if result.HasField("refusal") else failures.unknown_answer()
