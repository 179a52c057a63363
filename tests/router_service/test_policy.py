"""Pins, escalation, prompt-cache economics, tenants, trials and shadows: through the front door, each with its reason."""

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.processes import NEVER, free_port, start_router
from tests.router_service.calls import call, select

CONFIG = """
[tenants.acme]
allow = ["openai/*", "xai/*"]
deny = ["openai/gpt-6*"]

[profiles.fleeting]
candidates = ["openai/*"]
cost_quality_tradeoff = 5
pin_idle_seconds = 0.2

[profiles.compared]
candidates = ["openai/*"]
cost_quality_tradeoff = 10
baseline = "openai/gpt-6-astra"
shadow = "strong"
trial = { profile = "strong", weight = 0.25 }

[profiles.strong]
candidates = ["openai/*"]
cost_quality_tradeoff = 0

[profiles.telling]
candidates = ["openai/*"]
cost_quality_tradeoff = 5
note = true

[profiles.telling-on-trial]
candidates = ["openai/*"]
cost_quality_tradeoff = 5
note = true
trial = { profile = "strong", weight = 1 }

[profiles.silent-on-trial]
candidates = ["openai/*"]
cost_quality_tradeoff = 5
trial = { profile = "telling", weight = 1 }
"""
CODE = {"profile": "auto", "purpose": "PURPOSE_CODE", "requirements": {"inputTokens": 20_000}}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path: Path = tmp_path_factory.mktemp("policy") / "router.toml"
    path.write_text(CONFIG)
    number = free_port()
    process = start_router(number, ROUTER_CONFIG=str(path))
    yield number
    process.stop()


def explain(port: int, decision: pb.SelectModelResponse) -> pb.ExplainDecisionResponse:
    return call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id))


def report(port: int, decision: pb.SelectModelResponse, outcome: int = pb.OUTCOME_COMPLETED, **more: object) -> None:
    more.setdefault("served_model", decision.model)
    call(port, "ReportOutcome", pb.ReportOutcomeRequest(decision_id=decision.decision_id, outcome=outcome, **more))


def test_a_conversation_stays_on_its_model_and_says_so(port):
    first = select(port, conversationId="stays", **CODE)
    second = select(port, conversationId="stays", costQualityTradeoff=0, **CODE)
    assert second.model == second.ranking[0].model == first.model
    assert second.source == pb.DECISION_SOURCE_PINNED
    assert second.valid_for.seconds == 300
    trace = explain(port, second).pin
    assert (trace.model, trace.kept) == (first.model, True)
    assert select(port, conversationId="another", **CODE).source == pb.DECISION_SOURCE_LOCAL


def test_without_a_conversation_nothing_is_pinned(port):
    assert select(port, **CODE).source == select(port, **CODE).source == pb.DECISION_SOURCE_LOCAL


def test_another_purpose_is_decided_afresh_and_does_not_move_the_first(port):
    code = select(port, conversationId="purposes", **CODE)
    commit = select(port, conversationId="purposes", profile="auto-weak", purpose="PURPOSE_COMMIT")
    assert commit.source == pb.DECISION_SOURCE_LOCAL
    assert select(port, conversationId="purposes", **CODE).model == code.model
    ping = select(port, conversationId="purposes", profile="auto", purpose="PURPOSE_CACHE_PING")
    assert (ping.model, ping.source) == (code.model, pb.DECISION_SOURCE_PINNED)


def test_an_idle_pin_expires(port):
    select(port, conversationId="idle", profile="fleeting")
    threading.Event().wait(0.4)  # the idle time itself is what is tested
    assert select(port, conversationId="idle", profile="fleeting").source == pb.DECISION_SOURCE_LOCAL


