"""The fake of hosted Portkey, asked by Portkey's own SDK and by plain HTTP."""

import json
from collections.abc import Iterator

import aiohttp
import portkey_ai
import pytest

from tests.fakes import anthropic, openai_forms, openai_responses
from tests.fakes.hosted_portkey import HostedPortkey
from tests.fakes.provider import EVENTS, PLAIN, cut_after, refuse, saying, silence

ASKED = {"model": "any", "messages": [{"role": "user", "content": "hi"}]}


def target(model: str, **more) -> dict:
    return {"provider": "openai", "api_key": f"k-{model}", "override_params": {"model": model}, **more}


def fallback(*targets: dict, **more) -> dict:
    return {"strategy": {"mode": "fallback", "on_status_codes": [408, 429, 500]}, "targets": list(targets), **more}


@pytest.fixture
def hosted() -> Iterator[HostedPortkey]:
    fake = HostedPortkey()
    yield fake
    fake.close()


class Caller:
    """Asks the fake over HTTP, and keeps the last answer's headers."""

    def __init__(self, http: aiohttp.ClientSession, hosted: HostedPortkey) -> None:
        self._http, self._url = http, hosted.url
        self.headers: dict[str, str] = {}

    async def ask(self, config: object, path: str = "/chat/completions", body: dict = ASKED, **headers: str):
        """The status and the body; a header that is set to nothing is left out."""
        named = {
            "x-portkey-api-key": "pk-test",
            "x-portkey-trace-id": "t-1",
            "x-portkey-config": config if isinstance(config, str) else json.dumps(config),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        sent = {name: value for name, value in named.items() if value}
        async with self._http.post(self._url + path, json=body, headers=sent) as answer:
            self.headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, await answer.read()

    @property
    def place(self) -> str:
        return self.headers["x-portkey-last-used-option-index"]


@pytest.fixture
def caller(http: aiohttp.ClientSession, hosted: HostedPortkey) -> Caller:
    return Caller(http, hosted)


def test_portkeys_own_sdk_is_served(hosted: HostedPortkey):
    config = fallback(target("first"), target("second"))
    with portkey_ai.Portkey(
        api_key="pk-test", base_url=hosted.url, config=config, trace_id="t-9", metadata={"_user": "ann"}
    ) as client:
        hosted.script["first"] = refuse(500)
        hosted.script["second"] = saying("hello there")
        assert client.chat.completions.create(**ASKED).choices[0].message.content == "hello there"
        chunks = list(client.chat.completions.create(**ASKED, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello there"
        client.feedback.create(trace_id="t-9", value=-3, weight=0.5, metadata={})
    (first, _) = hosted.handled
    assert (first.trace_id, first.metadata, first.config) == ("t-9", {"_user": "ann"}, config)
    assert [(one["trace_id"], one["value"], one["weight"]) for one in hosted.feedback] == [("t-9", -3, 0.5)]


@pytest.mark.parametrize("headers", [{"x_portkey_api_key": ""}, {"x_portkey_api_key": "pk-other"}])
async def test_an_unknown_key_is_refused(caller: Caller, hosted: HostedPortkey, headers: dict[str, str]):
    status, body = await caller.ask(target("m"), **headers)
    assert (status, json.loads(body)["status"]) == (401, "failure")
    assert hosted.handled == []


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"x_portkey_trace_id": ""}, "x-portkey-trace-id"),
        ({"x_portkey_metadata": "[]"}, "x-portkey-metadata"),
        ({"x_portkey_metadata": '{"turn":1}'}, "x-portkey-metadata"),
        ({"x_portkey_metadata": json.dumps({"long": "x" * 129})}, "x-portkey-metadata"),
        ({"x_portkey_config": ""}, "x-portkey-config"),
        ({"x_portkey_config": "{"}, "x-portkey-config"),
        ({"x_portkey_config": "pc-unknown"}, "config id"),
        ({"x_portkey_config": '{"provider":"openai","api_key":"k","surprise":1}'}, "surprise"),
        ({"x_portkey_config": '{"provider":"openai"}'}, "provider"),
        ({"x_portkey_config": '{"provider":"openai","api_key":"k","weight":null}'}, "weight"),
        ({"x_portkey_config": '{"strategy":{"mode":"fallback"},"targets":[{"provider":"openai"}]}'}, "targets.0"),
        ({"x_portkey_config": '{"provider":"nobody","api_key":"k"}'}, "provider"),
        ({"x_portkey_config": '{"provider":"@nobody","request_timeout":5}'}, "@nobody"),
        ({"x_portkey_config": '{"virtual_key":"nobody"}'}, "virtual key"),
    ],
)
async def test_a_wrong_header_is_refused_by_its_name(caller: Caller, headers: dict[str, str], named: str):
    status, body = await caller.ask(target("m"), **headers)
    refusal = json.loads(body)
    assert (status, refusal["status"]) == (400, "failure")
    assert named in refusal["message"]


