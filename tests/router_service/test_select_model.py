"""SelectModel and its companions over real gRPC, with the shipped catalogue and no Not Diamond."""

import datetime
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.router.v1 import router_pb2 as pb
from tests.processes import free_port, grpc_serving, start_router
from tests.router_service.calls import call, select


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_port()
    process = start_router(number)
    yield number
    process.stop()


def details(error: grpc.RpcError) -> dict[str, object]:
    """The error's google.rpc details by type name."""
    found = {}
    for packed in rpc_status.from_call(error).details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.PreconditionFailure):
            if packed.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    return found


def test_a_profile_is_answered_with_a_ranking_and_a_reason_for_each(port):
    decision = select(port, profile="auto", purpose="PURPOSE_CODE", requirements={"inputTokens": 8000})
    assert decision.source == pb.DECISION_SOURCE_LOCAL
    assert decision.model == decision.ranking[0].model
    assert len(decision.ranking) > 10
    assert all("quality" in entry.reason and "expected cost $" in entry.reason for entry in decision.ranking)
    assert all(entry.expected_cost_usd > 0 and entry.context_tokens > 0 for entry in decision.ranking)
    scores = [entry.score for entry in decision.ranking]
    assert scores == sorted(scores, reverse=True)


def test_the_trade_off_moves_the_choice_from_the_best_to_the_cheapest_and_never_back(port):
    costs, qualities = [], []
    for tradeoff in range(11):
        best = select(
            port,
            profile="auto",
            purpose="PURPOSE_CODE",
            requirements={"inputTokens": 8000},
            costQualityTradeoff=tradeoff,
        ).ranking[0]
        costs.append(best.expected_cost_usd)
        qualities.append(best.quality)
    assert costs == sorted(costs, reverse=True)
    assert qualities == sorted(qualities, reverse=True)
    assert costs[0] > costs[-1]
    everything = select(port, profile="auto", purpose="PURPOSE_CODE", requirements={"inputTokens": 8000}).ranking
    assert qualities[0] == max(entry.quality for entry in everything)
    assert costs[-1] == min(entry.expected_cost_usd for entry in everything)


def test_commit_messages_go_to_the_cheapest_whatever_the_profile(port):
    decision = select(port, profile="auto", purpose="PURPOSE_COMMIT", requirements={"inputTokens": 500})
    assert decision.ranking[0].expected_cost_usd == min(entry.expected_cost_usd for entry in decision.ranking)


def test_the_same_question_gets_the_same_answer(port):
    question = {"profile": "auto-editor", "purpose": "PURPOSE_EDITOR", "requirements": {"inputTokens": 3000}}
    assert select(port, **question).ranking == select(port, **question).ranking


def test_only_reachable_providers_are_ranked_and_one_left_is_the_only_candidate(port):
    decision = select(port, profile="auto", availableProviders=["deepseek", "xai"])
    assert {entry.model.split("/")[0] for entry in decision.ranking} == {"deepseek", "xai"}
    decision = select(port, profile="auto", availableProviders=["xai"])
    assert (decision.model, decision.source) == ("xai/grok-4.7", pb.DECISION_SOURCE_ONLY_CANDIDATE)


def test_scripted_models_serve_only_a_caller_that_names_their_provider(port):
    assert not [entry for entry in select(port, profile="auto").ranking if entry.model.startswith("demo/")]
    assert select(port, profile="auto", availableProviders=["demo"]).model.startswith("demo/")


def test_a_model_asked_for_by_name_is_checked_and_not_chosen(port):
    decision = select(port, model="openai/gpt-4o")
    assert (decision.model, decision.source) == ("openai/gpt-4o", pb.DECISION_SOURCE_REQUESTED)
    assert len(decision.ranking) == 1
    unknown = select(port, model="openai/of-tomorrow")
    assert unknown.model == "openai/of-tomorrow"
    assert not unknown.ranking[0].HasField("expected_cost_usd")


