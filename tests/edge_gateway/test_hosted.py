"""The edge before hosted Portkey: one valid config a request, with its key, trace, metadata, cache and feedback."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import jsonschema
import pytest

from edge_gateway import chat_request
from edge_gateway.adaptations import Adaptations, Asked
from edge_gateway.forms import CHAT
from edge_gateway.portkey.config import Bounds, Features, Hosted, fitting, plan
from edge_gateway.providers import Providers, reachable
from edge_gateway.settings import load_config
from router_service.settings import load_catalog
from tests.conftest import REMEMBERING_NOTHING, System
from tests.edge_gateway.aider_process import AiderProcess
from tests.fakes import provider as fake
from tests.fakes.hosted_portkey import HostedPortkey
from tests.fakes.portkey_config import Config
from tests.processes import free_port, start_edge, start_router, wait_until

USER = {"role": "user", "content": "hi"}
EDGE = """
[providers.fake]
slug = "openai"
key = "FAKE_KEY"
verbatim = true
forms = ["chat", "responses", "embeddings"]

[providers.team]
slug = "openai"
virtual_key = "openai-team-1a2b"

[providers.saved]
slug = "openai"
config = "pc-saved-1"

[portkey]
cache = { mode = "simple", max_age = 60 }
"""
ROUTER = """
[profiles.team]
candidates = ["team/gpt-5.2", "fake/second"]
cost_quality_tradeoff = 0

