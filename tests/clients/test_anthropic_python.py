"""Anthropic's SDK for Python: messages, plain and streamed, its errors, and no broken stream that ends cleanly."""

import threading
from collections.abc import Iterator

import anthropic
import pytest
from anthropic.types import Message

from tests.clients.conftest import CLAUDE, Gateway
from tests.fakes import anthropic as fake
from tests.fakes.behaviours import named_event
from tests.fakes.breaking import after_reading, gather

ASKED = {"max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
MODELS = ["claude", f"anthropic/{CLAUDE}"]
READ = {"name": "read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}

both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
by_profile_and_by_name = pytest.mark.parametrize("model", MODELS)


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    """Anthropic's own client, which tells of the first failure instead of trying again."""
    with anthropic.Anthropic(api_key="k", base_url=gateway.url, max_retries=0) as client:
        yield client


def ask(claude: anthropic.Anthropic, stream: bool, **options: object) -> Message:
    """A message, or what the SDK gathers from its events."""
    asked = {"model": "claude", **ASKED, **options}
    if not stream:
        return claude.messages.create(**asked)
    with claude.messages.stream(**asked) as events:
        return events.get_final_message()


@by_profile_and_by_name
@both
def test_text_arrives_whole_with_its_end_and_its_usage(
    claude: anthropic.Anthropic, gateway: Gateway, model: str, stream: bool
):
    usage = {"cache_read_input_tokens": 7, "cache_creation_input_tokens": 5}
    gateway.provider.script[CLAUDE] = fake.replying(fake.text("words, in some pieces"), usage=usage)
    answer = ask(claude, stream, model=model)
    assert [block.text for block in answer.content] == ["words, in some pieces"]
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 3)
    assert (answer.usage.cache_read_input_tokens, answer.usage.cache_creation_input_tokens) == (7, 5)


@both
def test_thoughts_and_two_calls_of_tools_come_with_the_text(
    claude: anthropic.Anthropic, gateway: Gateway, stream: bool
):
    gateway.provider.script[CLAUDE] = fake.replying(
        fake.thinking("it may well be so", "c2lnbmVk"),
        fake.text("let me see"),
        fake.tool_use("read", {"path": "a.py"}, "toolu_a"),
        fake.tool_use("read", {"path": "b.py"}, "toolu_b"),
        stop_reason="tool_use",
    )
    thinking = {"type": "enabled", "budget_tokens": 1024}
    answer = ask(claude, stream, max_tokens=2000, tools=[READ], thinking=thinking)
    thought, text, *calls = answer.content
    assert (thought.thinking, thought.signature) == ("it may well be so", "c2lnbmVk")
    assert text.text == "let me see"
    assert [(call.id, call.input) for call in calls] == [("toolu_a", {"path": "a.py"}), ("toolu_b", {"path": "b.py"})]
    assert answer.stop_reason == "tool_use"
    assert gateway.provider.seen[0].body["thinking"] == thinking


def test_the_events_of_a_stream_come_as_anthropic_sends_them(claude: anthropic.Anthropic):
    kinds = [event.type for event in claude.messages.create(model="claude", **ASKED, stream=True)]
    inside = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert kinds == ["message_start", *inside, "message_delta", "message_stop"]


def test_a_request_reaches_the_model_as_it_was_sent(claude: anthropic.Anthropic, gateway: Gateway):
    cached = {"cache_control": {"type": "ephemeral"}}
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    messages = [
        {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "look", **cached}]},
        {"role": "assistant", "content": [fake.thinking("hm"), fake.tool_use("read", {"path": "a.py"}, "toolu_a")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_a", "content": "its text"}]},
    ]
    sent = {"max_tokens": 50, "messages": messages, "system": [{"type": "text", "text": "be brief", **cached}]}
    sent |= {"tools": [{**READ, **cached}], "stop_sequences": ["END"], "metadata": {"user_id": "u1"}}
    assert ask(claude, False, **sent).content[0].text == "hello"
    (seen,) = gateway.provider.seen
    assert seen.body == {"model": CLAUDE, **sent}
    headers = {name.lower(): value for name, value in seen.headers.items()}
    assert headers["x-api-key"] == "k-anthropic"
    assert headers["anthropic-version"] == claude.default_headers["anthropic-version"]


@both
def test_the_betas_that_a_client_asks_for_reach_the_model(claude: anthropic.Anthropic, gateway: Gateway, stream: bool):
    betas, version = ["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"], {"anthropic-version": "2099-01-01"}
    asked = {"model": "claude", **ASKED, "betas": betas, "extra_headers": version}
    answer = claude.beta.messages.create(**asked, stream=stream)
    assert list(answer) if stream else answer.content[0].text == "hello"
    headers = {name.lower(): value for name, value in gateway.provider.seen[0].headers.items()}
    assert headers["anthropic-beta"].split(",") == betas
    assert headers["anthropic-version"] == "2099-01-01"


def test_an_answer_says_who_served_it(claude: anthropic.Anthropic):
    raw = claude.messages.with_raw_response.create(model="claude", **ASKED)
    assert raw.headers["x-served-model"] == f"anthropic/{CLAUDE}"
    assert raw.headers["x-request-id"].startswith("req_")


async def test_the_asynchronous_client_reads_the_same_stream(gateway: Gateway):
    gateway.provider.script[CLAUDE] = fake.replying(fake.text("words, in some pieces"))
    async with (
        anthropic.AsyncAnthropic(api_key="k", base_url=gateway.url, max_retries=0) as claude,
        claude.messages.stream(model="claude", **ASKED) as stream,
    ):
        assert "".join([text async for text in stream.text_stream]) == "words, in some pieces"


@both
def test_a_model_that_does_not_speak_the_form_names_those_that_do(
    claude: anthropic.Anthropic, gateway: Gateway, stream: bool
):
    words = r"POST /v1/messages, .* those that can be reached are anthropic\. POST /v1/chat/completions takes all"
    with pytest.raises(anthropic.BadRequestError, match=words) as refusal:
        ask(claude, stream, model="fake/first")
    assert refusal.value.body["error"]["type"] == "invalid_request_error"
    assert gateway.provider.seen == []


@both
def test_an_unknown_model_is_not_found_and_the_profiles_are_named(claude: anthropic.Anthropic, stream: bool):
    with pytest.raises(anthropic.NotFoundError, match=r"Ask for a profile \(auto, .*claude, gemini\)") as refusal:
        ask(claude, stream, model="nope")
    assert refusal.value.body["error"]["type"] == "not_found_error"


@pytest.mark.parametrize(
    ("upstream", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "overloaded_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
@by_profile_and_by_name
@both
def test_a_refusal_arrives_as_the_error_that_the_sdk_knows(
    claude: anthropic.Anthropic,
    gateway: Gateway,
    upstream: int,
    error: type[anthropic.APIStatusError],
    kind: str,
    model: str,
    stream: bool,
):
    gateway.provider.script[CLAUDE] = fake.refuse(upstream, "not now", retry_after="7")
    with pytest.raises(error, match="not now") as refusal:
        ask(claude, stream, model=model)
    assert refusal.value.body["type"] == "error"
    assert refusal.value.body["error"]["type"] == kind
    assert ("retry-after" in refusal.value.response.headers) == (upstream in {429, 500, 529})


@pytest.mark.parametrize("abort", [True, False])
def test_a_stream_that_breaks_off_raises_and_never_ends_cleanly(
    claude: anthropic.Anthropic, gateway: Gateway, abort: bool
):
    read = threading.Event()
    gateway.provider.script[CLAUDE] = after_reading(read, fake.EVENTS[:4], abort=abort)
    events, got = claude.messages.create(model="claude", **ASKED, stream=True), []
    with pytest.raises(
        anthropic.APIStatusError, match=rf"answer of anthropic/{CLAUDE} broke off .* ask again"
    ) as failure:
        gather(events, got, read, lambda event: event.type == "content_block_delta")
    assert failure.value.body["error"]["type"] == "overloaded_error"
    assert [event.type for event in got] == ["message_start", "content_block_start", "content_block_delta"]


def test_an_overload_under_way_raises_in_the_providers_words(claude: anthropic.Anthropic, gateway: Gateway):
    read = threading.Event()
    told = named_event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    gateway.provider.script[CLAUDE] = after_reading(read, fake.EVENTS[:4], [told])
    with (
        claude.messages.stream(model="claude", **ASKED) as stream,
        pytest.raises(anthropic.APIStatusError, match="Overloaded") as failure,
    ):
        gather(stream.text_stream, [], read, bool)
    assert failure.value.body["error"] == {"type": "overloaded_error", "message": "Overloaded"}


def test_a_profile_of_which_nobody_speaks_the_form_says_what_to_do(claude: anthropic.Anthropic):
    with pytest.raises(anthropic.BadRequestError, match=r"No provider of 'auto' that takes such a request is set up"):
        claude.messages.create(model="auto", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
