"""Many questions, or many reports, in one call: each is answered as it would be alone, and none harms or holds up another."""

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.fakes import not_diamond as fake
from tests.processes import free_port, start_router
from tests.router_service.calls import call, select

CANDIDATES = {"models": ["openai/gpt-6.1-sol", "anthropic/claude-sonnet-5-5"]}
TEXT = [{"role": "user", "text": "fix the bug"}]


@pytest.fixture(scope="module")
def hosted() -> Iterator[fake.FakeNotDiamond]:
    server = fake.FakeNotDiamond()
    yield server
    server.close()


@pytest.fixture(scope="module")
def port(hosted: fake.FakeNotDiamond) -> Iterator[int]:
    port = free_port()
    process = start_router(
        port,
        NOT_DIAMOND_API_KEY="k",
        NOTDIAMOND_BASE_URL=hosted.url,
        # As long as a hanging answer keeps its own question waiting here.
        ROUTER_NOT_DIAMOND_BUDGET_SECONDS="1.5",
        ROUTER_NOT_DIAMOND_CACHE_SECONDS="0",
    )
    yield port
    process.stop()


def question(**fields: object) -> pb.SelectModelRequest:
    chosen_from = {} if fields.keys() & {"candidates", "model"} else {"profile": "auto"}
    return ParseDict({"purpose": "PURPOSE_COMMIT", **chosen_from, **fields}, pb.SelectModelRequest())


def stream(port: int, *questions: pb.SelectModelRequest) -> list[pb.SelectModelStreamResponse]:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        asked = pb.SelectModelStreamRequest(requests=questions)
        return list(router_pb2_grpc.RouterServiceStub(channel).SelectModelStream(asked, timeout=10))


def test_each_question_of_a_stream_is_answered_once_with_its_place(port):
    unfit = question(candidates=CANDIDATES, requirements={"inputTokens": 900_000_000})
    questions = [question(), question(profile="nope"), unfit, *[question(model="openai/gpt-4o")] * 40]
    results = [result for message in stream(port, *questions) for result in message.results]
    assert sorted(result.position for result in results) == list(range(len(questions)))
    decided, unknown, refused, *named = sorted(results, key=lambda result: result.position)
    assert decided.decision.model == select(port, profile="auto", purpose="PURPOSE_COMMIT").model
    assert (unknown.refusal.code, unknown.refusal.reason) == (
        grpc.StatusCode.NOT_FOUND.value[0],
        "UNKNOWN_PROFILE",
    )
    assert refused.refusal.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert {entry.model for entry in refused.refusal.removed} == set(CANDIDATES["models"])
    assert {entry.filter for entry in refused.refusal.removed} == {"context"}
    assert {result.decision.model for result in named} == {"openai/gpt-4o"}


def test_a_question_that_not_diamond_is_asked_about_keeps_no_other_waiting(port, hosted):
    hosted.answer = fake.hang
    slow = question(candidates=CANDIDATES, purpose="PURPOSE_CODE", messages=TEXT)
    first, last = stream(port, slow, question(), question())
    assert sorted(result.position for result in first.results) == [1, 2]
    assert [result.position for result in last.results] == [0]
    assert "no answer within" in last.results[0].decision.reason


def test_reports_of_a_batch_are_kept_in_their_order_and_a_refusal_harms_no_other(port):
    decisions = [select(port, model="openai/gpt-4o") for _ in range(2)]
    kept = [
        pb.ReportOutcomeRequest(
            decision_id=decision.decision_id,
            served_model="openai/gpt-4o",
            outcome=outcome,
            input_tokens=1_000_000,
        )
        for decision in decisions
        for outcome in (pb.OUTCOME_COMPLETED, pb.OUTCOME_APPLIED)
    ]
    unknown = pb.ReportOutcomeRequest(decision_id="dec_none", outcome=pb.OUTCOME_APPLIED)
    wrong = pb.ReportOutcomeRequest()
    answer = call(port, "ReportOutcomes", pb.ReportOutcomesRequest(reports=[kept[0], unknown, wrong, *kept[1:]]))
    assert [result.WhichOneof("result") for result in answer.results] == ["kept", "refusal", "refusal", *["kept"] * 3]
    assert [result.refusal.reason for result in answer.results[1:3]] == ["UNKNOWN_DECISION", "INVALID_REQUEST"]
    assert answer.results[0].kept.cost_usd > 0
    for decision in decisions:
        told = call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id))
        assert [report.outcome for report in told.outcomes] == [pb.OUTCOME_COMPLETED, pb.OUTCOME_APPLIED]


@pytest.mark.parametrize("count", [0, 257])
def test_a_batch_of_none_or_too_many_is_refused(port, count):
    reports = pb.ReportOutcomesRequest(reports=[pb.ReportOutcomeRequest()] * count)
    for send in (lambda: call(port, "ReportOutcomes", reports), lambda: stream(port, *[question()] * count)):
        with pytest.raises(grpc.RpcError) as caught:
            send()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert f"holds {count} re" in caught.value.details()
