"""Providers that refuse, or answer with what is no answer, behind the real Portkey gateway."""

import asyncio
import gzip
import json

from aiohttp import web

from tests.fakes import provider as fake
from tests.fakes.behaviours import Behaviour, stream
from tests.faults.asking import RETRIES_ITSELF, Answer, ask, until
from tests.faults.fault_proxy import Fault
from tests.faults.row import Seen
from tests.faults.stage import Stage

WHOLE = b"".join(fake.EVENTS)
SECRET = "see https://example.com/help, key sk-abcdefghijkl"


def told(answer: Answer) -> Seen:
    return Seen(answer.told(), answer.seconds)


def all_models(stage: Stage, behave: Behaviour) -> None:
    stage.provider.script = dict.fromkeys(("first", "second"), behave)


async def followed(stage: Stage, behave: Behaviour, *, streamed: bool = True, url: str = "") -> Seen:
    """The first model behaves so; the second one's answer has to be the client's, whole."""
    stage.provider.script["first"] = behave
    answer = await ask(url or stage.system.url, stream=streamed)
    assert answer.body == (WHOLE if streamed else fake.PLAIN), answer.body
    assert answer.served == "fake/second"
    assert stage.provider.models_tried() == ["first", "second"]
    return told(answer)


async def a_limit_that_is_named(stage: Stage) -> Seen:
    stage.provider.script["second"] = fake.refuse(429, "slow down", retry_after="7")
    answer = await ask(stage.system.url, headers=RETRIES_ITSELF, model="fake/second")
    assert answer.headers["retry-after"] == "7"
    assert stage.provider.models_tried() == ["second"]
    return told(answer)


async def a_limit_at_one_model(stage: Stage) -> Seen:
    return await followed(stage, fake.refuse(429, "slow down", retry_after="7"))


async def failures_before_the_first_byte(stage: Stage) -> Seen:
    slowest = Seen("", 0)
    for status in (500, 502, 503, 529):
        stage.reset()
        seen = await followed(stage, fake.refuse(status))
        slowest = max(slowest, seen, key=lambda one: one.seconds)
    return slowest


async def failures_of_all(stage: Stage) -> Seen:
    all_models(stage, fake.refuse(502))
    answer = await ask(stage.system.url, stream=True)
    assert answer.headers["retry-after"] == "1"
    assert stage.provider.models_tried() == ["first", "second"]
    return told(answer)


async def refusals(stage: Stage, upstream: list[int], seen: list[tuple[int, str]]) -> float:
    """Each of these statuses of a provider's is told as this one of ours, tried nowhere else, without what is secret."""
    slowest = 0.0
    for status, (wanted, kind) in zip(upstream, seen, strict=True):
        stage.reset()
        all_models(stage, fake.refuse(status, SECRET))
        answer = await ask(stage.system.url, stream=True)
        assert (answer.status, answer.error["type"]) == (wanted, kind), answer.body
        assert "sk-abc" not in answer.error["message"]
        assert "https:" not in answer.error["message"]
        assert stage.provider.models_tried() == ["first"]
        slowest = max(slowest, answer.seconds)
    return slowest


async def refusals_that_are_the_requests_fault(stage: Stage) -> Seen:
    invalid = "invalid_request_error"
    kinds = [(400, invalid), (401, "authentication_error"), (404, invalid)]
    return Seen("400, 401, 404", await refusals(stage, [400, 401, 404], kinds))


async def refusals_that_aider_would_repeat(stage: Stage) -> Seen:
    kinds = [(400, "invalid_request_error")] * 4
    return Seen("400", await refusals(stage, [402, 403, 413, 424], kinds))


async def a_page(stage: Stage) -> Seen:
    all_models(stage, fake.page(200))
    for streamed in (True, False):
        answer = await ask(stage.system.url, stream=streamed)
        assert b"<html" not in answer.body
    return told(answer)


async def an_error_page(stage: Stage) -> Seen:
    all_models(stage, fake.page(500))
    answer = await ask(stage.system.url, stream=True)
    assert b"<html" not in answer.body
    assert answer.headers["retry-after"] == "1"
    return told(answer)


