"""A request is one connected trace, whatever becomes of it: who was asked, within what, and how that ended."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from tests.edge_gateway.aider_process import AiderProcess
from tests.fakes.not_diamond import hang, recommend, reply
from tests.fakes.provider import EVENTS, cut_after, refuse, saying, silence
from tests.faults.asking import MESSAGES, PATH, ask, until
from tests.processes import free_port, log_events, log_line, wait_until
from tests.traces.house import (
    ASKED,
    CHAT,
    EDGE,
    OF_A_REQUEST,
    RECOMMENDED,
    REQUEST,
    ROUTER,
    WITH_NOT_DIAMOND,
    new_parent,
    one,
    told,
)


async def lasting(request: web.Request, body: dict) -> web.StreamResponse:
    """A stream that begins, and goes on until its reader leaves."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(EVENTS[1])
    await asyncio.Event().wait()
    raise AssertionError("never reached")


async def test_a_plain_request_is_one_trace_from_the_client_to_not_diamond_and_portkey(house):
    answer, spans = await house.trace(5)
    assert answer.served == "fake/second"
    assert told(spans) == sorted(WITH_NOT_DIAMOND)
    assert not [span.name for span in spans if span.failed]
    request, asked, decided = one(spans, REQUEST), one(spans, ASKED), one(spans, ASKED, ROUTER)
    assert request.said["http.request.method"] == "POST"
    assert request.said["http.route"] == request.said["url.path"] == "/v1/chat/completions"
    assert request.said["http.response.status_code"] == 200
    assert request.said["edge.request_id"] == answer.headers["x-request-id"]
    assert (request.said["edge.requested_model"], request.said["edge.outcome"]) == ("auto", "completed")
    for span in (request, asked, decided):
        assert span.said["router.decision.id"] == answer.headers["x-router-decision-id"]
        assert span.said["router.decision.source"] == answer.source == "not_diamond"
        assert span.said["router.decision.reason"]
    for span in (request, decided):
        assert (span.said["router.purpose"], span.said["router.previous_outcome"]) == ("chat", "none")
    for span in (asked, decided):
        assert (span.said["rpc.system"], span.said["rpc.grpc.status_code"]) == ("grpc", 0)
        assert (span.said["rpc.service"], span.said["rpc.method"]) == ("router.v1.RouterService", "SelectModel")
    recommended = one(spans, RECOMMENDED, ROUTER)
    assert recommended.said["http.response.status_code"] == 200
    assert str(recommended.said["server.port"]) in house.not_diamond.url


async def test_the_call_to_the_models_says_what_the_conventions_name(house):
    answer, spans = await house.trace(5)
    chat = one(spans, CHAT)
    assert {name: value for name, value in chat.said.items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "fake",
        "gen_ai.conversation.id": answer.headers["x-router-conversation-id"],
        "gen_ai.request.model": "fake/second",
        "gen_ai.request.stream": False,
        "gen_ai.response.model": "fake/second",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 0,
    }
    assert (chat.said["server.address"], chat.said["server.port"]) == ("127.0.0.1", house.portkey)
    assert (chat.said["edge.fallback_index"], chat.said["edge.requested_model"]) == (0, "auto")
    assert chat.said["router.decision.id"] == answer.headers["x-router-decision-id"]
    assert chat.schemas == ("https://opentelemetry.io/schemas/1.44.0",) * 2
    assert chat.resource["service.name"] == EDGE


async def test_the_log_lines_of_both_services_name_the_trace(house):
    answer, spans = await house.trace(5)
    decision = answer.headers["x-router-decision-id"]
    for process, event in ((house.system.edge, "completion"), (house.system.router, "decided")):
        line = log_line(process, event, decision_id=decision)
        assert line["trace_id"] == spans[0].trace_id


async def test_a_request_without_a_trace_begins_one(house):
    answer = await ask(house.system.url)
    decision = answer.headers["x-router-decision-id"]
    line = log_line(house.system.edge, "completion", decision_id=decision)
    spans = house.collector.trace(line["trace_id"], 5)
    assert one(spans, REQUEST).parent_id == ""
    assert told(spans) == sorted(WITH_NOT_DIAMOND)


