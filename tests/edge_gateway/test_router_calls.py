"""What is asked of the router at the same time goes in one call, and each asker hears what its own question comes to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import grpc
import pytest

from edge_gateway.decisions import Question
from edge_gateway.errors import GatewayError
from edge_gateway.event_stream import Usage
from edge_gateway.router_client.client import RouterClient, RouterUnavailable
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.processes import NEVER

REFUSED = pb.Refusal(
    code=grpc.StatusCode.FAILED_PRECONDITION.value[0],
    message="none fits",
    removed=[pb.RemovedCandidate(model="a/b", filter="tools")],
)
UNKNOWN = pb.Refusal(code=grpc.StatusCode.NOT_FOUND.value[0], message="unknown")


class Counting(router_pb2_grpc.RouterServiceServicer):
    """A router that counts its calls; the conversation's name says what a question comes to."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.begun = asyncio.Event()
        self.slow = asyncio.Event()
        self.called_off = asyncio.Event()

    async def SelectModel(self, request, context):
        self.calls["SelectModel"] += 1
        if request.conversation_id == "slow":
            await self.slow.wait()
        return self.decide(request)

    async def SelectModelStream(self, request, context):
        self.calls["SelectModelStream"] += 1
        self.begun.set()
        try:
            for position, one in reversed(list(enumerate(request.requests))):
                result = pb.SelectModelStreamResult(position=position)
                if one.conversation_id == "refused":
                    result.refusal.CopyFrom(REFUSED)
                elif one.conversation_id == "slow":
                    await self.slow.wait()
                if one.conversation_id != "refused":
                    result.decision.CopyFrom(self.decide(one))
                if one.conversation_id != "unanswered":
                    yield pb.SelectModelStreamResponse(results=[result])
        except asyncio.CancelledError:
            self.called_off.set()
            raise

    async def ReportOutcome(self, request, context):
        self.calls["ReportOutcome"] += 1
        return pb.ReportOutcomeResponse(cost_usd=1)

    async def ReportOutcomes(self, request, context):
        self.calls["ReportOutcomes"] += 1
        return pb.ReportOutcomesResponse(
            results=[
                pb.ReportOutcomesResult(refusal=UNKNOWN)
                if report.decision_id == "unknown"
                else pb.ReportOutcomesResult(kept=pb.ReportOutcomeResponse(cost_usd=float(report.decision_id)))
                for report in request.reports
            ]
        )

    @staticmethod
    def decide(request: pb.SelectModelRequest) -> pb.SelectModelResponse:
        return pb.SelectModelResponse(decision_id=f"dec_{request.conversation_id}", model="a/b")


class OfTheReleaseBefore(Counting):
    """Knows calls of one alone."""

    async def SelectModelStream(self, request, context):
        self.calls["SelectModelStream"] += 1
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        yield

    async def ReportOutcomes(self, request, context):
        self.calls["ReportOutcomes"] += 1
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


class AnsweringWhatNobodyAsked(Counting):
    """Has a position of its own for every question."""

    async def SelectModelStream(self, request, context):
        for position, one in enumerate(request.requests):
            result = pb.SelectModelStreamResult(position=position + 99, decision=self.decide(one))
            yield pb.SelectModelStreamResponse(results=[result])


@pytest.fixture(params=[Counting])
async def router(request) -> AsyncIterator[tuple[Counting, RouterClient]]:
    servicer = request.param()
    server = grpc.aio.server()
    router_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    # Each question is asked once here, however long the machine takes.
    client = RouterClient(f"ipv4:127.0.0.1:{port}", NEVER, hedge_after=NEVER)
    yield servicer, client
    await client.close()
    await server.stop(0)


def question(name: str) -> Question:
    return Question("code", "", (), 1000, 0, False, False, False, (), conversation_id=name, profile="auto")


def report(client: RouterClient, decision_id: str) -> asyncio.Future[float | None]:
    return asyncio.ensure_future(client.report(decision_id, "a/b", "completed", Usage(), None))