@pytest.mark.parametrize(
    ("needs", "model", "filter_name"),
    [
        ({"inputTokens": 130_000}, "openai/gpt-4o", "context"),
        ({"outputTokens": 20_000}, "openai/gpt-4o", "output"),
        ({"vision": True}, "deepseek/deepseek-v4-pro", "vision"),
        ({}, "nobody/nothing", "unknown_model"),
    ],
)
def test_a_model_that_does_not_fit_is_removed_and_the_filter_named(port, needs, model, filter_name):
    with pytest.raises(grpc.RpcError) as caught:
        select(port, candidates={"models": [model]}, requirements=needs)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert f"filter '{filter_name}' removed {model}" in caught.value.details()
    (violation,) = details(caught.value)["PreconditionFailure"].violations
    assert (violation.type, violation.subject) == (filter_name, model)
    decision = select(port, candidates={"models": [model, "google/gemini-2.5-pro"]}, requirements=needs)
    trace = call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id))
    assert [(entry.model, entry.filter) for entry in trace.removed] == [(model, filter_name)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "choice"),
        ({"profile": ""}, "choice"),
        ({"candidates": {"models": []}}, "candidates.models"),
        ({"candidates": {"models": ["gpt-4"]}}, "candidates.models"),
        ({"candidates": {"models": ["a/b"] * 65}}, "candidates.models"),
        ({"model": "no-slash"}, "model"),
        ({"profile": "auto", "costQualityTradeoff": 11}, "cost_quality_tradeoff"),
        ({"profile": "auto", "purpose": 99}, "purpose"),
        ({"profile": "auto", "messages": [{"role": "boss", "text": "x"}]}, "messages[0].role"),
        ({"profile": "auto", "metadata": {"k": "v" * 129}}, "metadata"),
        ({"profile": "auto", "conversationId": "c" * 129}, "conversation_id"),
        ({"profile": "auto", "messages": [{"role": "boss", "text": "x"}] * 300}, "messages[0].role"),
        ({"profile": "auto", "messages": [{"role": "user", "text": "x"}] * 1001}, "messages"),
        ({"model": "a/" + "b" * 300}, "model"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused_naming_the_field(port, fields, field):
    with pytest.raises(grpc.RpcError) as caught:
        select(port, **fields)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    found = details(caught.value)
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == ("INVALID_REQUEST", "router.v1")
    assert found["BadRequest"].field_violations[0].field == field


def test_a_refusal_of_many_candidates_fits_into_the_trailers(port):
    names = [f"nobody/{'n' * 150}{number}" for number in range(64)]
    with pytest.raises(grpc.RpcError) as caught:
        select(port, candidates={"models": names})
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_report_with_an_impossible_duration_is_refused_naming_the_field(port):
    decision = select(port, profile="auto")
    report = pb.ReportOutcomeRequest(decision_id=decision.decision_id, outcome=pb.OUTCOME_APPLIED)
    report.latency.seconds = 10**17
    with pytest.raises(grpc.RpcError) as caught:
        call(port, "ReportOutcome", report)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(caught.value)["BadRequest"].field_violations[0].field == "latency"


def test_an_unknown_profile_is_refused_naming_the_known_ones(port):
    with pytest.raises(grpc.RpcError) as caught:
        select(port, profile="autox")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "auto, auto-weak, auto-editor, auto-architect" in caught.value.details()


MODELS = st.sampled_from(
    ["openai/gpt-4o", "deepseek/deepseek-v4-pro", "anthropic/claude-haiku-4-5", "mistral/codestral-latest", "x/unknown"]
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    models=st.lists(MODELS, min_size=1, max_size=5),
    needs=st.fixed_dictionaries(
        {
            "inputTokens": st.integers(0, 1_200_000),
            "outputTokens": st.integers(0, 150_000),
            "vision": st.booleans(),
            "tools": st.booleans(),
            "json": st.booleans(),
        }
    ),
    tradeoff=st.integers(0, 10),
)
def test_whatever_is_asked_the_answer_fits_or_the_filters_are_named(port, models, needs, tradeoff):
    listed = {model.id: model for model in call(port, "ListModels", pb.ListModelsRequest()).models}
    try:
        decision = select(port, candidates={"models": models}, requirements=needs, costQualityTradeoff=tradeoff)
    except grpc.RpcError as error:
        refusal = error
        decision = None
    if decision is None:
        assert refusal.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert {violation.subject for violation in details(refusal)["PreconditionFailure"].violations} == set(models)
        return
    trace = call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id))
    assert not {entry.model for entry in decision.ranking} & {entry.model for entry in trace.removed}
    again = select(port, candidates={"models": models}, requirements=needs, costQualityTradeoff=tradeoff)
    assert (again.ranking, again.source, again.reason) == (decision.ranking, decision.source, decision.reason)
    for entry in decision.ranking:
        model = listed[entry.model]
        assert needs["inputTokens"] <= model.context_tokens
        assert needs["outputTokens"] <= model.max_output_tokens
        assert model.vision >= needs["vision"]
        assert model.tools >= needs["tools"]
        assert model.json >= needs["json"]