async def test_the_spans_of_a_stream_end_with_it(house):
    house.system.provider.script["second"] = saying("a reply in several pieces")
    answer, spans = await house.trace(5, stream=True)
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert told(spans) == sorted(WITH_NOT_DIAMOND)
    request, chat = one(spans, REQUEST), one(spans, CHAT)
    assert chat.said["gen_ai.request.stream"] is True
    assert chat.said["gen_ai.response.finish_reasons"] == ["stop"]
    assert chat.said["edge.tokens_estimated"] is True
    assert 0 < chat.said["gen_ai.response.time_to_first_chunk"] <= (chat.end - chat.start) / 1e9
    assert chat.end <= request.end
    assert not request.failed
    assert not chat.failed


async def test_a_stream_that_breaks_off_has_failed_though_its_status_was_200(house):
    house.system.provider.script["second"] = cut_after(2, abort=True)
    answer, spans = await house.trace(5, stream=True)
    assert answer.status == 200
    for span in (one(spans, REQUEST), one(spans, CHAT)):
        assert span.failed
        assert span.said["error.type"] == "provider_failed"
        assert span.said["edge.outcome"] == "provider_failed"


@pytest.mark.parametrize(
    ("behaviour", "stream", "status"), [(silence, False, 499), (silence, True, 499), (lasting, True, 200)]
)
async def test_a_client_that_leaves_is_told_of_and_is_no_failure(house, http, behaviour, stream, status):
    house.system.provider.script["second"] = behaviour
    trace_id, parent = new_parent()
    body = {"model": "auto", "messages": MESSAGES, "stream": stream}
    headers = {"traceparent": parent, "x-session-id": trace_id}
    asking = asyncio.create_task(leaving(http, house.system.url + PATH, headers, body))
    await until(lambda: house.system.provider.seen, "the provider was asked")
    if status == 200:
        assert await asking
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    spans = await asyncio.to_thread(house.collector.trace, trace_id, 5)
    request, chat = one(spans, REQUEST), one(spans, CHAT)
    assert request.said["http.response.status_code"] == status
    assert request.said["edge.outcome"] == "interrupted"
    assert [request.failed, chat.failed] == [False, False]


async def leaving(http: aiohttp.ClientSession, url: str, headers: dict[str, str], body: dict) -> bytes:
    """The first of an answer; the rest is not waited for."""
    async with http.post(url, json=body, headers=headers) as answer:
        return await answer.content.readany()


async def test_a_failover_says_who_was_asked_first_and_who_answered(house):
    house.not_diamond.answer = recommend("gone", "away")
    try:
        answer, spans = await house.trace(5, model="refusing")
    finally:
        house.not_diamond.answer = recommend("fake", "second")
    assert answer.served == "fake/second"
    chat = one(spans, "chat gone/away")
    assert chat.said["gen_ai.request.model"] == "gone/away"
    assert chat.said["gen_ai.response.model"] == "fake/second"
    assert chat.said["gen_ai.provider.name"] == "fake"
    assert chat.said["edge.fallback_index"] == 1
    assert not chat.failed


async def test_a_request_that_no_model_answers_has_failed_with_the_clients_error(house):
    house.system.provider.script.update(first=refuse(500), second=refuse(500))
    answer, spans = await house.trace(5)
    request, chat = one(spans, REQUEST), one(spans, CHAT)
    assert request.said["http.response.status_code"] == answer.status >= 500
    assert request.failed
    assert chat.failed
    assert request.said["error.type"] == chat.said["error.type"] == answer.code


async def test_without_a_router_the_call_to_it_has_failed_and_the_request_has_not(house):
    with house.edge(EDGE_ROUTER=f"dns:///127.0.0.1:{free_port()}") as system:
        answer, spans = await house.trace(3, system.url)
    assert answer.source == "edge_default"
    assert told(spans) == sorted(entry for entry in OF_A_REQUEST if entry[0] == EDGE)
    request, asked = one(spans, REQUEST), one(spans, ASKED)
    assert asked.failed
    assert (asked.said["error.type"], asked.said["rpc.grpc.status_code"]) == ("UNAVAILABLE", 14)
    assert not request.failed
    assert request.said["router.decision.source"] == "edge_default"


