"""Not Diamond, however it answers: the router decides in time, with the right source and a reason that says why."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from router_service.not_diamond import NotDiamond
from tests.fakes import not_diamond as fake
from tests.processes import SHARED, Process, free_port, start_router, wait_until
from tests.router_service.calls import call, select

# Seconds of the router whose Not Diamond never answers; those who answer have as long as they need.
BUDGET = 0.5
CANDIDATES = {"models": ["openai/gpt-6.1-sol", "anthropic/claude-sonnet-5-5", "google/gemini-3.8-flash"]}
MESSAGES = [{"role": "system", "text": "Act as an expert."}, {"role": "user", "text": "fix the bug"}]


@pytest.fixture(scope="module")
def hosted() -> Iterator[fake.FakeNotDiamond]:
    server = fake.FakeNotDiamond()
    yield server
    server.close()


@pytest.fixture(scope="module")
def router(hosted: fake.FakeNotDiamond) -> Iterator[tuple[int, Process]]:
    with asking(hosted) as started:
        yield started


@pytest.fixture(scope="module")
def brief(hosted: fake.FakeNotDiamond) -> Iterator[tuple[int, Process]]:
    """One that gives Not Diamond little time."""
    with asking(hosted, ROUTER_NOT_DIAMOND_BUDGET_SECONDS=str(BUDGET)) as started:
        yield started


@contextmanager
def asking(hosted: fake.FakeNotDiamond, **env: str) -> Iterator[tuple[int, Process]]:
    port = free_port()
    process = start_router(
        port,
        NOT_DIAMOND_API_KEY="sk-sentinel-nd",
        NOTDIAMOND_BASE_URL=hosted.url,
        **env,
        # What is tested here is each answer by itself, not what a row of bad ones leads to.
        ROUTER_NOT_DIAMOND_FAILURES="1000",
        ROUTER_NOT_DIAMOND_RATE="1000",
    )
    yield port, process
    process.stop()


def fresh() -> list[dict[str, str]]:
    """Messages that have not been asked about before, so that no cached answer serves."""
    return [*MESSAGES[:-1], {"role": "user", "text": f"fix bug {uuid.uuid4()}"}]


def decide(port: int, **more: object) -> pb.SelectModelResponse:
    question = {"candidates": CANDIDATES, "messages": fresh(), "purpose": "PURPOSE_CODE", **more}
    return select(port, **question)


def test_a_good_recommendation_is_followed_and_the_others_stay_as_alternatives(hosted, router):
    port, _ = router
    hosted.answer = fake.recommend("google", "gemini-3.8-flash")
    decision = decide(port)
    assert decision.model == decision.ranking[0].model == "google/gemini-3.8-flash"
    assert decision.source == pb.DECISION_SOURCE_NOT_DIAMOND
    assert {entry.model for entry in decision.ranking} == set(CANDIDATES["models"])
    assert decision.not_diamond_session_id == "sess-1"
    assert decision.reason.startswith("Not Diamond recommended google/gemini-3.8-flash among 3 candidates")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (fake.reply(200, b"<html>hello</html>", "text/html"), "was not JSON"),
        (fake.reply(200, b"not json"), "could not be read"),
        (fake.reply(200, b""), ""),
        (fake.document({"providers": [], "session_id": "s"}), "recommended no model"),
        (fake.document({}), "named no providers"),
        (fake.document({"providers": None, "session_id": None}), "named no providers"),
        (fake.document({"providers": "openai"}), "named no providers"),
        (fake.document({"providers": [{}], "session_id": "s"}), "named no model"),
        (fake.document({"providers": [{"provider": "openai"}], "session_id": "s"}), "named no model"),
        (fake.document([1, 2]), ""),
        (fake.document(None), ""),
        (fake.recommend("openai", "gpt-nobody-asked-for"), "which is not a candidate"),
        (fake.recommend("azure", "gpt-6.1-sol"), "which is not a candidate"),
        (fake.recommend("azure", "a sentence of the prompt"), "what is no model's name"),
        (fake.recommend("azure", "Zq7" * 14), "what is no model's name"),
        (fake.reset, "connection to it failed"),
        (fake.reply(401, b'{"detail":"requestID=1, Could not find valid API key"}'), "check NOT_DIAMOND_API_KEY"),
        (fake.reply(400, b'{"detail":"Messages format invalid."}'), "HTTP 400"),
        (fake.reply(404, b'{"detail":"Preference ID p not found"}'), "HTTP 404"),
        (fake.reply(422, b"{}"), "HTTP 422"),
        (fake.reply(429, b"{}", retry_after="30"), "rate limit"),
        (fake.reply(500, b"oops", "text/plain"), "HTTP 500"),
        (fake.document({"providers": [{"provider": "a", "model": "b"}] * 100_000}), "larger than"),
    ],
)
def test_any_other_answer_leaves_the_decision_to_the_local_policy(hosted, router, answer, says):
    decided_locally(hosted, router[0], answer, says)


@pytest.mark.parametrize("answer", [fake.drip, fake.hang])
def test_an_answer_that_is_not_whole_within_the_budget_leaves_it_to_the_local_policy(hosted, brief, answer):
    # The drip would be whole after some eight seconds, and the other one never.
    decided_locally(hosted, brief[0], answer, f"no answer within {BUDGET}")


def decided_locally(hosted: fake.FakeNotDiamond, port: int, answer: fake.Answer, says: str) -> None:
    hosted.answer = answer
    decision = decide(port)
    assert decision.source == pb.DECISION_SOURCE_LOCAL
    assert decision.model in CANDIDATES["models"]
    assert decision.reason.startswith("Not Diamond was of no help (")
    assert says in decision.reason


def test_a_short_deadline_of_the_caller_shortens_the_budget(hosted, router):
    port, _ = router
    hosted.answer = fake.hang
    decision = decide(port, timeout=2)
    assert decision.source == pb.DECISION_SOURCE_LOCAL


def test_the_trace_tells_what_not_diamond_said_and_how_long_it_took(hosted, router):
    port, _ = router
    hosted.answer = fake.reply(401, b"{}")
    decision = decide(port)
    trace = call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id)).not_diamond
    assert "check NOT_DIAMOND_API_KEY" in trace.problem
    assert trace.elapsed.ToNanoseconds() > 0


@pytest.mark.parametrize("purpose", ["PURPOSE_COMMIT", "PURPOSE_SUMMARY", "PURPOSE_CACHE_PING"])
def test_housekeeping_is_never_sent_to_not_diamond(hosted, router, purpose):
    port, _ = router
    asked = len(hosted.seen)
    assert select(port, profile="auto", purpose=purpose, messages=fresh()).source == pb.DECISION_SOURCE_LOCAL
    assert len(hosted.seen) == asked


def test_the_request_has_the_recorded_form_and_trade_off_and_preference_exclude_each_other(hosted, router):
    port, _ = router
    hosted.answer = fake.recommend("google", "gemini-3.8-flash")
    decide(port, costQualityTradeoff=7, messages=MESSAGES)
    line, headers, body = hosted.seen[-1]
    assert line == "POST /v2/modelRouter/modelSelect HTTP/1.1"
    assert headers["authorization"] == "Bearer sk-sentinel-nd"
    assert body["cost_quality_tradeoff"] == 7
    assert body["messages"] == [{"role": turn["role"], "content": turn["text"]} for turn in MESSAGES]
    assert {"provider", "model", "context_length", "input_price", "output_price"} == set(body["llm_providers"][0])
    decide(port, preferenceId="pref-1")
    body = hosted.seen[-1][2]
    assert body["preference_id"] == "pref-1"
    assert "cost_quality_tradeoff" not in body
    assert None not in body.values()


def test_the_request_has_no_field_that_the_recorded_calls_do_not_have(hosted, router):
    records = SHARED / "notdiamond_wire"
    if not records.is_dir():
        pytest.skip(f"no recorded calls at {records}")
    recorded: dict[str, object] = {}
    for path in records.glob("*_select_*.json"):
        recorded |= json.loads(path.read_text())["body_json"] or {}
    port, _ = router
    hosted.answer = fake.recommend("google", "gemini-3.8-flash")
    decide(port)
    assert set(hosted.seen[-1][2]) <= set(recorded)


def test_neither_the_key_nor_the_prompt_stands_in_the_log(hosted, router):
    port, process = router
    hosted.answer = fake.reply(401, b'{"detail":"bad key sk-sentinel-nd"}')
    decide(port)
    assert "sentinel" not in process.text()
    assert "fix bug" not in process.text()


def test_an_empty_address_means_the_hosted_service_and_not_none_at_all(monkeypatch):
    monkeypatch.setenv("NOTDIAMOND_BASE_URL", "")
    assert str(NotDiamond("k", None)._client.base_url).startswith("https://api.notdiamond.ai")


def test_an_unprintable_session_id_does_not_cost_the_recommendation(hosted, router):
    port, _ = router
    good = b'{"providers":[{"provider":"google","model":"gemini-3.8-flash"}],"session_id":"s\\ud800"}'
    hosted.answer = fake.reply(200, good)
    decision = decide(port)
    assert decision.source == pb.DECISION_SOURCE_NOT_DIAMOND
    assert decision.not_diamond_session_id == ""


def test_outcomes_are_told_to_not_diamond_only_where_that_is_switched_on(hosted):
    hosted.answer = fake.recommend("google", "gemini-3.8-flash")
    for switched_on in ("true", "false"):
        port = free_port()
        process = start_router(
            port,
            NOT_DIAMOND_API_KEY="k",
            NOTDIAMOND_BASE_URL=hosted.url,
            ROUTER_NOT_DIAMOND_FEEDBACK=switched_on,
        )
        decision = decide(port)
        before = len(hosted.seen)
        report = pb.ReportOutcomeRequest(
            decision_id=decision.decision_id, served_model=decision.model, outcome=pb.OUTCOME_EDIT_FAILED
        )
        call(port, "ReportOutcome", report)
        # Stopping waits for what is under way.
        assert process.stop() == 0
        told = [(line.split()[1], body["feedback"]) for line, _, body in hosted.seen[before:]]
        assert told == ([("/v2/report/metrics/feedback", {"accuracy": 0})] if switched_on == "true" else [])


def test_a_caller_that_cancels_is_let_go_at_once_and_the_router_goes_on(hosted, router):
    port, _ = router
    hosted.answer = fake.hang
    request = ParseDict({"candidates": CANDIDATES, "messages": fresh()}, pb.SelectModelRequest())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        asked = len(hosted.seen)
        call_ = router_pb2_grpc.RouterServiceStub(channel).SelectModel.future(request, timeout=30)
        wait_until(lambda: len(hosted.seen) > asked, "Not Diamond is asked")
        call_.cancel()
        assert call_.cancelled()
    hosted.answer = fake.recommend("google", "gemini-3.8-flash")
    assert decide(port).source == pb.DECISION_SOURCE_NOT_DIAMOND
