"""Many questions, or many reports, in one call: each is answered as it would be alone, and none harms or holds up another."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from router_service import telemetry
from router_service.domain import Decision
from router_service.ledger import MemoryLedger
from router_service.pins import Pins
from router_service.selection import Selection
from router_service.servicer import RouterServicer
from router_service.settings import load_catalog
from router_service.stores.memory import MemoryStore
from router_service.watch import Watchers
from tests.fakes import not_diamond as fake
from tests.processes import NEVER, free_port, start_router
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
        return list(router_pb2_grpc.RouterServiceStub(channel).SelectModelStream(asked, timeout=NEVER))


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


class TroubledLedger(MemoryLedger):
    """Asked for `dec_broken` it makes a mistake; for `dec_slow_*` it answers when all of them are asked for at once."""

    def __init__(self, slow: int) -> None:
        super().__init__(10)
        self._all_asked = asyncio.Barrier(slow)

    async def find(self, decision_id: str) -> Decision:
        if decision_id == "dec_broken":
            raise ValueError("the prompt says: my password is hunter2")
        if decision_id.startswith("dec_slow"):
            await self._all_asked.wait()
        return await super().find(decision_id)


@asynccontextmanager
async def serving(ledger: MemoryLedger) -> AsyncIterator[Any]:
    catalog = load_catalog("")
    selection = Selection(catalog, None, Pins(MemoryStore(100)), 0.1, time.time)
    server = grpc.aio.server()
    router_pb2_grpc.add_RouterServiceServicer_to_server(RouterServicer(selection, ledger, Watchers(), 5), server)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}") as channel:
        await server.start()
        yield router_pb2_grpc.RouterServiceStub(channel)
        await server.stop(None)


def told(*names: str) -> pb.ReportOutcomesRequest:
    reports = [pb.ReportOutcomeRequest(decision_id=name, outcome=pb.OUTCOME_APPLIED) for name in names]
    return pb.ReportOutcomesRequest(reports=reports)


async def test_reports_on_different_decisions_do_not_wait_for_each_others_look_ups():
    names = [f"dec_slow_{number}" for number in range(40)]
    async with serving(TroubledLedger(len(names))) as router:
        answer = await router.ReportOutcomes(told(*names), timeout=NEVER)
    assert [result.refusal.reason for result in answer.results] == ["UNKNOWN_DECISION"] * len(names)


async def test_a_mistake_of_the_routers_harms_no_other_report_and_is_told_without_what_it_read(capsys):
    telemetry.configure()
    async with serving(TroubledLedger(1)) as router:
        answer = await router.ReportOutcomes(told("dec_none", "dec_broken", "dec_none"), timeout=NEVER)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await router.ReportOutcome(told("dec_broken").reports[0], timeout=NEVER)
    reasons = [result.refusal.reason for result in answer.results]
    assert reasons == ["UNKNOWN_DECISION", "INTERNAL_ERROR", "UNKNOWN_DECISION"]
    assert answer.results[1].refusal.code == grpc.StatusCode.INTERNAL.value[0]
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    log = capsys.readouterr().err
    lines = [json.loads(line) for line in log.splitlines() if '"mistaken"' in line]
    assert [line["error"] for line in lines] == ["ValueError"] * 2
    assert any("test_batches.py" in place for place in lines[0]["where"])
    assert "hunter2" not in log + str(answer) + caught.value.details()
