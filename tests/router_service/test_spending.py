"""GetSpending, callers, and what ReportOutcome answers, over real gRPC: who asked, and what the replies have cost."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.databases import MISSING, Postgres, programs
from tests.processes import Process, free_port, start_router, wait_until
from tests.router_service.calls import call, select
from tests.router_service.test_savings import CONFIG
from tests.router_service.test_select_model import details

MIDDLE = {"served_model": "x/middle", "outcome": pb.OUTCOME_COMPLETED}
# A million tokens in and a hundred thousand out.
TOKENS = {"input_tokens": 1_000_000, "output_tokens": 100_000}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("router") / "router.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if programs() is None:
        pytest.skip(MISSING)
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def router(request: pytest.FixtureRequest, config: Path, tmp_path: Path) -> Iterator[tuple[int, Process]]:
    """A router of its own for each test, for spending is of all callers."""
    address = {
        "memory": lambda: "memory:",
        "sqlite": lambda: f"sqlite:///{tmp_path / 'ledger.db'}",
        "postgresql": lambda: request.getfixturevalue("postgres").new_database(),
    }[request.param]()
    port = free_port()
    process = start_router(port, ROUTER_CONFIG=str(config), ROUTER_LEDGER_URL=address)
    yield port, process
    process.stop()


@pytest.fixture(scope="module")
def port(config: Path) -> Iterator[int]:
    number = free_port()
    process = start_router(number, ROUTER_CONFIG=str(config))
    yield number
    process.stop()


def report(port: int, decision: pb.SelectModelResponse, **fields: object) -> pb.ReportOutcomeResponse:
    return call(port, "ReportOutcome", pb.ReportOutcomeRequest(decision_id=decision.decision_id, **fields))


def spending(port: int, **fields: Timestamp) -> list[tuple[str, float, int]]:
    rows = call(port, "GetSpending", pb.GetSpendingRequest(**fields)).rows
    return [(row.caller, row.cost_usd, row.decisions) for row in rows]


def explain(port: int, decision: pb.SelectModelResponse) -> pb.ExplainDecisionResponse:
    return call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id))


def test_what_each_callers_replies_have_cost_is_told_by_caller_and_range(router):
    port, _ = router
    for caller in ("nightly", "", "alice"):
        answer = report(port, select(port, profile="three", caller=caller), **MIDDLE, **TOKENS)
        assert answer.cost_usd == pytest.approx(4.0)
    select(port, profile="three", caller="alice", tenant="another")
    everybody = [("", 4.0, 1), ("alice", 4.0, 2), ("nightly", 4.0, 1)]
    wait_until(lambda: spending(port) == everybody, "the costs written")
    listed = call(port, "ListDecisions", pb.ListDecisionsRequest()).decisions
    newest, oldest = listed[0].time, listed[-1].time
    assert spending(port, since=oldest) == everybody
    assert spending(port, since=newest) == [("alice", 0.0, 1)]
    assert spending(port, until=newest) == [("", 4.0, 1), ("alice", 4.0, 1), ("nightly", 4.0, 1)]
    assert spending(port, until=oldest) == []
    assert spending(port, since=Timestamp(seconds=int(time.time()) + 3600)) == []


def test_who_asked_is_shown_with_the_decision_in_lists_and_to_watchers(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = router_pb2_grpc.RouterServiceStub(channel).WatchDecisions(pb.WatchDecisionsRequest(), timeout=60)
        stream.initial_metadata()
        decision = select(port, profile="three", tenant="shown", caller="nightly build, é")
        assert next(stream).decision.caller == "nightly build, é"
        stream.cancel()
    assert explain(port, decision).caller == "nightly build, é"
    (entry,) = call(port, "ListDecisions", pb.ListDecisionsRequest(tenant="shown")).decisions
    assert entry.caller == "nightly build, é"


def test_who_asked_in_a_batch_is_told_for_each_request(port):
    requests = [pb.SelectModelRequest(profile="three", tenant="batch", caller=name) for name in ("one", "two")]
    call(port, "SelectModels", pb.SelectModelsRequest(requests=requests))
    found = call(port, "ListDecisions", pb.ListDecisionsRequest(tenant="batch")).decisions
    assert {entry.caller for entry in found} == {"one", "two"}


def test_a_callers_name_of_64_characters_is_taken_and_a_longer_one_refused_naming_the_field(port):
    assert explain(port, select(port, profile="three", caller="é" * 64)).caller == "é" * 64
    with pytest.raises(grpc.RpcError) as caught:
        select(port, profile="three", caller="é" * 65)
    (violation,) = details(caught.value)["BadRequest"].field_violations
    assert (violation.field, violation.description) == ("caller", "is longer than 64 characters")


def test_a_report_is_answered_with_what_the_reply_cost(port):
    decision = select(port, profile="three")
    assert report(port, decision, **MIDDLE, **TOKENS).cost_usd == pytest.approx(4.0)
    # Telling it again is answered alike, and the caller's own figure outranks the price list.
    assert report(port, decision, **MIDDLE, **TOKENS).cost_usd == pytest.approx(4.0)
    assert report(port, decision, **MIDDLE, **TOKENS, cost_usd=0.5).cost_usd == 0.5
    assert report(port, decision, **MIDDLE, cost_usd=0.0).HasField("cost_usd")


@pytest.mark.parametrize("fields", [MIDDLE, {**MIDDLE, **TOKENS, "served_model": "y/nobody-knows"}])
def test_a_cost_that_is_not_known_is_not_set(port, fields):
    assert not report(port, select(port, profile="three"), **fields).HasField("cost_usd")


def test_while_the_database_is_away_a_cost_is_not_known_and_the_report_is_kept_all_the_same(config):
    if programs() is None:
        pytest.skip(MISSING)
    postgres, port = Postgres(), free_port()
    env = {"ROUTER_LEDGER_URL": postgres.new_database(), "ROUTER_KEPT_DECISIONS": "1", "ROUTER_CONFIG": str(config)}
    router = start_router(port, **env)
    try:
        decision = select(port, profile="three", caller="alice")
        # The router keeps one in memory, so the first has to be looked up.
        select(port, profile="three", caller="bob")
        both = [("alice", 0.0, 1), ("bob", 0.0, 1)]
        wait_until(lambda: spending(port) == both, "both decisions written")
        postgres.kill()
        assert not report(port, decision, **MIDDLE, **TOKENS).HasField("cost_usd")
        assert report(port, decision, **MIDDLE, cost_usd=0.25).cost_usd == 0.25
        with pytest.raises(grpc.RpcError) as caught:
            spending(port)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        postgres.start()

        def told() -> bool:
            try:
                return spending(port) == [("alice", 0.25, 1), ("bob", 0.0, 1)]
            except grpc.RpcError:
                return False

        wait_until(told, "the report written")
    finally:
        router.stop()
        postgres.close()


def test_what_was_changed_in_a_request_is_kept_with_its_report_and_shown_again(port):
    decision = select(port, profile="three")
    names = [f"rule_{number}" for number in range(15)] + ["9" * 64]
    for adaptations in (names, names, [], []):
        report(port, decision, **MIDDLE, adaptations=adaptations)
    assert [list(outcome.adaptations) for outcome in explain(port, decision).outcomes] == [names, []]


@pytest.mark.parametrize(
    ("names", "field", "says"),
    [
        (["a"] * 17, "adaptations", "holds 17 names; give at most 16"),
        (["fine", "Not fine"], "adaptations[1]", "a to z, 0 to 9 and _"),
        (["a" * 65], "adaptations[0]", "1 to 64 characters"),
        ([""], "adaptations[0]", "1 to 64 characters"),
        (["a\n"], "adaptations[0]", "a to z, 0 to 9 and _"),
    ],
)
def test_adaptations_that_break_a_rule_are_refused_naming_the_field_and_nothing_is_kept(port, names, field, says):
    decision = select(port, profile="three")
    with pytest.raises(grpc.RpcError) as caught:
        report(port, decision, **MIDDLE, adaptations=names)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = details(caught.value)["BadRequest"].field_violations
    assert violation.field == field
    assert says in violation.description
    assert not explain(port, decision).outcomes
