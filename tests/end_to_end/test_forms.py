"""A newcomer without a key meets every form that carries messages: the demo models answer in it, to the vendors' own SDKs."""

import anthropic
import openai
import pytest

SAID = "I am demo/large, a scripted demo model, not an AI"


@pytest.fixture
def gpt(demo) -> openai.OpenAI:
    with openai.OpenAI(base_url=demo.url, api_key="local", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(demo) -> anthropic.Anthropic:
    with anthropic.Anthropic(base_url=demo.url.removesuffix("/v1"), api_key="local", max_retries=0) as client:
        yield client


def test_a_response_comes_plain_and_by_its_events(gpt: openai.OpenAI):
    plain = gpt.responses.create(model="auto", input="hello", instructions="Be brief.")
    assert plain.output_text.startswith(SAID)
    assert plain.usage is not None
    assert plain.usage.total_tokens == plain.usage.input_tokens + plain.usage.output_tokens
    with gpt.responses.stream(model="auto", input=[{"role": "user", "content": "hello"}]) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        whole = stream.get_final_response()
    assert len(pieces) > 4
    assert "".join(pieces) == whole.output_text == plain.output_text


def test_a_message_comes_plain_and_by_its_events(claude: anthropic.Anthropic):
    asked = {"model": "auto", "max_tokens": 500, "messages": [{"role": "user", "content": "hello"}]}
    plain = claude.messages.create(**asked, system="Be brief.")
    assert plain.content[0].text.startswith(SAID)
    assert plain.stop_reason == "end_turn"
    with claude.messages.stream(**asked) as stream:
        pieces = list(stream.text_stream)
        whole = stream.get_final_message()
    assert len(pieces) > 4
    assert "".join(pieces) == whole.content[0].text == plain.content[0].text
    assert whole.usage.output_tokens > 4


def test_a_wrong_request_is_told_in_the_forms_own_words(gpt: openai.OpenAI, claude: anthropic.Anthropic):
    with pytest.raises(openai.BadRequestError, match="input is empty"):
        gpt.responses.create(model="auto", input=[])
    with pytest.raises(anthropic.NotFoundError, match=r"There is no model 'nobody' here\. Ask for a profile"):
        claude.messages.create(model="nobody", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
