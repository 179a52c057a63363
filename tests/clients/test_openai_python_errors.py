"""OpenAI's SDK for Python: each refusal as the error its callers know, and no broken stream that ends cleanly."""

import threading

import openai
import pytest
from aiohttp import web

from tests.clients.conftest import Gateway
from tests.clients.ways import TO_ANTHROPIC, TO_GOOGLE, VERBATIM, Way
from tests.fakes import openai_forms as forms
from tests.fakes import openai_responses as responses
from tests.fakes import provider as fake
from tests.fakes.behaviours import Behaviour
from tests.fakes.breaking import after_reading, gather

MESSAGES = [{"role": "user", "content": "hi"}]
# The types of responses.EVENTS, as far as tests cut them.
RESPONSE_EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
]

both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def ask(gpt: openai.OpenAI, form: str, model: str, stream: bool = False) -> object:
    """The beginning of an answer in one of the forms."""
    if form == "responses":
        return gpt.responses.create(model=model, input="hi", stream=stream)
    return gpt.chat.completions.create(model=model, messages=MESSAGES, stream=stream)


def all_of(gateway: Gateway, behaviour: Behaviour) -> None:
    """Have every model of the profile do the same."""
    gateway.provider.script = dict.fromkeys(("first", "second"), behaviour)


@pytest.mark.parametrize("form", ["chat", "responses"])
@both
def test_an_unknown_model_is_not_found_and_the_profiles_are_named(gpt: openai.OpenAI, form: str, stream: bool):
    with pytest.raises(
        openai.NotFoundError, match=r"Ask for a profile \(auto, auto-weak, .*claude, gemini\)"
    ) as refusal:
        ask(gpt, form, "nope", stream)
    assert (refusal.value.code, refusal.value.param) == ("model_not_found", "model")


def test_a_request_that_cannot_be_read_names_the_field(gpt: openai.OpenAI, gateway: Gateway):
    with pytest.raises(openai.BadRequestError, match="messages is empty; send at least one message") as refusal:
        gpt.chat.completions.create(model="auto", messages=[])
    assert refusal.value.param == "messages"
    assert gateway.provider.seen == []


@pytest.mark.parametrize("form", ["chat", "responses"])
@both
def test_a_bad_request_is_told_in_the_providers_words(gpt: openai.OpenAI, gateway: Gateway, form: str, stream: bool):
    all_of(gateway, fake.refuse(400, "temperature is too high"))
    with pytest.raises(openai.BadRequestError, match="fake/first: temperature is too high"):
        ask(gpt, form, "auto", stream)
    assert gateway.provider.models_tried() == ["first"]


@pytest.mark.parametrize("form", ["chat", "responses"])
@both
def test_a_limit_is_told_with_the_time_to_wait(gpt: openai.OpenAI, gateway: Gateway, form: str, stream: bool):
    all_of(gateway, fake.refuse(429, "slow down", retry_after="7"))
    with pytest.raises(openai.RateLimitError, match="slow down") as refusal:
        ask(gpt, form, "auto", stream)
    assert refusal.value.response.headers["retry-after"] == "7"
    assert gateway.provider.models_tried() == ["first", "second"]


@pytest.mark.parametrize("form", ["chat", "responses"])
@both
def test_a_chain_of_which_nobody_answers_is_an_error_to_try_again(
    gpt: openai.OpenAI, gateway: Gateway, form: str, stream: bool
):
    all_of(gateway, fake.refuse(500, "out of order"))
    with pytest.raises(openai.APIStatusError, match="the last one tried said: fake/second: out of order") as refusal:
        ask(gpt, form, "auto", stream)
    assert isinstance(refusal.value, openai.InternalServerError)
    assert refusal.value.status_code == 503
    assert refusal.value.response.headers["retry-after"] == "1"


def test_the_sdks_own_second_try_is_answered(gateway: Gateway):
    refusals = iter([fake.refuse(429, "slow down", retry_after="0.01")] * 2)

    async def at_first_not(request: web.Request, body: dict) -> web.StreamResponse:
        return await next(refusals, fake.answer)(request, body)

    all_of(gateway, at_first_not)
    with openai.OpenAI(api_key="k", base_url=gateway.base_url, max_retries=1) as gpt:
        assert gpt.chat.completions.create(model="auto", messages=MESSAGES).choices[0].message.content == "hi"
    assert gateway.provider.models_tried() == ["first", "second", "first"]