def test_a_report_is_kept_once_and_shown_with_the_decision(port):
    decision = select(port, profile="auto", metadata={"service": "test"})
    report = pb.ReportOutcomeRequest(
        decision_id=decision.decision_id, served_model=decision.model, outcome=pb.OUTCOME_APPLIED, input_tokens=5
    )
    report.latency.FromMilliseconds(1500)
    for _ in range(3):
        call(port, "ReportOutcome", report)
    trace = call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id))
    (kept,) = trace.outcomes
    assert kept.cost_usd > 0
    kept.ClearField("cost_usd")
    assert kept == report
    assert trace.decision == decision
    assert dict(trace.metadata) == {"service": "test"}


def test_a_report_or_a_question_about_an_unknown_decision_is_refused(port):
    for rpc, request in (
        ("ReportOutcome", pb.ReportOutcomeRequest(decision_id="dec_x", outcome=pb.OUTCOME_APPLIED)),
        ("ExplainDecision", pb.ExplainDecisionRequest(decision_id="dec_x")),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call(port, rpc, request)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_shipped_catalogue_holds_forty_models_with_all_facts_and_nothing_retired(port):
    models = call(port, "ListModels", pb.ListModelsRequest()).models
    real = [model for model in models if not model.id.startswith("demo/")]
    assert len(real) >= 40
    for model in real:
        assert min(model.context_tokens, model.max_output_tokens, model.output_usd_per_mtok) > 0, model.id
        assert datetime.date.fromisoformat(model.checked), model.id
        assert 0 < model.quality < 1, model.id
        assert all((model.source, model.quality_source)), model.id


def test_the_profiles_are_listed_with_their_candidates_resolved(port):
    profiles = {entry.name: entry for entry in call(port, "ListProfiles", pb.ListProfilesRequest()).profiles}
    assert set(profiles) == {"auto", "auto-weak", "auto-editor", "auto-architect"}
    for profile in profiles.values():
        assert profile.description
        assert not [name for name in profile.candidates if "*" in name]
        assert "demo/small" in profile.candidates
    assert not profiles["auto-weak"].not_diamond


def test_health_and_reflection_are_served(port):
    assert grpc_serving(port)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([request]))
    names = {service.name for service in answer.list_services_response.service}
    assert {"router.v1.RouterService", "grpc.health.v1.Health"} <= names


def test_a_call_without_a_deadline_is_served(port):
    assert select(port, timeout=None, profile="auto").model


def test_sigterm_says_not_serving_and_ends_with_success():
    number = free_port()
    process = start_router(number)
    assert process.stop() == 0
    assert not grpc_serving(number)


def test_a_request_larger_than_the_limit_is_refused_and_harms_no_other(port):
    with pytest.raises(grpc.RpcError) as caught:
        select(port, profile="auto", messages=[{"role": "user", "text": "x" * 5_000_000}])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert select(port, profile="auto").model
