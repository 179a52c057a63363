"""GET /v1/models lists what can be asked for: each profile with what it is for, each model with context and prices."""

import asyncio

import pytest

from tests.edge_gateway.test_completion import MESSAGES
from tests.processes import NEVER


@pytest.fixture
async def listed(http, system) -> dict[str, dict]:
    async with asyncio.timeout(NEVER):
        while True:
            async with http.get(f"{system.url}/v1/models") as answer:
                found = {entry["id"]: entry for entry in (await answer.json())["data"]}
            if "fake/first" in found:
                return found


async def test_a_profile_says_what_it_is_for_and_what_holds_whoever_answers(listed):
    refusing = listed["refusing"]
    assert refusing["description"] == "Its best model's server is not there."
    assert refusing["owned_by"] == "router"
    assert refusing["context_length"] == 900_000
    assert refusing["candidates"] == ["gone/away", "fake/second"]
    assert refusing["pricing"]["input_usd_per_mtok"] == {"least": 1.0, "most": 1.0}


async def test_a_model_has_its_context_and_prices(listed):
    first = listed["fake/first"]
    assert (first["context_length"], first["max_output_tokens"], first["owned_by"]) == (900_000, 16_000, "fake")
    assert first["pricing"] == {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
    assert not [name for name in listed if name.startswith("openai/")]


@pytest.mark.parametrize("base", ["/v1", "", "/s/mine/v1", "/s/mine"])
async def test_the_list_stands_under_every_base_url(http, system, listed, base):
    async with http.get(f"{system.url}{base}/models") as answer:
        assert {entry["id"] for entry in (await answer.json())["data"]} == set(listed)
    async with http.get(f"{system.url}{base}/models/fake/second") as answer:
        assert await answer.json() == listed["fake/second"]


async def test_whatever_is_listed_can_be_asked_for_by_its_name(http, system, listed):
    for name in ("auto", "fake/second"):
        async with http.get(f"{system.url}/v1/models/{name}") as answer:
            assert (await answer.json()) == listed[name]
        body = {"model": name, "messages": MESSAGES}
        async with http.post(f"{system.url}/v1/chat/completions", json=body) as answer:
            assert answer.status == 200
    async with http.get(f"{system.url}/v1/models/nobody/knows") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "model_not_found"
