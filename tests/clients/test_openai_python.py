"""OpenAI's SDK for Python: chat completions, plain and streamed, as they came and translated by Portkey."""

import json

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.clients.conftest import Gateway
from tests.clients.ways import TO_ANTHROPIC, TO_GOOGLE, VERBATIM, WAYS, Way
from tests.fakes import openai_chat as chat

MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"
READ = {
    "type": "function",
    "function": {
        "name": "read",
        "description": "Reads a file.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
            "additionalProperties": False,
        },
    },
}

both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
every_way = pytest.mark.parametrize("way", WAYS, ids=str)


class Place(BaseModel):
    """What the model is to answer."""

    city: str


def ask(gpt: openai.OpenAI, model: str, stream: bool, **options: object) -> ChatCompletion:
    """An answer, or what the SDK gathers from a stream."""
    asked = {"model": model, "messages": MESSAGES, **options}
    if not stream:
        return gpt.chat.completions.create(**asked)
    with gpt.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
        return events.get_final_completion()


@every_way
@both
def test_text_arrives_whole_with_its_end_and_its_usage(gpt: openai.OpenAI, gateway: Gateway, way: Way, stream: bool):
    gateway.provider.script[way.name] = way.saying("words, in some pieces")
    answer = ask(gpt, way.profile, stream)
    assert answer.choices[0].message.content == "words, in some pieces"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == way.usage
    assert answer.usage.total_tokens == sum(way.usage)


@every_way
def test_an_answer_says_who_served_it(gpt: openai.OpenAI, way: Way):
    raw = gpt.chat.completions.with_raw_response.create(model=way.profile, messages=MESSAGES)
    assert raw.headers["x-served-model"] == way.served
    assert raw.headers["x-router-source"] in {"local", "only_candidate"}
    assert raw.parse().choices[0].message.content


@every_way
@both
def test_a_tool_is_called_with_arguments_that_parse(gpt: openai.OpenAI, gateway: Gateway, way: Way, stream: bool):
    gateway.provider.script[way.name] = way.calling(("read", {"path": "a.py"}))
    choice = ask(gpt, way.profile, stream, tools=[READ]).choices[0]
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "read")
    assert json.loads(call.function.arguments) == {"path": "a.py"}
    assert choice.finish_reason == way.after_tools
    assert b'"read"' in gateway.provider.seen[0].raw


# Not of Google streamed: Portkey 1.15.2 gives all calls of a stream one index, so clients take them for one.
@pytest.mark.parametrize(
    ("way", "stream"),
    [(VERBATIM, False), (VERBATIM, True), (TO_ANTHROPIC, False), (TO_ANTHROPIC, True), (TO_GOOGLE, False)],
    ids=str,
)
def test_two_tools_are_called_at_once(gpt: openai.OpenAI, gateway: Gateway, way: Way, stream: bool):
    gateway.provider.script[way.name] = way.calling(("read", {"path": "a.py"}), ("read", {"path": "b.py"}))
    calls = ask(gpt, way.profile, stream, tools=[READ], parallel_tool_calls=True).choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["path"] for call in calls] == ["a.py", "b.py"]
    assert len({call.id for call in calls}) == 2


@every_way
def test_what_a_tool_gave_back_reaches_the_model(gpt: openai.OpenAI, gateway: Gateway, way: Way):
    call = {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": '{"path":"a.py"}'}}
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "the text of a.py"},
    ]
    gateway.provider.script[way.name] = way.saying("read it")
    answer = ask(gpt, way.profile, False, messages=messages, tools=[READ])
    assert answer.choices[0].message.content == "read it"
    assert b"the text of a.py" in gateway.provider.seen[0].raw


@every_way
@both
def test_an_image_reaches_the_model(gpt: openai.OpenAI, gateway: Gateway, way: Way, stream: bool):
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, picture]}]
    gateway.provider.script[way.name] = way.saying("a pixel")
    assert ask(gpt, way.profile, stream, messages=messages).choices[0].message.content == "a pixel"
    assert PIXEL.encode() in gateway.provider.seen[0].raw


# Not of Anthropic: Portkey 1.15.2 leaves the schema out.
@pytest.mark.parametrize("way", [VERBATIM, TO_GOOGLE], ids=str)
@both
def test_an_answer_meets_the_schema_that_was_asked_for(gpt: openai.OpenAI, gateway: Gateway, way: Way, stream: bool):
    said = chat.structured({"city": "Bern"}) if way is VERBATIM else way.saying('{"city":"Bern"}')
    gateway.provider.script[way.name] = said
    if stream:
        with gpt.chat.completions.stream(model=way.profile, messages=MESSAGES, response_format=Place) as events:
            answer = events.get_final_completion()
    else:
        answer = gpt.chat.completions.parse(model=way.profile, messages=MESSAGES, response_format=Place)
    assert answer.choices[0].message.parsed == Place(city="Bern")
    assert b'"city"' in gateway.provider.seen[0].raw


@both
def test_two_answers_come_with_the_probability_of_each_token(gpt: openai.OpenAI, gateway: Gateway, stream: bool):
    gateway.provider.script["first"] = chat.replying("hello there")
    choices = ask(gpt, "auto", stream, n=2, logprobs=True, top_logprobs=2).choices
    assert [(choice.index, choice.message.content) for choice in choices] == [(0, "hello there"), (1, "hello there")]
    for choice in choices:
        tokens = choice.logprobs.content
        assert "".join(token.token for token in tokens) == "hello there"
        assert [token.logprob for token in tokens] == [-0.25, -0.25]
        assert all(len(token.top_logprobs) == 2 for token in tokens)


def test_thoughts_come_beside_the_words(gpt: openai.OpenAI, gateway: Gateway):
    gateway.provider.script["first"] = chat.replying("yes", reasoning="it may well be so")
    message = ask(gpt, "auto", False, reasoning_effort="low").choices[0].message
    assert (message.content, message.reasoning_content) == ("yes", "it may well be so")
    asked = {"model": "auto", "messages": MESSAGES, "reasoning_effort": "low"}
    deltas = [chunk.choices[0].delta for chunk in gpt.chat.completions.create(**asked, stream=True)]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "it may well be so"
    assert "".join(delta.content or "" for delta in deltas) == "yes"
    assert [seen.body["reasoning_effort"] for seen in gateway.provider.seen] == ["low", "low"]


def test_a_stream_tells_its_usage_only_when_it_is_asked_to(gpt: openai.OpenAI, gateway: Gateway):
    gateway.provider.script["first"] = chat.replying("yes")
    asked = {"model": "auto", "messages": MESSAGES, "stream": True}
    assert [chunk.usage for chunk in gpt.chat.completions.create(**asked)] == [None] * 3
    *_, last = gpt.chat.completions.create(**asked, stream_options={"include_usage": True})
    assert (last.choices, last.usage.total_tokens) == ([], 18)
    assert last.usage.prompt_tokens_details.cached_tokens == 4


@every_way
async def test_the_asynchronous_client_reads_the_same_stream(gateway: Gateway, way: Way):
    gateway.provider.script[way.name] = way.saying("words, in some pieces")
    async with openai.AsyncOpenAI(api_key="k", base_url=gateway.base_url, max_retries=0) as gpt:
        chunks = await gpt.chat.completions.create(model=way.profile, messages=MESSAGES, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices]
    assert "".join(said) == "words, in some pieces"