async def test_a_fallback_goes_on_at_its_statuses_alone(caller: Caller, hosted: HostedPortkey):
    hosted.script["limited"], hosted.script["wrong"] = refuse(429, retry_after="7"), refuse(400)
    assert await caller.ask(fallback(target("limited"), target("good"))) == (200, PLAIN)
    assert caller.place == "config.targets[1]"
    assert caller.headers["x-portkey-trace-id"] == "t-1"
    (handled,) = hosted.handled
    assert [(one.place, one.body["model"], one.key, one.status) for one in handled.attempts] == [
        ("config.targets[0]", "limited", "k-limited", 429),
        ("config.targets[1]", "good", "k-good", 200),
    ]
    status, _ = await caller.ask(fallback(target("wrong"), target("good")))
    assert (status, caller.place) == (400, "config.targets[0]")
    any_failure = {"strategy": {"mode": "fallback"}, "targets": [target("wrong"), target("limited")]}
    status, _ = await caller.ask(any_failure)
    assert (status, caller.place, caller.headers["retry-after"]) == (429, "config.targets[1]", "7")


async def test_a_refusal_of_portkeys_own_stops_a_fallback(caller: Caller, hosted: HostedPortkey):
    strategy = {"mode": "fallback"}
    status, _ = await caller.ask({"strategy": strategy, "targets": [{"virtual_key": "nobody"}, target("good")]})
    assert (status, hosted.handled[0].attempts) == (400, [])


async def test_nested_load_is_balanced_by_weight(caller: Caller, hosted: HostedPortkey):
    balanced = {"strategy": {"mode": "loadbalance"}, "targets": [target("a", weight=3), target("b", weight=1)]}
    for number, place in ((0.0, 0), (0.74, 0), (0.76, 1)):
        hosted.draw = lambda number=number: number
        await caller.ask(fallback(balanced, target("c")))
        assert caller.place == f"config.targets[0].targets[{place}]"


async def test_a_body_is_merged_from_defaults_request_and_overrides(caller: Caller, hosted: HostedPortkey):
    leaf = target("m", default_params={"seed": 1, "top_p": 1}, drop_params=["user"])
    config = fallback(leaf, override_params={"temperature": 0})
    await caller.ask(config, body={**ASKED, "seed": 2, "user": "u", "temperature": 1})
    (attempt,) = hosted.handled[0].attempts
    assert attempt.body == {**ASKED, "model": "m", "seed": 2, "top_p": 1, "temperature": 0}


async def test_integrations_and_virtual_keys_are_known_by_their_names(caller: Caller, hosted: HostedPortkey):
    hosted.integrations["openai-prod"], hosted.virtual_keys["vk-1"] = "openai", "anthropic"
    slugged = {"provider": "@openai-prod", "override_params": {"model": "gpt"}, "request_timeout": 5000}
    in_model = {"override_params": {"model": "@openai-prod/gpt"}, "request_timeout": 5000}
    for config, provider in ((slugged, "openai"), (in_model, "openai"), ({"virtual_key": "vk-1"}, "anthropic")):
        status, _ = await caller.ask(config)
        assert (status, caller.headers["x-portkey-provider"], caller.place) == (200, provider, "config")
    assert [handled.attempts[0].body["model"] for handled in hosted.handled] == ["gpt", "gpt", "any"]


async def test_a_saved_config_is_used_by_its_id(caller: Caller, hosted: HostedPortkey):
    hosted.saved_configs["pc-main-1"] = fallback(target("m"))
    assert await caller.ask("pc-main-1") == (200, PLAIN)
    assert (hosted.handled[0].config_id, hosted.handled[0].place) == ("pc-main-1", "config.targets[0]")


@pytest.mark.parametrize(("works", "count"), [(True, "1"), (False, "-1")])
async def test_retries_are_counted(caller: Caller, hosted: HostedPortkey, works: bool, count: str):
    async def first_fails(request, body):
        failing = refuse(503) if not works or len(hosted.handled[0].attempts) == 1 else saying("hi")
        return await failing(request, body)

    hosted.script["m"] = first_fails
    status, _ = await caller.ask({**target("m"), "retry": {"attempts": 1}})
    assert (status == 200, caller.headers["x-portkey-retry-attempt-count"]) == (works, count)
    assert len(hosted.handled[0].attempts) == 2