async def test_one_question_is_a_call_of_its_own(router):
    servicer, client = router
    assert (await client.select(question("one"))).id == "dec_one"
    assert servicer.calls == {"SelectModel": 1}


async def test_questions_at_the_same_time_are_one_call_and_each_gets_its_own_decision(router):
    servicer, client = router
    names = [str(number) for number in range(20)]
    decisions = await asyncio.gather(*(client.select(question(name)) for name in names))
    assert [decision.id for decision in decisions] == [f"dec_{name}" for name in names]
    assert servicer.calls == {"SelectModelStream": 1}


async def test_a_question_that_is_refused_or_not_answered_harms_no_other(router):
    _, client = router
    names = ["first", "refused", "unanswered", "last"]
    first, refused, unanswered, last = await asyncio.gather(
        *(client.select(question(name)) for name in names), return_exceptions=True
    )
    assert (first.id, last.id) == ("dec_first", "dec_last")
    assert isinstance(refused, GatewayError)
    assert refused.message == "none fits"
    assert isinstance(unanswered, RouterUnavailable)


@pytest.mark.parametrize("router", [AnsweringWhatNobodyAsked], indirect=True)
async def test_an_answer_to_what_nobody_asked_cannot_be_read(router):
    _, client = router
    told = await asyncio.gather(*(client.select(question(name)) for name in "ab"), return_exceptions=True)
    assert [type(one) for one in told] == [RouterUnavailable, RouterUnavailable]
    assert {str(one) for one in told} == {"its answer could not be read"}


async def test_questions_whose_channel_is_closed_are_told_so(router):
    servicer, client = router
    asked = [asyncio.ensure_future(client.select(question("slow"))) for _ in "ab"]
    async with asyncio.timeout(NEVER):
        await servicer.begun.wait()
        await client.close()
        told = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(one) for one in told] == ["its answer could not be read"] * 2


async def test_a_slow_decision_keeps_neither_those_beside_it_nor_those_after_it_waiting(router):
    servicer, client = router
    slow = asyncio.ensure_future(client.select(question("slow")))
    assert (await client.select(question("beside"))).id == "dec_beside"
    assert (await client.select(question("after"))).id == "dec_after"
    assert not slow.done()
    servicer.slow.set()
    assert (await slow).id == "dec_slow"


async def test_a_call_that_nobody_waits_for_any_more_is_called_off(router):
    servicer, client = router
    asked = [asyncio.ensure_future(client.select(question(name))) for name in ("slow", "slow")]
    async with asyncio.timeout(NEVER):
        await servicer.begun.wait()
        for one in asked:
            one.cancel()
        await servicer.called_off.wait()


async def test_reports_at_the_same_time_are_one_call_and_each_hears_what_became_of_it(router):
    servicer, client = router
    names = ["1", "unknown", "3"]
    costs = await asyncio.gather(*(report(client, name) for name in names), return_exceptions=True)
    assert (costs[0], costs[2]) == (1.0, 3.0)
    assert isinstance(costs[1], RouterUnavailable)
    assert str(costs[1]) == "NOT_FOUND"
    assert servicer.calls == {"ReportOutcomes": 1}


@pytest.mark.parametrize("router", [OfTheReleaseBefore], indirect=True)
async def test_a_router_of_the_release_before_is_asked_one_by_one(router):
    servicer, client = router
    for _ in range(2):
        decisions = await asyncio.gather(*(client.select(question(name)) for name in "abc"))
        assert [decision.id for decision in decisions] == ["dec_a", "dec_b", "dec_c"]
        assert await asyncio.gather(*(report(client, "1") for _ in "abc")) == [1.0, 1.0, 1.0]
    # It was found out once; no call of many is tried again for a while.
    assert servicer.calls == {"SelectModelStream": 1, "SelectModel": 6, "ReportOutcome": 6}