# Google's stream is one JSON array, of which Portkey holds an element back until it sees the next, or the end.
@pytest.mark.parametrize(
    ("way", "abort"),
    [(VERBATIM, True), (VERBATIM, False), (TO_ANTHROPIC, True), (TO_ANTHROPIC, False), (TO_GOOGLE, False)],
    ids=str,
)
def test_a_chat_stream_that_breaks_off_raises_and_never_ends_cleanly(
    gpt: openai.OpenAI, gateway: Gateway, way: Way, abort: bool
):
    read = threading.Event()
    if way is TO_GOOGLE:
        read.set()
    gateway.provider.script[way.name] = after_reading(read, way.begun, abort=abort)
    chunks, got = ask(gpt, "chat", way.served, stream=True), []
    with pytest.raises(openai.APIError, match=rf"answer of {way.served} broke off .* ask again") as failure:
        gather(chunks, got, read, lambda chunk: bool(chunk.choices[0].delta.content))
    assert failure.value.code == "stream_truncated"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in got)
    assert {chunk.choices[0].finish_reason for chunk in got} == {None}


def test_an_error_that_the_provider_tells_in_a_chat_stream_raises(gpt: openai.OpenAI, gateway: Gateway):
    read = threading.Event()
    told = b'data: {"error":{"message":"out of memory","type":"server_error","code":null}}\n\n'
    gateway.provider.script["first"] = after_reading(read, fake.EVENTS[:1], [told])
    chunks = ask(gpt, "chat", "auto", stream=True)
    assert next(chunks).choices[0].delta.content
    read.set()
    with pytest.raises(openai.APIError, match="out of memory"):
        list(chunks)


@pytest.mark.parametrize("abort", [True, False])
@pytest.mark.parametrize("events", [5, 8])
def test_a_response_that_breaks_off_raises_and_never_ends_cleanly(
    gpt: openai.OpenAI, gateway: Gateway, events: int, abort: bool
):
    read = threading.Event()
    gateway.provider.script["first"] = after_reading(read, responses.EVENTS[:events], abort=abort)
    told, got = ask(gpt, "responses", "auto", stream=True), []
    with pytest.raises(openai.APIError, match=r"answer of fake/first broke off .* ask again") as failure:
        gather(told, got, read, lambda event: event.type == "response.output_text.delta")
    assert failure.value.code == "stream_truncated"
    assert [event.type for event in got] == RESPONSE_EVENTS[:events]


def test_a_response_that_fails_under_way_says_so(gpt: openai.OpenAI, gateway: Gateway):
    read = threading.Event()
    failed = responses.response(status="failed", error={"code": "server_error", "message": "out of memory"})
    gateway.provider.script["first"] = after_reading(read, responses.EVENTS[:5], responses.events(failed)[-1:])
    got: list = []
    gather(
        ask(gpt, "responses", "auto", stream=True), got, read, lambda event: event.type == "response.output_text.delta"
    )
    last = got[-1]
    assert last.type == "response.failed"
    assert last.response.error.message == "out of memory"


def test_a_response_that_its_limit_ended_is_incomplete_and_no_error(gpt: openai.OpenAI, gateway: Gateway):
    gateway.provider.script["first"] = responses.incomplete(responses.text("so f"))
    *_, last = ask(gpt, "responses", "auto", stream=True)
    assert (last.type, last.response.incomplete_details.reason) == ("response.incomplete", "max_output_tokens")
    assert last.response.output_text == "so f"


def test_a_legacy_completion_that_breaks_off_raises(gpt: openai.OpenAI, gateway: Gateway):
    read = threading.Event()
    gateway.provider.script["instruct"] = after_reading(read, forms.COMPLETION_EVENTS[:1], abort=True)
    chunks = gpt.completions.create(model="fake/instruct", prompt="hi", stream=True)
    assert next(chunks).choices[0].text == "hello t"
    read.set()
    with pytest.raises(openai.APIError, match="answer of fake/instruct broke off"):
        list(chunks)


def test_a_failure_before_the_first_word_is_not_noticed(gpt: openai.OpenAI, gateway: Gateway):
    gateway.provider.script["first"] = fake.cut_after(0, abort=True)
    chunks = ask(gpt, "chat", VERBATIM.profile, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "grüß dich"
    assert gateway.provider.models_tried() == ["first", "second"]