async def test_headers_that_do_not_come_in_time_are_a_408(caller: Caller, hosted: HostedPortkey):
    hosted.script["slow"] = silence
    status, body = await caller.ask({**target("slow"), "request_timeout": 50})
    assert (status, json.loads(body)["error"]["type"]) == (408, "timeout_error")
    await caller.ask(fallback(target("slow", request_timeout=50), target("good")))
    assert caller.place == "config.targets[1]"


async def test_an_equal_request_is_answered_from_the_simple_cache(caller: Caller, hosted: HostedPortkey):
    config = {**fallback(target("m")), "cache": {"mode": "simple", "max_age": 60}}
    now = 0.0
    hosted.clock = lambda: now
    user = {"x_portkey_metadata": '{"_user":"ann"}'}

    async def status_of(**more) -> str:
        streamed = {**ASKED, "stream": True}
        assert await caller.ask(config, body=streamed, **{**user, **more}) == (200, b"".join(EVENTS))
        return caller.headers["x-portkey-cache-status"]

    assert [await status_of(), await status_of(), await status_of(x_portkey_trace_id="t-2")] == ["MISS", "HIT", "HIT"]
    assert await status_of(x_portkey_metadata='{"_user":"ben"}') == "MISS"
    assert await status_of(x_portkey_cache_force_refresh="true") == "REFRESH"
    now = 61.0
    assert await status_of() == "MISS"
    await caller.ask(fallback(target("m")))
    assert caller.headers["x-portkey-cache-status"] == "DISABLED"


async def test_a_failure_is_not_kept(caller: Caller, hosted: HostedPortkey):
    hosted.script["m"] = refuse(500)
    config = {**target("m"), "cache": {"mode": "simple"}}
    await caller.ask(config)
    hosted.script["m"] = saying("hi")
    status, _ = await caller.ask(config)
    assert (status, caller.headers["x-portkey-cache-status"]) == (200, "MISS")


async def test_guardrails_deny_or_mark(caller: Caller, hosted: HostedPortkey):
    hosted.guardrails |= {"no-secrets": 446, "polite": 246}
    status, body = await caller.ask({**target("m"), "input_guardrails": ["no-secrets"]})
    assert (status, json.loads(body)["error"]["type"]) == (446, "hooks_failed")
    assert hosted.handled[0].attempts == []
    hosted.script["m"] = saying("hi")
    status, body = await caller.ask({**target("m"), "output_guardrails": ["polite"]})
    answer = json.loads(body)
    assert (status, answer["choices"][0]["message"]["content"]) == (246, "hi")
    assert "hook_results" in answer
    streamed = {**ASKED, "stream": True}
    status, _ = await caller.ask({**target("m"), "output_guardrails": ["no-secrets"]}, body=streamed)
    assert status == 200


async def test_a_stream_that_a_provider_breaks_off_ends_cleanly(caller: Caller, hosted: HostedPortkey):
    hosted.script["m"] = cut_after(2, abort=True)
    config = {**target("m"), "cache": {"mode": "simple"}}
    for _ in range(2):
        assert await caller.ask(config, body={**ASKED, "stream": True}) == (200, b"".join(EVENTS[:2]))
        assert caller.headers["x-portkey-cache-status"] == "MISS"


@pytest.mark.parametrize(
    ("path", "provider", "body", "plain"),
    [
        ("/messages", "anthropic", {**ASKED, "max_tokens": 5}, anthropic.PLAIN),
        ("/responses", "openai", {"model": "any", "input": "hi"}, openai_responses.PLAIN),
        ("/embeddings", "openai", {"model": "any", "input": "hi"}, openai_forms.EMBEDDING),
        ("/proxy/chat/completions", "openai", ASKED, PLAIN),
        ("/proxy/messages", "anthropic", {**ASKED, "max_tokens": 5}, anthropic.PLAIN),
    ],
)
async def test_each_route_answers_in_its_form(caller: Caller, path: str, provider: str, body: dict, plain: bytes):
    assert await caller.ask({"provider": provider, "api_key": "k"}, path, body) == (200, plain)


async def test_on_the_proxy_route_a_clients_own_key_goes_before_the_targets(caller: Caller, hosted: HostedPortkey):
    for path in ("/proxy/chat/completions", "/chat/completions"):
        await caller.ask(target("m"), path, authorization="Bearer theirs")
    assert [handled.attempts[0].key for handled in hosted.handled] == ["theirs", "k-m"]


@pytest.mark.parametrize(
    "told",
    [
        {"value": 1},
        {"trace_id": "t", "value": 11},
        {"trace_id": "t", "value": True},
        {"trace_id": "t", "value": 1, "weight": 2},
    ],
)
async def test_feedback_that_is_none_is_refused(caller: Caller, hosted: HostedPortkey, told: dict):
    status, _ = await caller.ask("", "/feedback", told)
    assert (status, hosted.feedback) == (400, [])
