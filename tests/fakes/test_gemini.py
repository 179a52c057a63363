"""The fake of Google's API, asked by the real Portkey gateway, which is what asks it in the tests."""

import json
from collections.abc import Iterator

import aiohttp
import openai
import pytest

from tests.fakes import gemini as fake
from tests.fakes.provider import FakeProvider

MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {"name": "read", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture
def through_portkey(provider: FakeProvider, portkey: int) -> Iterator[openai.OpenAI]:
    provider.reset()
    target = {"provider": "google", "api_key": "k-google", "custom_host": provider.url.removesuffix("/v1")}
    with openai.OpenAI(
        api_key="unused",
        base_url=f"http://127.0.0.1:{portkey}/v1",
        max_retries=0,
        default_headers={"x-portkey-config": json.dumps(target)},
    ) as client:
        yield client


def ask(client: openai.OpenAI, **options):
    return client.chat.completions.create(model="gemini-3-pro", messages=MESSAGES, **options)


def test_portkey_asks_in_googles_form_and_translates_the_answer(through_portkey: openai.OpenAI, provider: FakeProvider):
    usage = {"cachedContentTokenCount": 4, "thoughtsTokenCount": 2}
    provider.script["gemini-3-pro"] = fake.replying(fake.thought("hm"), fake.text("hello there"), usage=usage)
    answer = ask(through_portkey, max_tokens=50)
    (seen,) = provider.seen
    assert seen.path.endswith("/models/gemini-3-pro:generateContent")
    assert seen.body["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    assert seen.body["generationConfig"] == {"maxOutputTokens": 50}
    assert answer.choices[0].message.content == "hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (9, 3, 12)
    assert answer.usage.prompt_tokens_details.cached_tokens == 4


def test_portkey_translates_a_stream(through_portkey: openai.OpenAI, provider: FakeProvider):
    provider.script["gemini-3-pro"] = fake.replying(fake.text("hello there, in pieces"))
    chunks = list(ask(through_portkey, stream=True))
    assert provider.seen[0].path.endswith(":streamGenerateContent")
    assert len(chunks) == 4
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == "hello there, in pieces"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert chunks[-1].usage.total_tokens == 12


@pytest.mark.parametrize("stream", [False, True])
def test_portkey_translates_function_calls(through_portkey: openai.OpenAI, provider: FakeProvider, stream: bool):
    calls = fake.function_call("read", {"path": "a.py"}), fake.function_call("list", {})
    provider.script["gemini-3-pro"] = fake.replying(*calls)
    answer = ask(through_portkey, tools=TOOLS, stream=stream)
    if stream:
        called = [call for chunk in answer for call in chunk.choices[0].delta.tool_calls or ()]
    else:
        called = answer.choices[0].message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in called] == [
        ("read", {"path": "a.py"}),
        ("list", {}),
    ]
    assert provider.seen[0].body["tools"][0]["functionDeclarations"][0]["name"] == "read"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "error"), [(429, openai.RateLimitError), (503, openai.InternalServerError)])
def test_portkey_passes_refusals_on(
    through_portkey: openai.OpenAI, provider: FakeProvider, status: int, error: type, stream: bool
):
    provider.script["gemini-3-pro"] = fake.refuse(status, "not now")
    with pytest.raises(error, match="not now"):
        ask(through_portkey, stream=stream)


async def test_asked_for_events_it_streams_events(http: aiohttp.ClientSession, provider: FakeProvider):
    provider.reset()
    url = f"{provider.url}/v1beta/models/gemini-3-pro:streamGenerateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    async with http.post(url, params={"alt": "sse"}, headers={"x-goog-api-key": "k"}, json=body) as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.read() == b"".join(fake.EVENTS)
    async with http.post(url, params={"key": "k"}, json=body) as answer:
        chunks = await answer.json()
    assert "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks) == "hello there"


async def test_nobody_unknown_is_answered(http: aiohttp.ClientSession, provider: FakeProvider):
    url = f"{provider.url}/v1beta/models/gemini-3-pro:generateContent"
    async with http.post(url, json={"contents": []}) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"]["status"] == "PERMISSION_DENIED"