async def plain_json(request: web.Request, body: dict) -> web.StreamResponse:
    return web.Response(body=fake.PLAIN, content_type="application/json")


async def json_to_a_stream(stage: Stage) -> Seen:
    return await followed(stage, plain_json)


async def json_to_every_stream(stage: Stage) -> Seen:
    all_models(stage, plain_json)
    return told(await ask(stage.system.url, stream=True))


def error_event(request: web.Request, body: dict) -> asyncio.Future[web.StreamResponse]:
    event = b"data: " + json.dumps({"error": {"message": "overloaded", "type": "server_error"}}).encode() + b"\n\n"
    return stream(request, [event])


async def an_error_as_first_event(stage: Stage) -> Seen:
    return await followed(stage, error_event)


async def an_error_as_every_first_event(stage: Stage) -> Seen:
    all_models(stage, error_event)
    return told(await ask(stage.system.url, stream=True))


async def silence(stage: Stage) -> Seen:
    seen = await followed(stage, fake.silence, url=stage.longer.url)
    await until(stage.provider.seen[0].closed.is_set, "the first provider let go")
    return seen


async def silence_of_all(stage: Stage) -> Seen:
    all_models(stage, fake.silence)
    return told(await ask(stage.hasty.url, stream=True))


async def headers_by_the_byte(stage: Stage) -> Seen:
    stage.wire.fault = Fault(bytes_a_piece=1, bytes_a_second=10)
    return told(await ask(stage.hasty.url, headers=RETRIES_ITSELF, model="far/first", stream=True))


async def nobody_listening(stage: Stage) -> Seen:
    answer = await ask(stage.system.url, model="refusing", stream=True)
    assert (answer.body, answer.served) == (WHOLE, "fake/second")
    return told(answer)


async def zipped(request: web.Request, body: dict) -> web.StreamResponse:
    data = gzip.compress(WHOLE if body.get("stream") else fake.PLAIN)
    kind = "text/event-stream" if body.get("stream") else "application/json"
    return web.Response(body=data, headers={"content-type": kind, "content-encoding": "gzip"})


async def a_zipped_body(stage: Stage) -> Seen:
    all_models(stage, zipped)
    plain = await ask(stage.system.url)
    assert (plain.body, plain.headers.get("content-encoding", "")) == (fake.PLAIN, "")
    answer = await ask(stage.system.url, stream=True)
    assert (answer.body, answer.headers.get("content-encoding", "")) == (WHOLE, "")
    assert stage.provider.models_tried() == ["first", "first"]
    return told(answer)


async def a_redirect(stage: Stage) -> Seen:
    async def elsewhere(request: web.Request, body: dict) -> web.StreamResponse:
        return web.Response(status=302, headers={"location": f"{stage.provider.url}/chat/completions?stolen=1"})

    stage.provider.script["first"] = elsewhere
    answer = await ask(stage.system.url, headers=RETRIES_ITSELF, model="fake/first", stream=True)
    assert len(stage.provider.seen) == 1, "the redirect was followed"
    return told(answer)


async def no_content(stage: Stage) -> Seen:
    async def nothing(request: web.Request, body: dict) -> web.StreamResponse:
        return web.Response(status=204)

    return await followed(stage, nothing)


async def a_plain_answer_cut_short(stage: Stage) -> Seen:
    async def cut(request: web.Request, body: dict) -> web.StreamResponse:
        length = str(len(fake.PLAIN))
        response = web.StreamResponse(headers={"content-type": "application/json", "content-length": length})
        await response.prepare(request)
        await response.write(fake.PLAIN[:20])
        request.transport.abort()
        return response

    return await followed(stage, cut, streamed=False)


async def headers_without_measure(stage: Stage) -> Seen:
    async def boast(request: web.Request, body: dict) -> web.StreamResponse:
        return web.Response(body=fake.PLAIN, content_type="application/json", headers={"x-much": "x" * 100_000})

    return await followed(stage, boast, streamed=False)
