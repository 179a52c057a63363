"""Completions through the edge, the router and the real Portkey gateway, with a provider that does as it is told."""

import asyncio
import io
import json
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from google.protobuf.json_format import MessageToDict

from protos.router.v1 import router_pb2 as pb
from tests.conftest import HASTE, System
from tests.fakes import provider as fake
from tests.processes import NEVER, Process, at_rest, free_port, log_events, start_edge, wait_until
from tests.router_service.calls import call

MESSAGES = [{"role": "user", "content": "hello"}]
JSON = {"content-type": "application/json"}


async def ask(http: aiohttp.ClientSession, system: System, path: str = "/v1/chat/completions", **body: object):
    body = {"model": "auto", "messages": MESSAGES, **body}
    async with http.post(system.url + path, json=body) as answer:
        return answer.status, answer.headers, await answer.read()


def departures(system: System) -> int:
    """How many clients the edge's log says have left before their answer was whole."""
    left = [entry for entry in log_events(system.edge, "completion") if entry["outcome"] == "interrupted"]
    return len(left) + len(log_events(system.edge, "client_gone"))


async def test_a_plain_completion_comes_back_byte_for_byte_with_the_decision_in_the_headers(http, system):
    status, headers, body = await ask(http, system)
    assert (status, body) == (200, fake.PLAIN)
    assert headers["x-router-model"] == headers["x-served-model"] == "fake/first"
    assert headers["x-router-source"] == "local"
    assert headers["x-router-purpose"] == "chat"
    assert headers["x-router-previous-outcome"] == "none"
    assert "quality" in headers["x-router-reason"]
    for name in ("x-request-id", "x-router-decision-id", "x-router-conversation-id"):
        assert headers[name]


async def test_a_streamed_completion_comes_back_byte_for_byte_with_the_same_headers(http, system):
    status, headers, body = await ask(http, system, stream=True)
    assert (status, body) == (200, b"".join(fake.EVENTS))
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-served-model"] == "fake/first"


async def test_the_provider_receives_what_was_sent_but_for_the_model(http, system):
    sent = {
        "seed": 7,
        "unheard_of": {"deep": [1, 2.5, None, "ü"]},
        "top_k": 3,
        "temperature": 0,
        "reasoning_effort": "low",
    }
    await ask(http, system, **sent)
    assert system.provider.seen[0].body == {"model": "first", "messages": MESSAGES, **sent}


async def test_the_client_key_and_portkey_headers_never_reach_the_provider(http, system):
    headers = {"authorization": "Bearer client-secret", "x-portkey-custom-host": "http://127.0.0.1:1", "cookie": "a=b"}
    body = {"model": "auto", "messages": MESSAGES}
    async with http.post(system.url + "/v1/chat/completions", json=body, headers=headers) as answer:
        assert answer.status == 200
    seen = {name.lower(): value for name, value in system.provider.seen[0].headers.items()}
    assert "client-secret" not in json.dumps(seen)
    assert "cookie" not in seen
    assert not [name for name in seen if name.startswith("x-portkey")]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 524, 529])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_fails_before_its_first_byte_is_followed_by_the_next_in_the_ranking(
    http, system, status, stream
):
    system.provider.script["first"] = fake.refuse(status)
    code, headers, body = await ask(http, system, stream=stream)
    assert code == 200
    assert body == (b"".join(fake.EVENTS) if stream else fake.PLAIN)
    assert headers["x-router-model"] == "fake/first"
    assert headers["x-served-model"] == "fake/second"
    assert system.provider.models_tried() == ["first", "second"]


async def test_a_provider_that_refuses_the_connection_is_followed_by_the_next(http, system):
    status, headers, _ = await ask(http, system, model="refusing", stream=True)
    assert status == 200
    assert headers["x-router-model"] == "gone/away"
    assert headers["x-served-model"] == "fake/second"


async def test_a_provider_that_stays_silent_is_followed_by_the_next_after_the_first_byte_timeout(http, hasty):
    hasty.provider.script["first"] = fake.silence
    status, headers, body = await ask(http, hasty, stream=True)
    assert (status, body) == (200, b"".join(fake.EVENTS))
    assert headers["x-served-model"] == "fake/second"