def test_a_filter_that_removes_the_pinned_model_ends_the_pin_and_is_named(port):
    first = select(port, conversationId="moves", **CODE)
    provider = first.model.split("/")[0]
    others = sorted({"openai", "anthropic", "google", "deepseek", "xai"} - {provider})
    second = select(port, conversationId="moves", availableProviders=others, **CODE)
    assert second.model != first.model
    trace = explain(port, second).pin
    assert (trace.model, trace.kept) == (first.model, False)
    assert "filter 'provider' removed it" in trace.reason


@pytest.mark.parametrize("outcome", ["EDIT_FAILED", "UNDONE"])
def test_a_failed_reply_escalates_to_a_stronger_model_and_stays_there(port, outcome):
    name = f"fails-{outcome}"
    weak = select(port, conversationId=name, costQualityTradeoff=6, **CODE)
    failed = {"outcome": f"OUTCOME_{outcome}", "model": weak.model}
    strong = select(port, conversationId=name, costQualityTradeoff=6, previousReply=failed, **CODE)
    assert strong.source == pb.DECISION_SOURCE_ESCALATED
    qualities = {entry.model: entry.quality for entry in strong.ranking}
    assert qualities[strong.model] > qualities[weak.model]
    assert f"{weak.model} did not manage" in strong.reason
    applied = {"outcome": "OUTCOME_APPLIED", "model": strong.model}
    later = select(port, conversationId=name, costQualityTradeoff=6, previousReply=applied, **CODE)
    assert (later.model, later.source) == (strong.model, pb.DECISION_SOURCE_PINNED)


def test_the_strongest_model_stays_when_it_fails_for_want_of_a_stronger(port):
    both = {"candidates": {"models": ["openai/gpt-6-astra", "openai/gpt-4o"]}, "costQualityTradeoff": 0}
    first = select(port, conversationId="top", **both)
    again = select(port, conversationId="top", previousReply={"outcome": "OUTCOME_EDIT_FAILED"}, **both)
    assert first.model == again.model == "openai/gpt-6-astra"
    assert again.source == pb.DECISION_SOURCE_PINNED
    assert "no candidate is stronger" in again.reason


def test_leaving_a_warm_model_costs_its_prefix_and_the_cost_stands_in_the_decision(port):
    pair = {"candidates": {"models": ["openai/gpt-6-sol", "openai/gpt-6.1-sol"]}, "costQualityTradeoff": 5}
    needs = {"inputTokens": 30_000, "prefixTokens": 24_000}
    first = select(port, conversationId="warm", requirements=needs, **pair)
    fresh = select(port, conversationId="warm", requirements=needs, ignorePin=True, **pair)
    costs = {entry.model: entry for entry in fresh.ranking}
    warm, cold = costs.pop(first.model), next(iter(costs.values()))
    cold_again = {entry.model: entry for entry in select(port, requirements=needs, **pair).ranking}
    assert warm.switch_cost_usd == 0
    assert cold.switch_cost_usd == pytest.approx(24_000 * (2.0 - (0.2 if "6-sol" in cold.model else 0.1)) / 1e6)
    assert warm.expected_cost_usd < cold_again[first.model].expected_cost_usd
    assert cold.expected_cost_usd == pytest.approx(cold_again[cold.model].expected_cost_usd)
    assert "for leaving a warm prompt cache" in cold.reason
    assert not cold_again[first.model].HasField("switch_cost_usd")


def test_a_tenants_lists_bar_models_and_the_filter_is_named(port):
    decision = select(port, tenant="acme", **CODE)
    assert {entry.model.split("/")[0] for entry in decision.ranking} <= {"openai", "xai"}
    assert not [entry for entry in decision.ranking if entry.model.startswith("openai/gpt-6")]
    barred = [entry for entry in explain(port, decision).removed if entry.filter == "tenant"]
    assert barred
    assert "tenant acme" in barred[0].detail
    assert len(select(port, tenant="unlisted", **CODE).ranking) > len(decision.ranking)


