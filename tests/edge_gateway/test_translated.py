"""Providers with a form of their own, through the real Portkey gateway: asked in theirs, answered in OpenAI's."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import System, edge_beside, router_beside
from tests.fakes import anthropic
from tests.fakes import provider as fake
from tests.fakes.breaking import after_reading

MODELS = """
[profiles.claude]
candidates = ["anthropic/claude-sonnet-5-5", "fake/second"]
cost_quality_tradeoff = 0
"""
ASKED = {"model": "claude", "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def claude_edge(
    running: System, portkey: int, edge_config: Path, router_config: Path, tmp_path_factory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("translated")
    (folder / "router.toml").write_text(MODELS)
    config = edge_config.read_text() + f'\n[providers.anthropic]\nbase_url = "{running.provider.url}"\n'
    (folder / "edge.toml").write_text(config)
    with (
        router_beside(running, router_config, folder / "router.toml") as routed,
        edge_beside(routed, portkey, folder / "edge.toml", ANTHROPIC_API_KEY="k-anthropic") as translated,
    ):
        yield f"{translated.url}/v1/chat/completions"


@pytest.mark.parametrize("stream", [False, True])
async def test_anthropic_is_asked_in_its_own_form_and_answers_in_openais(
    http: aiohttp.ClientSession, system: System, claude_edge: str, stream: bool
):
    async with http.post(claude_edge, json={**ASKED, "stream": stream}) as answer:
        assert answer.status == 200
        assert answer.headers["x-served-model"] == "anthropic/claude-sonnet-5-5"
        text = await answer.text()
    (seen,) = system.provider.seen
    assert seen.path.endswith("/messages")
    assert seen.body["max_tokens"] > 1000
    assert {name.lower(): value for name, value in seen.headers.items()}["x-api-key"] == "k-anthropic"
    if stream:
        events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
        assert events[-1] == "[DONE]"
        deltas = [json.loads(event)["choices"] for event in events[:-1]]
        assert "".join(choices[0]["delta"].get("content") or "" for choices in deltas if choices) == "hello"
        assert "stream_truncated" not in text
    else:
        assert json.loads(text)["choices"][0]["message"]["content"] == "hello"


async def test_the_clients_own_limit_is_kept(http: aiohttp.ClientSession, system: System, claude_edge: str):
    async with http.post(claude_edge, json={**ASKED, "max_tokens": 77}) as answer:
        assert answer.status == 200
    assert system.provider.seen[0].body["max_tokens"] == 77


async def test_a_cut_answer_of_a_translated_provider_is_told_as_one(
    http: aiohttp.ClientSession, system: System, claude_edge: str
):
    read = threading.Event()
    system.provider.script["claude-sonnet-5-5"] = after_reading(read, anthropic.EVENTS[:4], abort=True)
    async with http.post(claude_edge, json={**ASKED, "stream": True}) as answer:
        text = (await answer.content.readany()).decode()
        read.set()
        text += await answer.text()
    assert '"code": "stream_truncated"' in text
    assert "[DONE]" not in text


async def test_a_translated_provider_that_is_overloaded_is_followed_by_one_that_is_not(
    http: aiohttp.ClientSession, system: System, claude_edge: str
):
    system.provider.script["claude-sonnet-5-5"] = anthropic.refuse(529, "Overloaded")
    async with http.post(claude_edge, json={**ASKED, "stream": True}) as answer:
        assert answer.status == 200
        assert answer.headers["x-served-model"] == "fake/second"
        assert await answer.read() == b"".join(fake.EVENTS)


@pytest.mark.parametrize(
    "wanted", [{"response_format": {"type": "json_object"}}, {"n": 2}, {"logprobs": True, "top_logprobs": 2}]
)
async def test_a_request_that_rests_on_what_translation_drops_goes_to_a_provider_that_takes_it(
    http: aiohttp.ClientSession, system: System, claude_edge: str, wanted: dict
):
    async with http.post(claude_edge, json={**ASKED, **wanted}) as answer:
        assert answer.status == 200
        assert answer.headers["x-router-model"] == answer.headers["x-served-model"] == "fake/second"
    assert wanted.items() <= system.provider.seen[0].body.items()
