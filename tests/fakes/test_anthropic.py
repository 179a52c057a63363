"""The fake of Anthropic's API, asked by Anthropic's own SDK."""

from collections.abc import Iterator

import aiohttp
import anthropic
import pytest

from tests.fakes import anthropic as fake
from tests.fakes.provider import FakeProvider

ASKED = {"model": "claude", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def claude(provider: FakeProvider) -> Iterator[anthropic.Anthropic]:
    provider.reset()
    with anthropic.Anthropic(api_key="k", base_url=provider.url.removesuffix("/v1"), max_retries=0) as client:
        yield client


def test_the_sdk_reads_a_plain_answer_with_all_its_blocks(claude: anthropic.Anthropic, provider: FakeProvider):
    called = fake.tool_use("read", {"path": "a.py"})
    provider.script["claude"] = fake.replying(
        fake.thinking("hm"),
        fake.text("let me see"),
        called,
        stop_reason="tool_use",
        usage={"cache_read_input_tokens": 7},
    )
    answer = claude.messages.create(**ASKED)
    assert [block.type for block in answer.content] == ["thinking", "text", "tool_use"]
    assert answer.content[2].input == {"path": "a.py"}
    assert answer.stop_reason == "tool_use"
    assert (answer.usage.cache_read_input_tokens, answer.usage.cache_creation_input_tokens) == (7, 0)


def test_the_sdk_gathers_the_same_answer_from_a_stream(claude: anthropic.Anthropic, provider: FakeProvider):
    blocks = (
        fake.thinking("thoughts in pieces"),
        fake.text("words in pieces"),
        fake.tool_use("read", {"path": "a.py"}),
    )
    provider.script["claude"] = fake.replying(*blocks, stop_reason="tool_use")
    plain = claude.messages.create(**ASKED)
    with claude.messages.stream(**ASKED) as stream:
        gathered = stream.get_final_message()
    assert gathered.model_dump(mode="json", exclude_none=True) == plain.model_dump(mode="json", exclude_none=True)


def test_the_raw_events_come_in_anthropics_order(claude: anthropic.Anthropic):
    kinds = [event.type for event in claude.messages.create(**ASKED, stream=True)]
    inside = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert kinds == ["message_start", *inside, "message_delta", "message_stop"]
    assert fake.EVENTS[1] == b'event: ping\ndata: {"type":"ping"}\n\n'


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
def test_the_sdk_knows_each_refusal(claude: anthropic.Anthropic, provider: FakeProvider, status: int, error: type):
    provider.script["claude"] = fake.refuse(status, "not now", retry_after="7")
    with pytest.raises(error) as refusal:
        claude.messages.create(**ASKED)
    assert refusal.value.status_code == status
    assert refusal.value.response.headers["retry-after"] == "7"
    assert refusal.value.body["error"] == {"type": fake.ERROR_TYPES[status], "message": "not now"}


def test_an_overload_in_the_midst_of_a_stream_is_an_error(claude: anthropic.Anthropic, provider: FakeProvider):
    provider.script["claude"] = fake.failing_after(4)
    with pytest.raises(anthropic.APIStatusError) as failure:
        list(claude.messages.create(**ASKED, stream=True))
    assert failure.value.body["error"]["type"] == "overloaded_error"


def test_tokens_are_counted(claude: anthropic.Anthropic):
    counted = claude.messages.count_tokens(model="claude", messages=ASKED["messages"])
    assert counted.input_tokens == 14


@pytest.mark.parametrize(
    ("missing", "status", "words"),
    [
        ("x-api-key", 401, "x-api-key"),
        ("anthropic-version", 400, "anthropic-version"),
        ("max_tokens", 400, "max_tokens"),
    ],
)
async def test_what_the_real_one_demands_is_demanded(
    http: aiohttp.ClientSession, provider: FakeProvider, missing: str, status: int, words: str
):
    provider.reset()
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    headers.pop(missing, None)
    body = {name: value for name, value in ASKED.items() if name != missing}
    async with http.post(f"{provider.url}/messages", json=body, headers=headers) as answer:
        assert answer.status == status
        error = await answer.json()
    assert error["type"] == "error"
    assert error["error"]["message"].startswith(words)