def test_a_trial_decides_its_share_of_the_conversations_and_each_always_alike(port):
    arms = {}
    for number in range(400):
        decision = select(port, profile="compared", conversationId=f"t{number}", purpose="PURPOSE_ASK")
        arms[number] = explain(port, decision).policy
    share = sum(arm == "strong" for arm in arms.values()) / len(arms)
    assert 0.17 < share < 0.33
    for number in range(0, 400, 40):
        decision = select(port, profile="compared", conversationId=f"t{number}", purpose="PURPOSE_ASK", ignorePin=True)
        assert explain(port, decision).policy == arms[number]


@pytest.mark.parametrize(
    ("choice", "policy", "note"),
    [
        ({"profile": "telling"}, "telling", True),
        ({"profile": "strong"}, "strong", False),
        ({"profile": "telling-on-trial"}, "strong", True),
        ({"profile": "silent-on-trial"}, "telling", False),
        ({"model": "openai/gpt-4o"}, "", False),
        ({"candidates": {"models": ["openai/gpt-4o"]}}, "", False),
    ],
)
def test_the_user_is_to_be_told_where_the_profile_that_was_asked_for_says_so(port, choice, policy, note):
    decision = select(port, **choice)
    trace = explain(port, decision)
    assert (trace.policy, decision.note, trace.decision.note) == (policy, note, note)


def test_the_profiles_say_whether_the_user_is_to_be_told(port):
    profiles = call(port, "ListProfiles", pb.ListProfilesRequest()).profiles
    assert {profile.name for profile in profiles if profile.note} == {"telling", "telling-on-trial"}


def test_a_pinned_and_an_escalated_decision_are_told_like_any_other(port):
    first = select(port, profile="telling", conversationId="told", purpose="PURPOSE_CODE")
    failed = {"outcome": "OUTCOME_UNDONE", "model": first.model, "decisionId": first.decision_id}
    for source, previous in ((pb.DECISION_SOURCE_PINNED, {}), (pb.DECISION_SOURCE_ESCALATED, failed)):
        later = select(port, profile="telling", conversationId="told", purpose="PURPOSE_CODE", previousReply=previous)
        assert (later.source, later.note) == (source, True)


def test_a_shadow_policy_is_recorded_and_not_applied(port):
    decision = next(
        decision
        for number in range(50)
        if explain(port, decision := select(port, profile="compared", conversationId=f"s{number}")).policy == "compared"
    )
    shadow = explain(port, decision).shadow
    assert shadow.profile == "strong"
    assert shadow.model == select(port, profile="strong").model != decision.model
    assert shadow.expected_cost_usd > decision.ranking[0].expected_cost_usd


def test_the_baseline_says_what_it_would_have_cost(port):
    decision = select(port, profile="compared", requirements={"inputTokens": 10_000})
    assert decision.baseline_model == "openai/gpt-6-astra"
    assert decision.baseline_cost_usd > decision.ranking[0].expected_cost_usd