def done_after(count: int) -> fake.Behaviour:
    """Some events, and then what stands at the end of a whole stream."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        return await fake.stream(request, (*fake.EVENTS[:count], fake.EVENTS[-1]))

    return behave


@pytest.mark.parametrize("events", [1, 2])
@pytest.mark.parametrize("cut", [partial(fake.cut_after, abort=True), partial(fake.cut_after, abort=False), done_after])
async def test_a_stream_that_is_cut_ends_in_an_error_event_and_never_cleanly(http, system, events, cut):
    system.provider.script["first"] = cut(events)
    status, _, body = await ask(http, system, stream=True)
    assert status == 200
    came, _, last = body.rstrip(b"\n").rpartition(b"\n\n")
    assert b"".join(fake.EVENTS).startswith(came)
    error = json.loads(last.removeprefix(b"data: "))["error"]
    assert error["code"] == "stream_truncated"
    assert "ask again" in error["message"]
    assert b"[DONE]" not in body


async def test_a_stream_that_stalls_ends_in_an_error_event(http, hasty):
    async def stall(request, body):
        response = await fake.stream(request, fake.EVENTS[:1])
        await asyncio.Event().wait()
        return response

    hasty.provider.script["first"] = stall
    _, _, body = await ask(http, hasty, stream=True)
    assert b'"code": "stream_idle_timeout"' in body
    assert b"[DONE]" not in body


@pytest.mark.parametrize(
    ("upstream", "status", "kind"),
    [
        (400, 400, "invalid_request_error"),
        (401, 401, "authentication_error"),
        (402, 400, "invalid_request_error"),
        (403, 400, "invalid_request_error"),
        (404, 404, "invalid_request_error"),
        (413, 400, "invalid_request_error"),
        (422, 400, "invalid_request_error"),
        (429, 429, "rate_limit_error"),
        (500, 503, "service_unavailable"),
        (503, 503, "service_unavailable"),
        (529, 503, "service_unavailable"),
    ],
)
async def test_an_upstream_error_arrives_as_one_that_aider_handles_rightly(http, system, upstream, status, kind):
    text = "no: see https://example.com/help and key sk-abcdefghijkl"
    system.provider.script = dict.fromkeys(("first", "second"), fake.refuse(upstream, text, retry_after="7"))
    code, headers, body = await ask(http, system)
    error = json.loads(body)["error"]
    assert (code, error["type"]) == (status, kind)
    assert "https:" not in error["message"]
    assert "sk-abc" not in error["message"]
    assert ("retry-after" in headers) == (status in (429, 503))


async def test_an_error_page_is_told_as_one_and_not_relayed(http, system):
    system.provider.script = dict.fromkeys(("first", "second"), fake.page(200))
    for stream in (False, True):
        code, _, body = await ask(http, system, stream=stream)
        assert code == 503
        assert json.loads(body)["error"]["code"] == "bad_upstream_response"


async def test_too_much_context_for_every_model_is_told_in_the_words_clients_know(http, system):
    request = {"model": "auto", "messages": [{"role": "user", "content": "word " * 800_000}]}
    sent = io.BytesIO(json.dumps(request).encode())
    async with http.post(system.url + "/v1/chat/completions", data=sent, headers=JSON) as answer:
        code, error = answer.status, (await answer.json())["error"]
    assert (code, error["code"]) == (400, "context_length_exceeded")
    assert error["message"].startswith("This model's maximum context length is 900000 tokens")
    assert system.provider.seen == []


@pytest.mark.parametrize(
    "name",
    [
        "nope",
        "gw/auto",
        "router:cost",
        "",
        "openai/gpt-5.2",
        "fake/",
        "fake/模型",
        "fake/a b",
        "fake/a\r\nx: y",
        "m" * 9999,
    ],
)
async def test_an_unknown_model_is_a_404_that_names_what_can_be_asked_for(http, system, name):
    code, _, body = await ask(http, system, model=name)
    error = json.loads(body)["error"]
    assert (code, error["code"]) == (404, "model_not_found")
    assert "auto-weak" in error["message"]
    if name.startswith("openai/"):
        assert "set OPENAI_API_KEY" in error["message"]


async def test_a_models_server_that_is_not_there_is_said_so(http, system):
    code, _, body = await ask(http, system, model="gone/away")
    assert code == 503
    assert "gone/away: no connection to its server came about" in json.loads(body)["error"]["message"]


async def test_a_model_asked_for_by_name_is_served_as_asked_and_not_failed_over(http, system):
    status, headers, _ = await ask(http, system, model="fake/not-in-the-catalogue")
    assert status == 200
    assert headers["x-router-source"] == "requested"
    assert system.provider.models_tried() == ["not-in-the-catalogue"]


@pytest.mark.parametrize(("headers", "tries"), [({}, 2), ({"x-stainless-retry-count": "0"}, 1)])
async def test_a_model_asked_for_by_name_is_tried_once_more_unless_the_client_does_that_itself(
    http, system, headers, tries
):
    system.provider.script["second"] = fake.refuse(500)
    body = {"model": "fake/second", "messages": MESSAGES}
    async with http.post(system.url + "/v1/chat/completions", json=body, headers=headers) as answer:
        assert answer.status == 503
    assert system.provider.models_tried() == ["second"] * tries


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"[1]", "expected `object`"),
        (b'{"model":"auto"}', "messages is missing"),
        (b'{"model":1,"messages":[]}', "model is wrong"),
        (b'{"model":"auto","messages":[]}', "messages is empty"),
        (b'{"model":"auto","messages":[{"content":"x"}]}', "messages[0].role is missing"),
        (b'{"model":"auto","messages":[{"role":"user","content":3}]}', "messages[0].content is wrong"),
        (b'{"model":"auto","messages":[{"role":"user","content":"\xff"}]}', ""),
        (b'{"model":"auto","stream":"yes","messages":[{"role":"user"}]}', "stream is wrong"),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_400_that_names_the_field(http, system, body, says):
    async with http.post(system.url + "/v1/chat/completions", data=body, headers=JSON) as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["type"]) == (400, "invalid_request_error")
    assert says in error["message"]


@pytest.mark.parametrize(
    ("path", "conversation"),
    [
        ("/v1/chat/completions", None),
        ("/chat/completions", None),
        ("/s/abc-1/v1/chat/completions", "abc-1"),
        ("/s/abc-2/chat/completions", "abc-2"),
        ("/v1?session=q1/chat/completions", "q1"),
    ],
)
async def test_every_base_url_that_aider_uses_is_served_and_may_name_the_conversation(http, system, path, conversation):
    status, headers, _ = await ask(http, system, path)
    assert status == 200
    assert conversation is None or headers["x-router-conversation-id"] == conversation


@pytest.mark.parametrize("name", ["OpenAI-Project", "x-session-id"])
async def test_a_header_may_name_the_conversation(http, system, name):
    async with http.post(
        system.url + "/v1/chat/completions", json={"model": "auto", "messages": MESSAGES}, headers={name: "my-session"}
    ) as answer:
        assert answer.headers["x-router-conversation-id"] == "my-session"


async def test_models_lists_the_profiles_and_the_models_that_can_be_reached(http, system):
    for path in ("/v1/models", "/models"):
        async with http.get(system.url + path) as answer:
            listed = {entry["id"]: entry for entry in (await answer.json())["data"]}
        assert {"auto", "auto-weak", "auto-editor", "auto-architect", "fake/first"} <= set(listed)
        assert listed["fake/first"]["context_length"] == 900_000
        assert "openai/gpt-5.2" not in listed


async def test_health_and_readiness_answer(http, system):
    for path in ("/healthz", "/readyz"):
        async with http.get(system.url + path) as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "ok")


async def test_an_unknown_path_or_method_is_told_in_openai_form(http, system):
    async with http.get(system.url + "/v1/chat/completions") as answer:
        assert answer.status == 405
        assert "POST" in answer.headers["allow"]
        assert (await answer.json())["error"]["type"] == "invalid_request_error"
    async with http.post(system.url + "/v1/proxy/chat/completions") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("stream", [False, True])
async def test_the_delivery_is_reported_to_the_router(http, system, stream):
    _, headers, _ = await ask(http, system, stream=stream)
    request = pb.ExplainDecisionRequest(decision_id=headers["x-router-decision-id"])

    def reported() -> list[dict]:
        return MessageToDict(call(system.router_port, "ExplainDecision", request)).get("outcomes", [])

    await asyncio.to_thread(wait_until, lambda: bool(reported()), "the report at the router")
    (outcome,) = reported()
    assert outcome["outcome"] == "OUTCOME_COMPLETED"
    assert outcome["servedModel"] == "fake/first"
    assert (outcome["inputTokens"], outcome["outputTokens"]) == (11, 7)


async def leave_once_asked(asking: asyncio.Future[Any], system: System) -> None:
    """Have a client leave as soon as the provider has its request."""
    await asyncio.to_thread(wait_until, lambda: bool(system.provider.seen), "the provider asked")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_client_that_leaves_before_the_first_byte_frees_the_work(http, system):
    system.provider.script = dict.fromkeys(("first", "second"), fake.silence)
    at_rest(system.url)
    gone = departures(system)
    await leave_once_asked(asyncio.create_task(ask(http, system, stream=True)), system)
    await asyncio.to_thread(wait_until, lambda: departures(system) > gone, "the edge noticed")
    await asyncio.to_thread(wait_until, system.provider.seen[0].closed.is_set, "the provider was let go")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_before_the_first_byte_is_told_of_as_interrupted(http, system, stream):
    at_rest(system.url)
    started, key = len(log_events(system.edge, "completion")), {"authorization": "Bearer leaves-early"}
    system.provider.script = dict.fromkeys(("first", "second"), fake.silence)
    body = {"model": "auto", "messages": MESSAGES, "stream": stream}
    asking = asyncio.ensure_future(http.post(system.url + "/v1/chat/completions", json=body, headers=key))
    await leave_once_asked(asking, system)

    def told() -> list[dict]:
        return log_events(system.edge, "completion")[started:]

    await asyncio.to_thread(wait_until, lambda: bool(told()), "the log line")
    (line,) = told()
    assert line["outcome"] == "interrupted"
    # The provider has been given the prompt, and asks for its price.
    assert (line["input_tokens"] > 0, line["tokens_estimated"]) == (True, True)
    request = pb.ExplainDecisionRequest(decision_id=line["decision_id"])

    def reported() -> list[str]:
        found = MessageToDict(call(system.router_port, "ExplainDecision", request)).get("outcomes", [])
        return [report["outcome"] for report in found]

    await asyncio.to_thread(wait_until, lambda: reported() == ["OUTCOME_INTERRUPTED"], "the report")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("message", [b'{"content":"caf\xc3"}', b'{"content":"hi","extra":1e999}'])
async def test_a_reply_whose_text_cannot_be_read_is_relayed_and_counts_as_completed(http, system, stream, message):
    end = b'"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}'
    events = (b'data: {"choices":[{"index":0,"delta":' + message + b"," + end + b"\n\n", b"data: [DONE]\n\n")
    plain = b'{"choices":[{"index":0,"message":' + message + b"," + end

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        if body.get("stream"):
            return await fake.stream(request, events)
        return web.Response(body=plain, content_type="application/json")

    system.provider.script = dict.fromkeys(("first", "second"), behave)
    status, headers, body = await ask(http, system, stream=stream)
    assert status == 200
    # Portkey itself mends what is no UTF-8 in a stream.
    assert body.replace("\ufffd".encode(), b"\xc3") == (b"".join(events) if stream else plain)
    wanted = headers["x-router-decision-id"]

    def lines() -> list[dict]:
        return [line for line in log_events(system.edge, "completion") if line["decision_id"] == wanted]

    await asyncio.to_thread(wait_until, lambda: bool(lines()), "the log line")
    (line,) = lines()
    assert (line["outcome"], line["input_tokens"], line["output_tokens"]) == ("completed", 9, 2)


async def test_without_a_router_the_default_order_serves_and_says_so(http, system, portkey, edge_config):
    port = free_port()
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{free_port()}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
    )
    alone = System(f"http://127.0.0.1:{port}", 0, system.provider, system.router, edge)
    try:
        status, headers, _ = await ask(http, alone)
        assert status == 200
        assert headers["x-router-source"] == "edge_default"
        assert headers["x-served-model"] == "fake/second"
        assert "no decision" in headers["x-router-reason"]
        status, headers, _ = await ask(http, alone, model="fake/first")
        assert (status, headers["x-router-source"]) == (200, "requested")
        status, _, _ = await ask(http, alone, model="unknown")
        assert status == 404
    finally:
        edge.stop()


async def test_without_portkey_the_client_is_told_to_try_again(http, system, edge_config):
    port = free_port()
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{system.router_port}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{free_port()}/v1",
    )
    try:
        status, headers, body = await ask(
            http, System(f"http://127.0.0.1:{port}", 0, system.provider, system.router, edge)
        )
        assert (status, headers["retry-after"]) == (503, "1")
        assert "PORTKEY_BASE_URL" in json.loads(body)["error"]["message"]
    finally:
        edge.stop()


async def test_no_prompt_and_no_key_stands_in_a_log(http, system):
    headers = {"authorization": "Bearer sentinel-key-12345"}
    body = {"model": "auto", "messages": [{"role": "user", "content": "sentinel prompt 67890"}]}
    async with http.post(system.url + "/v1/chat/completions", json=body, headers=headers) as answer:
        request_id = answer.headers["x-request-id"]
    await asyncio.to_thread(wait_until, lambda: request_id in system.edge.text(), "the log line")
    for process in (system.edge, system.router):
        assert "sentinel" not in process.text()


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_a_web_page_could_send_unasked_is_refused_whoever_sends_it(http, system, media_type):
    body = json.dumps({"model": "auto", "messages": MESSAGES})
    headers = {"content-type": media_type}
    async with http.post(system.url + "/v1/chat/completions", data=body.encode(), headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["code"] == "unsupported_media_type"
    assert system.provider.seen == []


async def test_a_plain_answer_may_take_longer_than_a_streams_first_byte(http, hasty):
    async def slow(request, body):
        await asyncio.sleep(HASTE + 0.5)
        return await fake.answer(request, body)

    hasty.provider.script["first"] = slow
    status, headers, body = await ask(http, hasty)
    assert (status, body) == (200, fake.PLAIN)
    assert headers["x-served-model"] == "fake/first"


@pytest.mark.parametrize(
    "usage", ["1.5", '{"prompt_tokens":11.5}', '{"prompt_tokens":"11"}', '{"prompt_tokens_details":[]}', "-3", '""']
)
async def test_a_completion_is_not_refused_for_a_usage_that_cannot_be_read(http, system, usage):
    plain = f'{{"choices":[{{"index":0,"message":{{}},"finish_reason":"stop"}}],"usage":{usage}}}'.encode()

    async def odd(request, body):
        if body.get("stream"):
            return await fake.stream(request, (b"data: " + plain + b"\n\n",))
        return web.Response(body=plain, content_type="application/json")

    system.provider.script["first"] = odd
    assert (await ask(http, system))[2] == plain
    assert (await ask(http, system, stream=True))[2] == b"data: " + plain + b"\n\n"


@pytest.mark.parametrize("error", ["{}", '""', "false", "null"])
async def test_an_empty_error_field_does_not_make_a_cut_stream_look_complete(http, system, error):
    event = f'data: {{"choices":[{{"delta":{{"content":"x"}}}}],"error":{error}}}\n\n'.encode()

    async def cut(request, body):
        return await fake.stream(request, (event,))

    system.provider.script["first"] = cut
    _, _, body = await ask(http, system, stream=True)
    assert b"stream_truncated" in body


async def test_a_connection_lost_after_the_model_had_finished_is_no_error(http, system):
    read = threading.Event()

    async def cut_when_read(request, body):
        response = await fake.stream(request, fake.EVENTS[:3])
        await asyncio.to_thread(read.wait, 10)
        request.transport.abort()
        return response

    system.provider.script["first"] = cut_when_read
    whole = b"".join(fake.EVENTS[:3])
    body = {"model": "auto", "messages": MESSAGES, "stream": True}
    async with http.post(system.url + "/v1/chat/completions", json=body) as answer:
        assert await answer.content.readexactly(len(whole)) == whole
        read.set()
        assert await answer.read() == b""


async def test_a_providers_odd_headers_do_not_harm_the_answer(http, system):
    async def odd(request, body):
        headers = {"x-ratelimit-remaining": "1\u65e52", "retry-after": "\u00ff"}
        return web.Response(body=fake.PLAIN, content_type="application/json", headers=headers)

    system.provider.script["first"] = odd
    status, headers, body = await ask(http, system)
    assert (status, body) == (200, fake.PLAIN)
    assert headers["x-ratelimit-remaining"].isascii()


@pytest.mark.parametrize(
    ("message", "code", "says"),
    [
        (
            "prompt is too long: 200001 tokens > 200000 maximum",
            "context_length_exceeded",
            "This model's maximum context length",
        ),
        ("no rate limit left for this key", "upstream_refused", "rate-limit"),
        ("a." * 30_000, "upstream_refused", "a.a."),
    ],
)
async def test_a_providers_words_are_told_so_that_clients_understand_them(http, system, message, code, says):
    system.provider.script["first"] = fake.refuse(400, message)
    status, _, body = await ask(http, system)
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (400, code)
    assert says in error["message"]
    assert "rate limit" not in error["message"]


@pytest.mark.parametrize(
    "text", ["expert code analyst" + "\n" * 3000, "\n" * 50_000, "1. The opening fence and code language" * 4000]
)
async def test_no_text_holds_the_edge_up(http, system, text):
    before = worked(system.edge)
    messages = [{"role": "system", "content": text}, {"role": "user", "content": "x" + text}]
    async with asyncio.timeout(NEVER):
        status, _, _ = await ask(http, system, messages=messages)
    assert status == 200
    assert worked(system.edge) - before < 5


def worked(process: Process) -> float:
    """Seconds that the processors have worked for it: what the machine does besides takes none of them."""
    ticks = Path(f"/proc/{process.popen.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


async def test_an_image_beside_a_tool_is_not_counted_as_text(http, system):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 900_000}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    status, headers, _ = await ask(http, system, messages=[{"role": "user", "content": [image]}], tools=[tool])
    assert status == 200
    request = pb.ExplainDecisionRequest(decision_id=headers["x-router-decision-id"])
    needs = call(system.router_port, "ExplainDecision", request).requirements
    assert needs.input_tokens < 5000
    assert needs.vision
    assert needs.tools


async def test_a_client_that_leaves_while_it_sends_leaves_no_traceback(http, system):
    host, port = system.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
    writer.write(head.encode())
    await writer.drain()
    at_rest(system.url)
    gone = departures(system)
    writer.close()
    await asyncio.to_thread(wait_until, lambda: departures(system) > gone, "the edge noticed")
    assert "Traceback" not in system.edge.text()


async def test_a_failed_request_is_one_line_in_the_log(http, system):
    system.provider.script = dict.fromkeys(("first", "second"), fake.refuse(500))
    _, headers, _ = await ask(http, system)
    wanted = headers["x-request-id"]
    await asyncio.to_thread(wait_until, lambda: wanted in system.edge.text(), "the log line")
    at_rest(system.url)
    assert len([line for line in system.edge.text().splitlines() if wanted in line]) == 1


async def test_a_retry_after_in_odd_letters_is_no_fault_of_ours(http, system):
    odd = fake.refuse(429, "slow down", retry_after="bald \u2603")
    system.provider.script |= {"first": odd, "second": odd}
    status, headers, _ = await ask(http, system)
    assert status == 429
    assert headers["retry-after"].startswith("bald")


async def test_a_stream_of_nothing_but_a_tools_call_is_counted_though_nobody_asked_for_its_usage(http, system):
    call_of_a_tool = b'{"tool_calls":[{"index":0,"id":"t1","function":{"name":"edit","arguments":"{}"}}]}'
    events = [
        b'data: {"choices":[{"index":0,"delta":' + call_of_a_tool + b',"finish_reason":"tool_calls"}]}\n\n',
        b"data: [DONE]\n\n",
    ]

    async def behave(request, body):
        return await fake.stream(request, events)

    system.provider.script["first"] = behave
    _, headers, _ = await ask(http, system, stream=True)
    line = await logged(system, headers["x-request-id"])
    assert (line["input_tokens"] > 0, line["tokens_estimated"]) == (True, True)


async def test_what_was_written_before_a_stream_broke_off_is_counted_though_its_count_never_came(http, system):
    text = b"word " * 700
    event = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}\n\n'

    async def behave(request, body):
        return await fake.stream(request, [event % text])

    system.provider.script["first"] = behave
    _, headers, _ = await ask(http, system, stream=True)
    line = await logged(system, headers["x-request-id"])
    assert (line["outcome"], line["input_tokens"], line["output_tokens"]) == ("provider_failed", 9, 1000)


async def logged(system: System, request_id: str) -> dict:
    """The log line of a request that has ended."""

    def found() -> list[dict]:
        return [line for line in log_events(system.edge, "completion") if line["request_id"] == request_id]

    await asyncio.to_thread(wait_until, lambda: bool(found()), "the log line")
    return found()[0]


async def test_a_code_that_is_none_is_not_passed_on(http, system):
    async def behave(request, body):
        error = {"message": "no", "type": "server_error", "code": "see https://evil.example/ " + "x" * 9000}
        return web.json_response({"error": error}, status=400)

    system.provider.script["first"] = behave
    status, _, body = await ask(http, system)
    assert (status, json.loads(body)["error"]["code"]) == (400, "upstream_refused")
