"""What the router counts is what it has decided, refused and been told, with Not Diamond and without."""

import tomllib
import uuid

import grpc
import pytest
from google.protobuf.json_format import ParseDict

import edge_gateway
import router_client
import router_service
from protos.router.v1 import router_pb2 as pb
from tests.fakes import not_diamond
from tests.observability.scrape import Scrape, Since
from tests.processes import ROOT, free_port, start_router, wait_until
from tests.router_service.calls import call, select

CANDIDATES = {"models": ["openai/gpt-6.1-sol", "anthropic/claude-sonnet-5-5", "google/gemini-3.8-flash"]}


def test_decisions_and_outcomes_are_counted_with_what_they_cost(watched):
    since, port = Since(watched.router), watched.system.router_port
    decision = select(port, profile="auto", purpose="PURPOSE_CODE", available_providers=["fake"])
    report = {
        "decisionId": decision.decision_id,
        "outcome": "OUTCOME_COMPLETED",
        "inputTokens": 1000,
        "outputTokens": 500,
    }
    for _ in range(2):  # told twice, it is the same report
        call(port, "ReportOutcome", ParseDict(report, pb.ReportOutcomeRequest()))
    applied = {"decisionId": decision.decision_id, "outcome": "OUTCOME_APPLIED"}
    call(port, "ReportOutcome", ParseDict(applied, pb.ReportOutcomeRequest()))
    assert since("router_decisions_total", model="fake/first", source="local", purpose="code") == 1
    assert since("router_decision_seconds_count", not_diamond="not_asked") == 1
    assert since("router_outcomes_total", model="fake/first", outcome="completed") == 1
    assert since("router_outcomes_total", model="fake/first", outcome="applied") == 1
    assert since("router_tokens_total", model="fake/first", direction="input") == 1000
    assert since("router_cost_usd_total", model="fake/first") == pytest.approx(0.002)
    assert since("router_strongest_cost_usd_total") == pytest.approx(0.002)


def test_refusals_are_counted_by_their_reason_and_nothing_made_up_becomes_a_series(watched):
    since, port = Since(watched.router), watched.system.router_port
    for number in range(60):
        odd = f"zqzq-{number}"
        with pytest.raises(grpc.RpcError):
            select(port, profile=odd)
        named = select(port, model=f"{odd}/{odd}", tenant=odd, conversation_id=odd, metadata={odd: odd})
        report = {"decisionId": named.decision_id, "outcome": "OUTCOME_COMPLETED", "servedModel": f"{odd}/x"}
        call(port, "ReportOutcome", ParseDict(report, pb.ReportOutcomeRequest()))
    found = Scrape(watched.router)
    assert since("router_refused_total", reason="UNKNOWN_PROFILE") == 60
    assert since("router_decisions_total", model="other", source="requested") == 60
    assert since("router_outcomes_total", model="other", outcome="completed") == 60
    assert "zqzq" not in found.text
    assert len(found.series) <= 500


def test_what_became_of_asking_not_diamond_is_counted():
    hosted = not_diamond.FakeNotDiamond()
    port, metrics = free_port(), free_port()
    router = start_router(
        port,
        NOT_DIAMOND_API_KEY="sk-sentinel-nd",
        NOTDIAMOND_BASE_URL=hosted.url,
        ROUTER_NOT_DIAMOND_BUDGET_SECONDS="2",
        ROUTER_NOT_DIAMOND_FAILURES="3",
        ROUTER_NOT_DIAMOND_RATE="1000",
        ROUTER_METRICS_LISTEN=f"127.0.0.1:{metrics}",
    )
    try:

        def decide(words: str) -> None:
            select(port, candidates=CANDIDATES, messages=[{"role": "user", "text": words}], purpose="PURPOSE_CODE")

        known = words = str(uuid.uuid4())
        hosted.answer = not_diamond.recommend("openai", "gpt-6.1-sol")
        decide(known)
        decide(known)
        for answer in (not_diamond.hang, not_diamond.reset, not_diamond.reply(429, b"{}")):
            hosted.answer = answer
            decide(f"{words} {answer}")
        decide("and once more")
        found = Scrape(metrics)
        results = {
            word: found("router_not_diamond_seconds_count", result=word)
            for word in ("answered", "cached", "late", "failed", "rate_limited", "left_alone")
        }
        assert results == dict.fromkeys(results, 1)
        assert found("router_breaker_state", target="not_diamond") == 2
        assert found("router_decision_seconds_count", not_diamond="asked") == 5
        assert found("router_decisions_total", source="not_diamond") == 1
    finally:
        router.stop()
        hosted.close()


def test_a_configuration_that_is_refused_shows(tmp_path):
    config = tmp_path / "router.toml"
    config.write_text("")
    port, metrics = free_port(), free_port()
    router = start_router(port, ROUTER_CONFIG=str(config), ROUTER_METRICS_LISTEN=f"127.0.0.1:{metrics}")
    try:
        assert Scrape(metrics)("config_ok") == 1
        config.write_text("[profiles.auto\n")
        wait_until(lambda: Scrape(metrics)("config_ok") == 0, "the refusal to show")
        wait_until(
            lambda: Scrape(metrics)("router_problems_total", event="configuration_refused") == 1, "the problem counted"
        )
        config.write_text("")
        wait_until(lambda: Scrape(metrics)("config_ok") == 1, "the mended file to show")
    finally:
        router.stop()


def test_what_alerts_wait_for_is_there_before_it_happens(watched):
    """Of a series that begins at 1 Prometheus sees no increase."""
    edge, router = Scrape(watched.edge).text, Scrape(watched.router).text
    assert 'router_refused_total{reason="INTERNAL_ERROR"} 0.0' in router
    for name, reason in (("unreported", "dropped"), ("stream_end", "idle"), ("shed", "models_resting")):
        assert f'edge_{name}_total{{reason="{reason}"}} 0.0' in edge


def test_the_release_that_runs_is_the_projects(watched):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert edge_gateway.__version__ == router_service.__version__ == router_client.__version__ == version
    assert Scrape(watched.edge)("build_info", service="edge_gateway", version=version) == 1
    assert Scrape(watched.router)("build_info", service="router_service", version=version) == 1
