"""Until a model's first token another one can take over; what the provider says after its 200 is not yet an answer."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.conftest import System, edge_beside
from tests.edge_gateway.test_completion import ask
from tests.fakes import provider as fake
from tests.fakes.behaviours import stream
from tests.processes import NEVER

ROLE_ONLY = (
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
)


# Seconds that the edge of one test gives a stream that has begun.
IDLE = 0.5


@pytest.fixture
def impatient(system: System, portkey: int, edge_config: Path) -> Iterator[System]:
    """An edge that ends silent streams soon, and gives first tokens their usual time."""
    with edge_beside(system, portkey, edge_config, EDGE_IDLE_TIMEOUT_SECONDS=str(IDLE)) as edge:
        yield edge


def saying(*events: bytes):
    async def behave(request, body):
        return await stream(request, events)

    return behave


def error_event(**error) -> bytes:
    return b"data: " + json.dumps({"error": error}).encode() + b"\n\n"


async def nothing_but_headers(request, body):
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(ROLE_ONLY)
    await asyncio.Event().wait()
    return response


BAD_BEGINNINGS = {
    "an error as its first event": saying(error_event(message="overloaded", type="server_error")),
    "an error after its role": saying(ROLE_ONLY, error_event(message="overloaded", type="server_error")),
    "an end without a word": saying(),
    "an end after its role": saying(ROLE_ONLY),
    "[DONE] without a word": saying(ROLE_ONLY, b"data: [DONE]\n\n"),
    "comments and an end": saying(b": keep-alive\n\n", b": keep-alive\n\n"),
    "a cut before the first token": fake.cut_after(0, abort=True),
    "silence after its headers": nothing_but_headers,
    "a page": fake.page(200),
}


@pytest.mark.parametrize("beginning", BAD_BEGINNINGS)
async def test_a_stream_that_fails_before_its_first_token_is_followed_by_the_next_model(
    http, system, request, beginning
):
    # Only silence needs an edge whose patience ends.
    edge = request.getfixturevalue("hasty") if beginning.startswith("silence") else system
    system.provider.script["first"] = BAD_BEGINNINGS[beginning]
    status, headers, body = await ask(http, edge, stream=True)
    assert (status, body) == (200, b"".join(fake.EVENTS))
    assert (headers["x-router-model"], headers["x-served-model"]) == ("fake/first", "fake/second")
    assert system.provider.models_tried() == ["first", "second"]


async def cut_plain(request, body):
    response = web.StreamResponse(headers={"content-type": "application/json", "content-length": str(len(fake.PLAIN))})
    await response.prepare(request)
    await response.write(fake.PLAIN[:20])
    request.transport.abort()
    return response


@pytest.mark.parametrize("answer", [fake.page(200), cut_plain, saying(b"{}")])
async def test_a_plain_answer_that_is_none_is_followed_by_the_next_models(http, system, answer):
    system.provider.script["first"] = answer
    status, headers, body = await ask(http, system)
    assert (status, body) == (200, fake.PLAIN)
    assert headers["x-served-model"] == "fake/second"


async def test_a_model_may_think_for_longer_than_an_answer_under_way_may_fall_silent(http, system, impatient):
    async def think(request, body):
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(ROLE_ONLY)
        await asyncio.sleep(3 * IDLE)
        for event in fake.EVENTS:
            await response.write(event)
        return response

    system.provider.script["first"] = think
    status, headers, body = await ask(http, impatient, stream=True)
    assert (status, body) == (200, ROLE_ONLY + b"".join(fake.EVENTS))
    assert headers["x-served-model"] == "fake/first"


async def test_when_no_model_begins_the_client_is_told_before_any_200(http, system):
    system.provider.script["first"] = system.provider.script["second"] = BAD_BEGINNINGS["an error as its first event"]
    status, headers, body = await ask(http, system, stream=True)
    error = json.loads(body)["error"]
    assert status == 503
    assert "overloaded" in error["message"]
    assert headers["x-served-model"] == "fake/second"
    assert headers["retry-after"] == "1"


async def test_a_request_that_the_provider_finds_wrong_within_its_stream_is_tried_nowhere_else(http, system):
    system.provider.script["first"] = saying(error_event(message="bad image", type="invalid_request_error"))
    status, _, body = await ask(http, system, stream=True)
    assert status == 400
    assert "bad image" in json.loads(body)["error"]["message"]
    assert system.provider.models_tried() == ["first"]


async def test_what_came_before_the_first_token_is_relayed_with_it(http, system):
    events = (b": processing\r\n\r\n", ROLE_ONLY, *fake.EVENTS)
    system.provider.script["first"] = saying(*events)
    status, _, body = await ask(http, system, stream=True)
    assert (status, body) == (200, b"".join(events))


async def test_an_answer_in_one_event_that_nothing_ends_is_relayed_once(http, system):
    whole = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}'
    system.provider.script["first"] = saying(whole)
    status, _, body = await ask(http, system, stream=True)
    assert (status, body) == (200, whole)


async def test_an_answer_that_ends_without_a_word_is_the_models_own(http, system):
    events = (b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n")
    system.provider.script["first"] = saying(*events)
    status, headers, body = await ask(http, system, stream=True)
    assert (status, body) == (200, b"".join(events))
    assert headers["x-served-model"] == "fake/first"


async def test_a_request_that_takes_too_long_in_all_ends_in_an_error_event(system, portkey, edge_config, http):
    """Pieces keep coming, so only the time in all can end it."""

    async def dripping(request, body):
        response = await fake.stream(request, fake.EVENTS[:1])
        while True:
            await response.write(b": still here\n\n")
            await asyncio.sleep(0.1)

    system.provider.script["first"] = dripping
    with edge_beside(system, portkey, edge_config, EDGE_TOTAL_TIMEOUT_SECONDS="2") as brief:
        async with asyncio.timeout(NEVER):
            status, _, body = await ask(http, brief, stream=True)
    assert status == 200
    assert b'"code": "stream_total_timeout"' in body
    assert b"[DONE]" not in body
