"""OpenAI's SDK for Python: responses, legacy completions, embeddings and models."""

import json

import openai
import pytest

from tests.clients.conftest import Gateway
from tests.fakes import openai_forms as forms
from tests.fakes import openai_responses as responses

READ = {
    "type": "function",
    "name": "read",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
        "additionalProperties": False,
    },
}

both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def respond(gpt: openai.OpenAI, stream: bool, **asked: object):
    """A response, or what the SDK gathers from its events."""
    if not stream:
        return gpt.responses.create(**asked)
    with gpt.responses.stream(**asked) as events:
        return events.get_final_response()


@both
def test_a_response_arrives_whole_with_its_thoughts_and_its_usage(gpt: openai.OpenAI, gateway: Gateway, stream: bool):
    items = responses.reasoning("thoughts in pieces"), responses.text("words in pieces")
    gateway.provider.script["first"] = responses.replying(*items)
    answer = respond(gpt, stream, model="auto", instructions="be brief", input="hi")
    assert answer.status == "completed"
    assert answer.output_text == "words in pieces"
    assert answer.output[0].summary[0].text == "thoughts in pieces"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (36, 8)
    assert answer.usage.input_tokens_details.cached_tokens == 12
    assert gateway.provider.seen[0].body["instructions"] == "be brief"


@both
def test_a_response_calls_two_functions_and_takes_what_they_gave_back(
    gpt: openai.OpenAI, gateway: Gateway, stream: bool
):
    calls = [responses.function_call("read", {"path": path}, f"call_{path[0]}") for path in ("a.py", "b.py")]
    gateway.provider.script["first"] = responses.replying(*calls)
    called = respond(gpt, stream, model="auto", input="hi", tools=[READ]).output
    assert [(item.name, json.loads(item.arguments)["path"]) for item in called] == [("read", "a.py"), ("read", "b.py")]
    gateway.provider.script["first"] = responses.replying(responses.text("read both"))
    given = [{"type": "function_call_output", "call_id": item.call_id, "output": "text"} for item in called]
    history = [{"role": "user", "content": "hi"}, *(item.model_dump(exclude_none=True) for item in called), *given]
    assert respond(gpt, stream, model="auto", input=history, tools=[READ]).output_text == "read both"
    assert [item["call_id"] for item in gateway.provider.seen[1].body["input"][-2:]] == ["call_a", "call_b"]


def test_a_response_goes_on_from_one_that_its_provider_keeps(gpt: openai.OpenAI, gateway: Gateway):
    answer = gpt.responses.create(model="fake/first", input="and then?", previous_response_id="resp_1")
    assert answer.output_text == "hello there"
    assert gateway.provider.seen[0].body["previous_response_id"] == "resp_1"


def test_a_profile_that_is_to_go_on_from_a_kept_response_says_what_to_do(gpt: openai.OpenAI, gateway: Gateway):
    with pytest.raises(openai.BadRequestError, match="ask for provider/model, or send the history in input") as refusal:
        gpt.responses.create(model="auto", input="and then?", previous_response_id="resp_1")
    assert (refusal.value.code, refusal.value.param) == ("stored_answer", "previous_response_id")
    assert gateway.provider.seen == []


def test_a_model_that_takes_no_responses_names_those_that_do(gpt: openai.OpenAI, gateway: Gateway):
    with pytest.raises(
        openai.BadRequestError, match=r"POST /v1/responses, .* those that can be reached are fake\. POST"
    ) as refusal:
        gpt.responses.create(model="anthropic/claude-sonnet-5-5", input="hi")
    assert (refusal.value.code, refusal.value.param) == ("form_not_supported", "model")
    assert gateway.provider.seen == []


def test_a_profile_serves_responses_by_those_of_its_models_that_take_them(gpt: openai.OpenAI, gateway: Gateway):
    raw = gpt.responses.with_raw_response.create(model="claude", input="hi")
    assert raw.headers["x-served-model"] == "fake/second"
    assert raw.parse().output_text == "hello there"


def test_a_legacy_completion_goes_on_plain_and_streamed(gpt: openai.OpenAI, gateway: Gateway):
    asked = {"model": "fake/instruct", "prompt": "say hello", "max_tokens": 9}
    plain = gpt.completions.create(**asked)
    assert (plain.choices[0].text, plain.choices[0].finish_reason) == ("hello there", "stop")
    assert plain.usage.total_tokens == 8
    chunks = list(gpt.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "hello there"
    assert chunks[-1].usage.total_tokens == 8
    assert [seen.body["prompt"] for seen in gateway.provider.seen] == ["say hello"] * 2


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}], ids=str)
def test_texts_become_vectors_in_either_encoding(gpt: openai.OpenAI, gateway: Gateway, options: dict[str, str]):
    # Without a format the SDK asks for base64 and decodes it; asked for it by name, it leaves it encoded.
    answer = gpt.embeddings.create(model="fake/text-embedding-3-small", input=["a", "b"], **options)
    wanted = forms.VECTOR
    if options.get("encoding_format") == "base64":
        wanted = json.loads(forms.EMBEDDING_BASE64)["data"][0]["embedding"]
    given = [one.embedding if isinstance(one.embedding, str) else tuple(one.embedding) for one in answer.data]
    assert given == [wanted] * 2
    assert answer.usage.total_tokens == 16
    assert gateway.provider.seen[0].body["encoding_format"] == options.get("encoding_format", "base64")


@pytest.mark.parametrize("form", ["completions", "embeddings"])
def test_a_profile_where_there_are_no_messages_says_what_to_ask_for(gpt: openai.OpenAI, form: str):
    asked = {"prompt": "hi"} if form == "completions" else {"input": "hi"}
    with pytest.raises(openai.NotFoundError, match=f"POST /v1/{form} chooses no model: ask for provider/model"):
        getattr(gpt, form).create(model="auto", **asked)


def test_the_models_are_listed_and_found_one_by_one(gpt: openai.OpenAI):
    listed = {model.id: model for model in gpt.models.list()}
    assert {"auto", "auto-weak", "claude", "gemini", "fake/first", "anthropic/claude-sonnet-5-5"} <= set(listed)
    assert gpt.models.retrieve("auto") == listed["auto"]
    assert gpt.models.retrieve("fake/first") == listed["fake/first"]
    assert (listed["auto"].owned_by, listed["fake/first"].owned_by) == ("router", "fake")
    assert listed["fake/first"].context_length == 900_000


def test_a_model_that_is_not_there_is_not_found(gpt: openai.OpenAI):
    with pytest.raises(openai.NotFoundError, match=r"no model 'nope' here. Ask for a profile \(auto, auto-weak"):
        gpt.models.retrieve("nope")
