"""Every call against a real router, with both clients."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from router_client import (
    CONTRACT_REVISION,
    Decision,
    DecisionFilter,
    DecisionSource,
    DecisionSummary,
    InvalidRequest,
    LeasedDecision,
    Message,
    NotFound,
    Outcome,
    PreviousReply,
    Purpose,
    Question,
    Receipt,
    Report,
    Requirements,
    Router,
    TraceContext,
    __version__,
)

CODE = Question(profile="auto", purpose=Purpose.CODE)


async def test_a_decision_leads_its_ranking_and_says_why(router):
    decision = await router.select(CODE)
    assert decision.ranking[0].model == decision.model
    assert decision.source is DecisionSource.LOCAL
    assert decision.reason.startswith("best of ")


async def test_what_was_asked_and_reported_is_what_is_explained(router):
    needs = Requirements(input_tokens=3000, output_tokens=400, tools=True, json=True, prefix_tokens=100)
    before = PreviousReply(
        outcome=Outcome.EDIT_FAILED, model="openai/gpt-6.1-sol", decision_id="dec_before", consecutive_failures=2
    )
    asked = Question(
        profile="auto-weak",
        purpose=Purpose.SUMMARY,
        messages=(Message("user", "sum it up"),),
        requirements=needs,
        conversation_id="talk",
        available_providers=("openai", "deepseek"),
        unhealthy_providers=("deepseek",),
        cost_quality_tradeoff=0,
        previous_reply=before,
        metadata={"ticket": "7"},
        edit_format="diff",
        tenant="acme",
        caller="nightly",
        trace_context=TraceContext(traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"),
    )
    decision = await router.select(asked)
    told = Report(
        decision_id=decision.decision_id,
        served_model=decision.model,
        outcome=Outcome.COMPLETED,
        input_tokens=2950,
        output_tokens=310,
        cached_input_tokens=50,
        cost_usd=0.25,
        latency=timedelta(seconds=2.5),
        time_to_first_byte=timedelta(milliseconds=420),
        adaptations=("drop_seed",),
    )
    assert await router.report(told) == Receipt(cost_usd=0.25)
    found = await router.explain(decision.decision_id)
    assert found.decision == decision
    assert found.requirements == needs
    assert found.previous_reply == before
    assert found.outcomes == (told,)
    assert found.metadata == asked.metadata
    assert found.cost_quality_tradeoff == 0
    assert {entry.model.partition("/")[0] for entry in found.decision.ranking} <= {"openai"}
    assert (found.purpose, found.profile, found.conversation_id) == (Purpose.SUMMARY, "auto-weak", "talk")
    assert (found.tenant, found.caller, found.edit_format) == ("acme", "nightly", "diff")
    assert abs(found.time - datetime.now(UTC)) < timedelta(minutes=5)


async def test_candidates_of_ones_own_need_no_profile(router):
    named = ("openai/gpt-6.1-sol", "openai/gpt-6.1-terra")
    decision = await router.select(Question(candidates=named))
    assert {entry.model for entry in decision.ranking} == set(named)
    assert (await router.select(Question(model=named[1]))).source is DecisionSource.REQUESTED


async def test_many_questions_are_answered_each_in_its_place(router):
    asked = [CODE, Question(profile="no-such"), CODE]
    first, refused, last = await router.select_many(asked)
    assert isinstance(first, Decision)
    assert isinstance(last, Decision)
    assert isinstance(refused, NotFound)
    assert refused.reason == "UNKNOWN_PROFILE"
    streamed = dict([placed async for placed in router.select_stream(asked)])
    assert sorted(streamed) == [0, 1, 2]
    assert isinstance(streamed[1], NotFound)


async def test_many_reports_are_answered_each_in_its_place(router):
    decision = await router.select(CODE)
    leased = LeasedDecision(
        decision_id="lease_" + "0" * 32, lease=decision.decision_id, time=datetime.now(UTC), request=CODE
    )
    reports = [
        Report(decision_id=decision.decision_id, served_model=decision.model, outcome=Outcome.APPLIED, cost_usd=0.5),
        Report(decision_id="no-such", outcome=Outcome.APPLIED),
    ]
    receipts = await router.report_many(reports, [leased])
    assert receipts.reports[0] == Receipt(cost_usd=0.5)
    assert isinstance(receipts.reports[1], NotFound)
    # It gave no lease.
    assert isinstance(receipts.leased[0], NotFound | InvalidRequest), receipts.leased


async def test_a_list_goes_on_over_its_pages_and_says_what_was_reported(router):
    before = datetime.now(UTC)
    ids = [(await router.select(Question(profile="auto", tenant="pages"))).decision_id for _ in range(5)]
    await router.report(
        Report(decision_id=ids[0], outcome=Outcome.APPLIED, time_to_first_byte=timedelta(milliseconds=420))
    )
    wanted = DecisionFilter(tenant="pages", since=before - timedelta(seconds=1))
    listed = [one async for one in router.list_decisions(wanted, page_size=2)]
    listed = [one for one in listed if one.decision_id in ids]
    assert [one.decision_id for one in listed] == ids[::-1]
    assert listed[-1].outcome is Outcome.APPLIED
    assert listed[-1].time_to_first_byte == timedelta(milliseconds=420)
    assert listed[0].time_to_first_byte is None
    assert [one async for one in router.list_decisions(DecisionFilter(tenant="nobody"))] == []


async def test_a_watch_misses_nothing_from_its_beginning_on(router):
    async with router.watch(tenant="watched") as events:
        await router.select(CODE)
        decision = await router.select(Question(profile="auto", tenant="watched"))
        told = Report(decision_id=decision.decision_id, outcome=Outcome.UNDONE)
        await router.report(told)
        made, fared = await anext(events), await anext(events)
    assert isinstance(made, DecisionSummary)
    assert made.decision_id == decision.decision_id
    assert isinstance(fared, Report)
    assert (fared.decision_id, fared.outcome) == (told.decision_id, told.outcome)


async def test_a_watch_that_was_left_is_over_at_the_router_too(router):
    async with router.watch() as events:
        waiting = asyncio.ensure_future(anext(events, None))
    assert await waiting is None


async def test_what_may_be_asked_for_is_told(router):
    profiles = {profile.name: profile for profile in await router.profiles()}
    models = {model.id: model for model in await router.models()}
    assert set(profiles["auto"].candidates) <= set(models)
    assert models["openai/gpt-6.1-sol"].context_tokens > 0


async def test_what_was_spent_and_saved_is_summed_up(router):
    decision = await router.select(Question(profile="auto", tenant="sums", caller="summed", purpose=Purpose.CODE))
    await router.report(
        Report(
            decision_id=decision.decision_id,
            served_model=decision.model,
            outcome=Outcome.APPLIED,
            input_tokens=1000,
            output_tokens=100,
            cost_usd=0.5,
        )
    )
    since = datetime.now(UTC) - timedelta(hours=1)
    sums = await router.savings(since=since, tenant="sums")
    assert sums.total.cost_usd == sum(row.cost_usd for row in sums.rows) >= 0.5
    assert (sums.rows[0].purpose, sums.rows[0].model) == (Purpose.CODE, decision.model)
    assert sums.total.cost_per_applied_usd == 0.5
    assert {row.caller: row.cost_usd for row in await router.spending(since=since)}["summed"] >= 0.5
    assert (await router.savings(until=since)).total.decisions == 0


async def test_a_router_says_its_release_and_how_much_of_the_contract_it_knows(router):
    info = await router.server_info()
    assert (info.release, info.contract_revision) == (__version__, CONTRACT_REVISION)
    assert await router.is_serving()


async def test_a_decision_that_the_caller_is_told_of_twice_is_kept_once(router):
    decision = await router.select(CODE)
    told = Report(decision_id=decision.decision_id, outcome=Outcome.APPLIED)
    await router.report(told)
    await router.report(told)
    assert (await router.explain(decision.decision_id)).outcomes == (told,)


def test_a_moment_without_its_zone_is_refused():

    with Router() as router, pytest.raises(InvalidRequest, match="zone"):
        router.savings(since=datetime(2026, 1, 1))
