"""Serves the contract: reads each call, has it decided or looked up, and writes the answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Coroutine, Sequence

import grpc

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from router_service import __version__, telemetry
from router_service.errors import RouterError
from router_service.leases import Leases
from router_service.ledger import Ledger
from router_service.records import Summary
from router_service.refusals import Context, answer, attempt, code_of
from router_service.reporting import Reporting
from router_service.selection import Selection
from router_service.side_by_side import as_they_come, in_lanes
from router_service.tracing import spans
from router_service.tracing.span import CURRENT, NO_TRACER, Tracer
from router_service.watch import Event, TooSlow, Watchers, summary_of
from router_service.wire import reading, writing

# A client without a deadline asks for a day and more; nothing here takes that long.
LONGEST_DEADLINE = 60.0


class RouterServicer(router_pb2_grpc.RouterServiceServicer):
    """The contract's calls."""

    def __init__(
        self,
        selection: Selection,
        ledger: Ledger,
        watchers: Watchers,
        default_deadline: float,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """`default_deadline`: seconds a decision may take when the caller sets no deadline."""
        self._selection = selection
        self._ledger = ledger
        self._watchers = watchers
        self._reporting = Reporting(selection, ledger, watchers)
        self._leases = Leases(selection, ledger, watchers)
        self._default_deadline = default_deadline
        self._tracer = tracer

    async def SelectModel(self, request: pb.SelectModelRequest, context: Context) -> pb.SelectModelResponse:
        """Choose the model for one request."""
        return await answer("SelectModel", context, self._decide(request, self._time_left(context), context))

    async def SelectModels(self, request: pb.SelectModelsRequest, context: Context) -> pb.SelectModelsResponse:
        """Choose for many requests; one that is refused does not harm the others."""

        async def decide_all() -> pb.SelectModelsResponse:
            left = self._time_left(context)
            entries = reading.read_batch(request)
            results: dict[int, pb.SelectModelsResult] = {}
            async for known in as_they_come([self._result(entry, left, context) for entry in entries]):
                results |= {position: writing.write_result(result) for position, result in known}
            return pb.SelectModelsResponse(results=[results[position] for position in range(len(entries))])

        return await answer("SelectModels", context, decide_all())

    async def SelectModelStream(
        self, request: pb.SelectModelStreamRequest, context: Context
    ) -> AsyncIterator[pb.SelectModelStreamResponse]:
        """Choose for many requests, and answer each as soon as it is decided."""
        left = self._time_left(context)

        async def read() -> Sequence[pb.SelectModelRequest]:
            return reading.read_batch(request)

        entries = await answer("SelectModelStream", context, read())
        async for known in as_they_come([self._result(entry, left, context) for entry in entries]):
            results = [writing.write_placed(position, result) for position, result in known]
            yield pb.SelectModelStreamResponse(results=results)

    async def ReportOutcome(self, request: pb.ReportOutcomeRequest, context: Context) -> pb.ReportOutcomeResponse:
        """Keep how a reply fared."""
        return await answer("ReportOutcome", context, self._keep(request))

    async def ReportOutcomes(self, request: pb.ReportOutcomesRequest, context: Context) -> pb.ReportOutcomesResponse:
        """Keep how many replies fared; one that is refused does not harm the others."""

        async def keep_all() -> pb.ReportOutcomesResponse:
            reading.check_reports(request)
            # Of one conversation, and of one decision, what came first counts first.
            leased = await in_lanes(request.leased, lambda entry: entry.request.conversation_id, self._taken)
            results = await in_lanes(request.reports, lambda report: report.decision_id, self._kept)
            return pb.ReportOutcomesResponse(results=results, leased=leased)

        return await answer("ReportOutcomes", context, keep_all())

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """The catalogue."""
        catalog = self._selection.catalog
        return pb.ListModelsResponse(models=[writing.write_model(model, catalog) for model in catalog.models])

    async def ListProfiles(self, request: pb.ListProfilesRequest, context: Context) -> pb.ListProfilesResponse:
        """The routing policies."""
        catalog = self._selection.catalog
        profiles = [writing.write_profile(profile, catalog) for profile in catalog.profiles.values()]
        return pb.ListProfilesResponse(profiles=profiles)

    async def ExplainDecision(self, request: pb.ExplainDecisionRequest, context: Context) -> pb.ExplainDecisionResponse:
        """The whole trace of a past decision."""

        async def explain() -> pb.ExplainDecisionResponse:
            decision = await self._ledger.find(request.decision_id)
            return writing.write_explanation(decision, await self._ledger.reports_of(decision.id))

        return await answer("ExplainDecision", context, explain())

    async def ListDecisions(self, request: pb.ListDecisionsRequest, context: Context) -> pb.ListDecisionsResponse:
        """Past decisions, a page at a time."""

        async def find() -> pb.ListDecisionsResponse:
            query, size = reading.read_list(request)
            return writing.write_page(await self._ledger.list(query, size, request.page_token))

        return await answer("ListDecisions", context, find())

    async def GetSavings(self, request: pb.GetSavingsRequest, context: Context) -> pb.GetSavingsResponse:
        """What was spent, what replies came to, and what other models alone would have cost."""

        async def sum_up() -> pb.GetSavingsResponse:
            return writing.write_savings(await self._ledger.savings(reading.read_savings(request)))

        return await answer("GetSavings", context, sum_up())

    async def GetSpending(self, request: pb.GetSpendingRequest, context: Context) -> pb.GetSpendingResponse:
        """What each caller's replies have cost."""

        async def sum_up() -> pb.GetSpendingResponse:
            return writing.write_spending(await self._ledger.spending(*reading.read_spending(request)))

        return await answer("GetSpending", context, sum_up())

    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Context) -> pb.GetServerInfoResponse:
        """Which release this is."""
        return writing.write_server_info(__version__)

    async def WatchDecisions(
        self, request: pb.WatchDecisionsRequest, context: Context
    ) -> AsyncIterator[pb.WatchDecisionsResponse]:
        """Decisions and outcomes as they happen."""
        try:
            with self._watchers.watching() as events:
                # Headers tell the watcher that from here on nothing escapes it.
                await context.send_initial_metadata(())
                async for event in events:
                    if _wanted(event, request):
                        yield _shown(event)
        except TooSlow:
            text = "The watcher read too slowly, so entries had to be dropped; watch again."
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)

    def _decide(
        self, request: pb.SelectModelRequest, time_left: float, context: Context
    ) -> Coroutine[None, None, pb.SelectModelResponse]:
        """One decision; in its own span where calls are traced, for those of one call may belong to several traces."""
        deciding = self._decided(request, time_left)
        if not self._tracer.traces:
            return deciding
        trace = reading.read_trace(request, context.invocation_metadata() or ())
        return spans.served(self._tracer, "SelectModel", trace, deciding, code_of)

    async def _decided(self, request: pb.SelectModelRequest, time_left: float) -> pb.SelectModelResponse:
        started = time.monotonic()
        decision = await self._selection.select(reading.read_request(request), time_left)
        self._ledger.record(decision)
        self._watchers.publish(summary_of(decision))
        span = CURRENT.get()
        if span.traced:
            spans.decided(span, decision)
        telemetry.decided(decision, (time.monotonic() - started) * 1000, span.trace_id)
        return writing.write_decision(decision)

    async def _keep(self, report: pb.ReportOutcomeRequest) -> pb.ReportOutcomeResponse:
        return pb.ReportOutcomeResponse(cost_usd=await self._reporting.take_in(reading.read_report(report)))

    def _honour(self, leased: pb.LeasedDecision) -> Coroutine[None, None, pb.ReportOutcomeResponse]:
        honouring = self._honoured(leased)
        if not self._tracer.traces:
            return honouring
        return spans.served(self._tracer, "ReportOutcomes", reading.read_trace(leased.request), honouring, code_of)

    async def _honoured(self, leased: pb.LeasedDecision) -> pb.ReportOutcomeResponse:
        await self._leases.take_in(reading.read_leased(leased))
        return pb.ReportOutcomeResponse()

    async def _result(
        self, request: pb.SelectModelRequest, time_left: float, context: Context
    ) -> pb.SelectModelResponse | pb.Refusal:
        """What came of one request of a batch."""
        found = await attempt("SelectModel", self._decide(request, time_left, context))
        return _refusal(found) if isinstance(found, RouterError) else found

    async def _kept(self, report: pb.ReportOutcomeRequest) -> pb.ReportOutcomesResult:
        """What came of one report of a batch."""
        return _told(await attempt("ReportOutcome", self._keep(report)))

    async def _taken(self, leased: pb.LeasedDecision) -> pb.ReportOutcomesResult:
        """What came of one leased decision of a batch."""
        return _told(await attempt("ReportOutcomes", self._honour(leased)))

    def _time_left(self, context: Context) -> float:
        left = context.time_remaining()
        return self._default_deadline if left is None or left > LONGEST_DEADLINE else left


def _refusal(error: RouterError) -> pb.Refusal:
    return writing.write_refusal(error, code_of(error))


def _told(found: pb.ReportOutcomeResponse | RouterError) -> pb.ReportOutcomesResult:
    if isinstance(found, RouterError):
        return pb.ReportOutcomesResult(refusal=_refusal(found))
    return pb.ReportOutcomesResult(kept=found)


def _wanted(event: Event, request: pb.WatchDecisionsRequest) -> bool:
    tenant, profile = (
        (event.tenant, event.profile)
        if isinstance(event, Summary)
        else (event[1].request.tenant, event[1].request.profile)
    )
    return request.tenant in ("", tenant) and request.profile in ("", profile)


def _shown(event: Event) -> pb.WatchDecisionsResponse:
    if isinstance(event, Summary):
        return pb.WatchDecisionsResponse(decision=writing.write_summary(event))
    return pb.WatchDecisionsResponse(outcome=writing.write_report(event[0]))