def test_a_batch_is_answered_in_its_order_and_a_refusal_harms_no_other(port):
    good, bad = pb.SelectModelRequest(profile="auto"), pb.SelectModelRequest(profile="nope")
    results = call(port, "SelectModels", pb.SelectModelsRequest(requests=[good, bad, good])).results
    assert [result.WhichOneof("result") for result in results] == ["decision", "refusal", "decision"]
    assert (results[1].refusal.code, results[1].refusal.reason) == (
        grpc.StatusCode.NOT_FOUND.value[0],
        "UNKNOWN_PROFILE",
    )
    assert explain(port, results[2].decision).profile == "auto"
    for requests in ([], [good] * 257):
        with pytest.raises(grpc.RpcError) as caught:
            call(port, "SelectModels", pb.SelectModelsRequest(requests=requests))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_watcher_sees_decisions_and_outcomes_of_what_it_asked_for(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = router_pb2_grpc.RouterServiceStub(channel).WatchDecisions(
            pb.WatchDecisionsRequest(profile="strong"), timeout=60
        )
        stream.initial_metadata()
        select(port, profile="auto")
        decision = select(port, profile="strong")
        report(port, decision, pb.OUTCOME_APPLIED)
        seen, told = next(stream), next(stream)
        stream.cancel()
    assert (seen.decision.decision_id, seen.decision.model) == (decision.decision_id, decision.model)
    assert (told.outcome.decision_id, told.outcome.outcome) == (decision.decision_id, pb.OUTCOME_APPLIED)


def test_decisions_are_listed_latest_first_a_page_at_a_time(port):
    made = [select(port, profile="strong", tenant="lists").decision_id for _ in range(5)]
    listed, token = [], ""
    while True:
        request = pb.ListDecisionsRequest(page_size=2, page_token=token, tenant="lists")
        page = call(port, "ListDecisions", request)
        listed += [entry.decision_id for entry in page.decisions]
        token = page.next_page_token
        if not token:
            break
    assert listed == made[::-1]


@pytest.mark.parametrize("request_", [pb.ListDecisionsRequest(page_size=1001), pb.ListDecisionsRequest(page_token="?")])
def test_a_list_that_cannot_be_made_is_refused_naming_the_field(port, request_):
    with pytest.raises(grpc.RpcError) as caught:
        call(port, "ListDecisions", request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "page_" in caught.value.details()


def test_savings_compare_what_was_spent_with_the_baseline_for_the_same_tokens(port):
    first = select(port, profile="compared", tenant="saves", purpose="PURPOSE_CODE")
    select(port, profile="compared", tenant="saves", purpose="PURPOSE_CODE")
    report(port, first, input_tokens=1_000_000, output_tokens=100_000, served_model="openai/gpt-4o")
    total = call(port, "GetSavings", pb.GetSavingsRequest(tenant="saves")).total
    assert (total.decisions, total.reported) == (2, 1)
    assert total.cost_usd == pytest.approx(2.5 + 1.0)
    assert total.baseline_cost_usd == pytest.approx(10.0 + 5.0)


def test_a_provider_that_reports_say_is_failing_serves_only_behind_all_others():
    number = free_port()
    process = start_router(number)
    try:
        pair = {"candidates": {"models": ["xai/grok-4.7", "groq/openai/gpt-oss-120b"]}, "costQualityTradeoff": 0}
        for _ in range(5):
            decision = select(number, **pair)
            assert decision.model == "xai/grok-4.7"
            report(number, decision, pb.OUTCOME_PROVIDER_FAILED)
        decision = select(number, **pair)
        assert [entry.model for entry in decision.ranking] == ["groq/openai/gpt-oss-120b", "xai/grok-4.7"]
        assert decision.ranking[1].reason.endswith("; its provider is failing")
        (removed,) = explain(number, decision).removed
        assert (removed.model, removed.filter) == ("xai/grok-4.7", "unhealthy")
        assert select(number, candidates={"models": ["xai/grok-4.7"]}).model == "xai/grok-4.7"
    finally:
        process.stop()


def test_observed_reply_lengths_move_the_expected_cost(port):
    only = {"candidates": {"models": ["mistral/mistral-medium-latest", "xai/grok-4.5"]}, "purpose": "PURPOSE_CONTEXT"}
    before = {entry.model: entry.expected_cost_usd for entry in select(port, **only).ranking}
    for _ in range(20):
        report(port, select(port, **only), output_tokens=50_000, served_model="xai/grok-4.5")
    after = {entry.model: entry.expected_cost_usd for entry in select(port, **only).ranking}
    assert after["xai/grok-4.5"] > 10 * before["xai/grok-4.5"]
    assert after["mistral/mistral-medium-latest"] < 3 * before["mistral/mistral-medium-latest"]


def test_short_replies_of_one_model_make_no_other_look_dearer_than_it_did(port):
    pair = ["mistral/mistral-medium-latest", "xai/grok-4.5"]
    asked = {"candidates": {"models": pair}, "purpose": "PURPOSE_ARCHITECT"}
    before = {entry.model: entry.expected_cost_usd for entry in select(port, **asked).ranking}
    for _ in range(50):
        report(port, select(port, **asked), output_tokens=20, served_model=pair[0])
    after = {entry.model: entry.expected_cost_usd for entry in select(port, **asked).ranking}
    shares = [after[name] / before[name] for name in pair]
    # Short work is short for all: who was not asked follows, though not all the way.
    assert shares[0] < shares[1] < 0.3, shares


def test_a_router_that_stops_ends_its_watchers_streams_and_does_not_wait_for_them():
    number = free_port()
    process = start_router(number)
    with grpc.insecure_channel(f"127.0.0.1:{number}") as channel:
        stream = router_pb2_grpc.RouterServiceStub(channel).WatchDecisions(
            pb.WatchDecisionsRequest(), timeout=5 * NEVER
        )
        stream.initial_metadata()
        # One that waited would be killed in the end.
        assert process.stop() == 0
        assert list(stream) == []


def test_one_failure_escalates_once_however_often_the_request_is_repeated(port):
    weak = select(port, conversationId="repeats", costQualityTradeoff=10, **CODE)
    failed = {"outcome": "OUTCOME_EDIT_FAILED", "model": weak.model}
    turn = {
        "conversationId": "repeats",
        "costQualityTradeoff": 10,
        "messages": [{"role": "user", "text": "try again"}],
        **CODE,
    }
    answers = {select(port, previousReply=failed, **turn).model for _ in range(4)}
    assert len(answers) == 1
    assert answers != {weak.model}
    other = {**turn, "messages": [{"role": "user", "text": "another turn"}]}
    kept = select(port, previousReply={"outcome": "OUTCOME_EDIT_FAILED", "model": "xai/grok-4.5"}, **other)
    assert {kept.model} == answers


def test_failures_climb_to_the_strongest_and_stay_there(port):
    models, failed = [], {}
    for number in range(12):
        turn = {"messages": [{"role": "user", "text": f"turn {number}"}], "costQualityTradeoff": 10, **CODE}
        decision = select(port, conversationId="climbs", previousReply=failed, **turn)
        failed = {"outcome": "OUTCOME_COMMAND_FAILED", "model": decision.model}
        models.append(({entry.model: entry.quality for entry in decision.ranking})[decision.model])
    assert models == sorted(models)
    assert models[-1] == max(entry.quality for entry in decision.ranking)


def test_a_cache_ping_neither_makes_a_pin_nor_moves_one(port):
    ping = {"profile": "auto", "purpose": "PURPOSE_CACHE_PING", "requirements": {"inputTokens": 20_000}}
    select(port, conversationId="pinged", **ping)
    assert select(port, conversationId="pinged", **CODE).source == pb.DECISION_SOURCE_LOCAL


def test_tenants_do_not_share_pins_whatever_their_names(port):
    select(port, tenant="a:b", conversationId="c", **CODE)
    assert select(port, tenant="a", conversationId="b:c", **CODE).source == pb.DECISION_SOURCE_LOCAL


def test_a_tenants_lists_hold_for_models_that_the_catalogue_does_not_know(port):
    with pytest.raises(grpc.RpcError) as caught:
        select(port, tenant="acme", model="nowhere/of-tomorrow")
    assert "filter 'tenant' removed nowhere/of-tomorrow" in caught.value.details()


def test_a_repeated_report_is_acted_on_once():
    number = free_port()
    process = start_router(number)
    try:
        pair = {"candidates": {"models": ["xai/grok-4.7", "groq/openai/gpt-oss-120b"]}, "costQualityTradeoff": 0}
        decision = select(number, **pair)
        for _ in range(10):
            report(number, decision, pb.OUTCOME_PROVIDER_FAILED)
        assert select(number, **pair).model == "xai/grok-4.7"
    finally:
        process.stop()
