"""The fake of OpenAI's APIs, asked by OpenAI's own SDK."""

from collections.abc import Iterator

import aiohttp
import openai
import pytest

from tests.fakes import anthropic
from tests.fakes import openai_chat as chat
from tests.fakes import openai_forms as forms
from tests.fakes import openai_responses as responses
from tests.fakes.provider import EVENTS, PLAIN, FakeProvider

MESSAGES = [{"role": "user", "content": "hi"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.fixture
def gpt(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    provider.reset()
    with openai.OpenAI(api_key="k", base_url=provider.url, max_retries=0) as client:
        yield client


def ask(gpt: openai.OpenAI, **options):
    return gpt.chat.completions.create(model="gpt", messages=MESSAGES, **options)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "plain", "events"),
    [
        ("/chat/completions", PLAIN, EVENTS),
        ("/proxy/responses", responses.PLAIN, responses.EVENTS),
        ("/completions", forms.COMPLETION, forms.COMPLETION_EVENTS),
        ("/embeddings", forms.EMBEDDING, (forms.EMBEDDING,)),
        ("/messages", anthropic.PLAIN, anthropic.EVENTS),
    ],
)
async def test_a_path_is_answered_in_its_own_form_with_the_same_bytes_every_time(
    http: aiohttp.ClientSession,
    provider: FakeProvider,
    path: str,
    plain: bytes,
    events: tuple[bytes, ...],
    stream: bool,
):
    provider.reset()
    asked = {"model": "any", "messages": MESSAGES, "input": "hi", "prompt": "hi", "max_tokens": 9, "stream": stream}
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    for _ in range(2):
        async with http.post(provider.url + path, json=asked, headers=headers) as answer:
            assert await answer.read() == (b"".join(events) if stream else plain)


def test_two_tools_are_called_at_once_plain_and_streamed(gpt: openai.OpenAI, provider: FakeProvider):
    calls = chat.tool_call("read", {"path": "a.py"}, "call_1"), chat.tool_call("read", {"path": "b.py"}, "call_2")
    provider.script["gpt"] = chat.replying(None, *calls)
    plain = ask(gpt).choices[0]
    assert [call.function.arguments for call in plain.message.tool_calls] == ['{"path":"a.py"}', '{"path":"b.py"}']
    assert plain.finish_reason == "tool_calls"
    gathered = {}
    for chunk in ask(gpt, stream=True):
        for call in chunk.choices[0].delta.tool_calls or ():
            told = gathered.setdefault(call.index, {"id": call.id, "name": call.function.name, "arguments": ""})
            told["arguments"] += call.function.arguments
    assert list(gathered.values()) == [{"id": call["id"], **call["function"]} for call in calls]


def test_choices_and_logprobs_come_as_many_as_are_asked_for(gpt: openai.OpenAI, provider: FakeProvider):
    provider.script["gpt"] = chat.replying("hello there")
    choices = ask(gpt, n=3, logprobs=True, top_logprobs=2).choices
    assert [choice.index for choice in choices] == [0, 1, 2]
    for choice in choices:
        tokens = choice.logprobs.content
        assert "".join(token.token for token in tokens) == "hello there"
        assert all(len(token.top_logprobs) == 2 for token in tokens)
    said = dict.fromkeys(range(3), "")
    for chunk in ask(gpt, n=3, logprobs=True, stream=True):
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
            assert (choice.logprobs is not None) == bool(choice.delta.content)
    assert set(said.values()) == {"hello there"}


def test_thoughts_come_before_words(gpt: openai.OpenAI, provider: FakeProvider):
    provider.script["gpt"] = chat.replying("yes", reasoning="it may be so")
    assert ask(gpt).choices[0].message.reasoning_content == "it may be so"
    deltas = [chunk.choices[0].delta for chunk in ask(gpt, stream=True)]
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "it may be so"


def test_a_stream_tells_its_usage_only_when_asked(gpt: openai.OpenAI, provider: FakeProvider):
    provider.script["gpt"] = chat.replying("yes")
    assert [chunk.usage for chunk in ask(gpt, stream=True) if chunk.usage] == []
    *_, last = ask(gpt, stream=True, stream_options={"include_usage": True})
    assert (last.choices, last.usage.total_tokens, last.usage.prompt_tokens_details.cached_tokens) == ([], 18, 4)


def test_a_schema_is_met_or_the_request_refused(gpt: openai.OpenAI, provider: FakeProvider):
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    provider.script["gpt"] = chat.structured({"city": "Bern"})
    assert ask(gpt, response_format=wanted).choices[0].message.content == '{"city":"Bern"}'
    provider.script["gpt"] = chat.structured({"town": "Bern"})
    with pytest.raises(openai.BadRequestError, match="does not meet the schema"):
        ask(gpt, response_format=wanted)
    with pytest.raises(openai.BadRequestError, match="must be json_schema"):
        ask(gpt)


def test_images_are_taken_as_addresses_and_as_data(gpt: openai.OpenAI, provider: FakeProvider):
    provider.script["gpt"] = chat.counting_images

    def show(*urls: str) -> str:
        content = [
            {"type": "text", "text": "what?"},
            *({"type": "image_url", "image_url": {"url": url}} for url in urls),
        ]
        asked = [{"role": "user", "content": content}]
        return gpt.chat.completions.create(model="gpt", messages=asked).choices[0].message.content

    assert show("https://example.org/a.png", "data:image/png;base64,AAAA") == "2 images"
    with pytest.raises(openai.BadRequestError, match="Invalid image URL"):
        show("a.png")


def test_a_response_is_the_same_plain_and_streamed(gpt: openai.OpenAI, provider: FakeProvider):
    items = responses.reasoning("thoughts in pieces"), responses.text("words in pieces")
    provider.script["gpt"] = responses.replying(*items, responses.function_call("read", {"path": "a.py"}))
    plain = gpt.responses.create(model="gpt", input="hi")
    assert plain.output_text == "words in pieces"
    assert plain.output[2].arguments == '{"path":"a.py"}'
    with gpt.responses.stream(model="gpt", input="hi") as stream:
        events = list(stream)
        gathered = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert gathered.output_text == plain.output_text
    assert gathered.usage == plain.usage
    kinds = [event.type.removeprefix("response.") for event in events]
    assert [kind for kind in dict.fromkeys(kinds) if "reasoning" not in kind] == [
        "created",
        "in_progress",
        "output_item.added",
        "output_item.done",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "completed",
    ]
    arguments = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(arguments) == '{"path":"a.py"}'


def test_a_response_may_fail_or_stay_incomplete(gpt: openai.OpenAI, provider: FakeProvider):
    for behaviour, end in (
        (responses.failing(), "failed"),
        (responses.incomplete(responses.text("so f")), "incomplete"),
    ):
        provider.script["gpt"] = behaviour
        assert gpt.responses.create(model="gpt", input="hi").status == end
        *_, last = gpt.responses.create(model="gpt", input="hi", stream=True)
        assert last.type == f"response.{end}"
        assert last.response.status == end


def test_a_completion_is_the_same_plain_and_streamed(gpt: openai.OpenAI):
    plain = gpt.completions.create(model="gpt", prompt="say hello")
    assert (plain.choices[0].text, plain.usage.total_tokens) == ("hello there", 8)
    chunks = list(
        gpt.completions.create(model="gpt", prompt="say", stream=True, stream_options={"include_usage": True})
    )
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == plain.choices[0].text
    assert chunks[-1].usage.total_tokens == 8


@pytest.mark.parametrize(("asked", "count"), [("a", 1), (["a", "b"], 2), ([1, 2], 1), ([[1], [2], [3]], 3)])
def test_an_embedding_is_the_same_in_both_encodings(gpt: openai.OpenAI, asked: object, count: int):
    # Without a format the SDK asks for base64 and decodes it.
    for options in ({}, {"encoding_format": "float"}):
        answer = gpt.embeddings.create(model="gpt", input=asked, **options)
        assert [tuple(one.embedding) for one in answer.data] == [forms.VECTOR] * count
        assert answer.usage.total_tokens == 8 * count