async def test_a_refused_request_says_so_in_each_span_and_asks_no_model(house):
    answer, spans = await house.trace(3, model="nonsense")
    assert answer.status == 404
    assert told(spans) == sorted(entry for entry in OF_A_REQUEST if entry[2] != CHAT)
    request, asked, refused = one(spans, REQUEST), one(spans, ASKED), one(spans, ASKED, ROUTER)
    assert (request.said["http.response.status_code"], request.said["error.type"]) == (404, "model_not_found")
    assert asked.said["rpc.grpc.status_code"] == refused.said["rpc.grpc.status_code"] == 5
    assert refused.said["error.type"] == "UNKNOWN_PROFILE"
    # By the conventions a refusal is a failure to who asked, and none of who refused.
    assert [span.failed for span in (request, asked, refused)] == [False, True, False]


async def test_a_request_that_is_refused_before_it_is_read_is_a_span_of_its_own(house):
    answer, spans = await house.trace(1, messages=[])
    assert answer.status == 400
    assert [(span.name, span.said["http.response.status_code"]) for span in spans] == [(REQUEST, 400)]


async def test_a_leased_decision_says_so_and_so_does_the_router_that_is_told_of_it(house, http):
    aider = AiderProcess(http, house.system)
    first = await aider.ask("what is it?", "A function that adds.")
    second = await aider.ask("and why?", "Because.")
    line = log_line(house.system.edge, "completion", decision_id=second.decision)
    spans = house.collector.trace(line["trace_id"], 4)
    leased, honoured = (
        one(spans, "router.decision leased"),
        one(spans, "router.v1.RouterService/ReportOutcomes", ROUTER),
    )
    assert not [span for span in spans if span.name == ASKED]
    assert (leased.kind, leased.parent_id) == ("INTERNAL", one(spans, REQUEST).span_id)
    assert honoured.parent_id == leased.span_id
    for span in (leased, honoured):
        assert span.said["router.decision.id"] == second.decision
        assert span.said["router.decision.lease"] == first.decision
        assert span.said["router.decision.source"] == "pinned"

    def logged() -> list[dict]:
        return [line for line in log_events(house.system.router, "decided") if line["decision_id"] == second.decision]

    wait_until(lambda: len(logged()) == 1, "the leased decision in the router's log")
    assert logged()[0]["trace_id"] == line["trace_id"]


async def test_requests_that_share_a_call_to_the_router_are_traces_of_their_own(house):
    parents = [new_parent() for _ in range(40)]
    answers = await asyncio.gather(
        *(ask(house.system.url, headers={"traceparent": parent}, model="auto-weak") for _, parent in parents)
    )
    for (trace_id, parent), answer in zip(parents, answers, strict=True):
        spans = house.collector.trace(trace_id, 4)
        assert told(spans) == sorted(OF_A_REQUEST)
        assert one(spans, REQUEST).parent_id == parent.split("-")[2]
        decisions = {span.said["router.decision.id"] for span in spans}
        assert decisions == {answer.headers["x-router-decision-id"]}


async def test_an_answer_that_was_given_before_is_a_trace_without_a_decision(house):
    with house.edge(EDGE_CACHE_SECONDS="60") as system:
        await ask(system.url, temperature=0)
        answer, spans = await house.trace(1, system.url, temperature=0)
    assert answer.headers["cache-status"] == "edge_gateway; hit"
    assert told(spans) == [(EDGE, "SERVER", REQUEST, "the client's")]
    assert spans[0].said["edge.answered_again"] is True


@pytest.mark.parametrize(("answer", "kind", "status"), [(hang, "timeout", None), (reply(503, b"{}"), "503", 503)])
async def test_a_recommendation_that_does_not_come_has_failed_and_the_decision_has_not(house, answer, kind, status):
    house.not_diamond.answer = answer
    try:
        with house.in_a_hurry() as system:
            _, spans = await house.trace(5, system.url)
    finally:
        house.not_diamond.answer = recommend("fake", "second")
    recommended = one(spans, RECOMMENDED, ROUTER)
    decided = one(spans, ASKED, ROUTER)
    assert recommended.failed
    assert recommended.said["error.type"] == kind
    assert recommended.said.get("http.response.status_code") == status
    assert decided.said["router.not_diamond.problem"]
    assert decided.said["router.decision.source"] == "local"
    assert not decided.failed