[[models]]
id = "team/gpt-5.2"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = 1
output_usd_per_mtok = 2
source = "made up"
checked = "2026-11-23"
prior = "gpt-5 (high)"
prior_kind = "inherited"
"""


@dataclass
class Hosting:
    """The edge, and hosted Portkey behind it."""

    url: str
    system: System
    portkey: HostedPortkey


@pytest.fixture(scope="module")
def running_hosting(running: System, router_config: Path, tmp_path_factory) -> Iterator[Hosting]:
    folder = tmp_path_factory.mktemp("hosted")
    (folder / "router.toml").write_text(ROUTER)
    (folder / "edge.toml").write_text(EDGE)
    portkey = HostedPortkey()
    router_port, port = free_port(), free_port()
    router = start_router(router_port, ROUTER_CONFIG=f"{router_config}:{folder / 'router.toml'}")
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
        EDGE_CONFIG=str(folder / "edge.toml"),
        PORTKEY_API_KEY="pk-test",
        PORTKEY_BASE_URL=portkey.url,
        EDGE_PORTKEY_FEEDBACK="true",
        FAKE_KEY="k-fake",
        **REMEMBERING_NOTHING,
    )
    yield Hosting(
        f"http://127.0.0.1:{port}/v1",
        System(f"http://127.0.0.1:{port}", router_port, portkey, router, edge),
        portkey,
    )
    edge.stop()
    router.stop()
    portkey.close()


@pytest.fixture
def hosting(running_hosting: Hosting) -> Hosting:
    running_hosting.portkey.script.clear()
    running_hosting.portkey.handled.clear()
    return running_hosting


async def ask(http: aiohttp.ClientSession, hosting: Hosting, path: str = "/chat/completions", key: str = "a", **body):
    sent = {"model": "auto", "messages": [USER], **body}
    async with http.post(hosting.url + path, json=sent, headers={"authorization": f"Bearer {key}"}) as answer:
        return answer.status, answer.headers, await answer.read()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_carries_its_key_its_trace_and_what_it_is_for(http, hosting, stream):
    status, headers, body = await ask(http, hosting, stream=stream)
    assert (status, body) == (200, b"".join(fake.EVENTS) if stream else fake.PLAIN)
    (handled,) = hosting.portkey.handled
    assert handled.trace_id == headers["x-router-decision-id"]
    assert handled.metadata == {"purpose": "chat", "profile": "auto"}
    assert headers["x-router-decision-id"] not in json.dumps(handled.metadata)
    assert handled.config["cache"] == {"mode": "simple", "max_age": 60}
    assert [attempt.key for attempt in handled.attempts] == ["k-fake"]


async def test_its_failover_is_one_configs(http, hosting):
    hosting.portkey.script["first"] = fake.refuse(503)
    status, headers, _ = await ask(http, hosting, stream=True, seed=2)
    assert (status, headers["x-served-model"]) == (200, "fake/second")
    (handled,) = hosting.portkey.handled
    assert [attempt.body["model"] for attempt in handled.attempts] == ["first", "second"]


async def test_its_cache_is_hit_by_the_same_caller_alone(http, hosting):
    for key in ("a", "a", "b"):
        await ask(http, hosting, key=key, seed=17)
    assert [handled.cache_status for handled in hosting.portkey.handled] == ["MISS", "HIT", "MISS"]


async def test_virtual_keys_slugs_and_saved_configurations_are_used(http, hosting):
    hosting.portkey.virtual_keys["openai-team-1a2b"] = "openai"
    hosting.portkey.integrations["openai-dev"] = "openai"
    hosting.portkey.saved_configs["pc-saved-1"] = {"provider": "openai", "api_key": "k-saved"}
    status, headers, _ = await ask(http, hosting, model="team")
    assert (status, headers["x-served-model"]) == (200, "team/gpt-5.2")
    status, headers, _ = await ask(http, hosting, model="@openai-dev/gpt-5.2")
    assert (status, headers["x-router-model"], headers["x-router-source"]) == (200, "@openai-dev/gpt-5.2", "requested")
    status, headers, _ = await ask(http, hosting, model="saved/gpt-5.2")
    assert (status, headers["x-served-model"]) == (200, "saved/gpt-5.2")
    virtual, slug, saved = hosting.portkey.handled
    assert virtual.config["targets"][0]["virtual_key"] == "openai-team-1a2b"
    assert slug.config["targets"][0]["provider"] == "@openai-dev"
    assert (saved.config_id, saved.attempts[0].body["model"]) == ("pc-saved-1", "gpt-5.2")


async def test_what_a_guardrail_says_is_passed_on_in_words_that_clients_understand(http, hosting):
    hosting.portkey.script["second"] = fake.refuse(446)
    status, _, body = await ask(http, hosting, model="fake/second", seed=1)
    error = json.loads(body)["error"]
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "guardrail_denied")


async def test_how_a_reply_fared_is_told_under_its_trace(http, hosting):
    aider = AiderProcess(http, hosting.system)
    answer, _ = await aider.change("type it", "def add(a: int, b: int) -> int:\n    return a + b\n")
    wait_until(lambda: bool(hosting.portkey.feedback), "the feedback")
    (told,) = [one for one in hosting.portkey.feedback if one["trace_id"] == answer.decision]
    assert (told["value"], told["metadata"]["outcome"]) == (10, "applied")


async def test_other_forms_go_through_it_too(http, hosting):
    async with http.post(f"{hosting.url}/responses", json={"model": "auto", "input": "hi"}) as answer:
        assert (answer.status, (await answer.json())["status"]) == (200, "completed")
    body = {"model": "fake/text-embedding-3-small", "input": "hi"}
    async with http.post(f"{hosting.url}/embeddings", json=body) as answer:
        assert (await answer.json())["data"][0]["embedding"]


def shipped_providers() -> Providers:
    entries = load_config("").providers
    keys = {entry.key or entry.url: "k" * 40 for entry in entries.values()}
    return reachable(entries, entries, keys, hosted=True)


CATALOG = load_catalog("")


@pytest.mark.parametrize("name", CATALOG.profiles)
def test_the_config_of_every_shipped_profile_is_one_that_portkey_documents(name):
    """With PORTKEY_CONFIG_SCHEMA naming a file, also against the schema that Portkey publishes."""
    shipped = load_config("")
    providers = shipped_providers()
    raw = json.dumps({"model": name, "messages": [USER, USER], "temperature": 0, "max_tokens": 9}).encode()
    asked = Asked(CHAT.name, chat_request.parse(raw), merges=True)
    ranking = [model for model in CATALOG.expand(CATALOG.profiles[name]) if providers.of(model)]
    left = list(fitting(ranking, providers, asked))
    emitter = Hosted(Features({"mode": "semantic", "max_age": 60}, ["pg-in"], ["pg-out"]))
    published = os.environ.get("PORTKEY_CONFIG_SCHEMA")
    reached: list[str] = []
    while left:
        made = plan(
            CHAT, raw, left, providers, asked, Adaptations(shipped.adaptations), emitter, Bounds(60, attempts=1)
        )
        config = json.loads(made.config)
        Config.model_validate(config)
        if published:
            jsonschema.validate(config, json.loads(Path(published).read_text()))
        reached += made.models
        left = [model for model in left if model not in made.models]
    assert reached == ranking
