"""One inline config a dispatch: the ranking as a fallback chain, on the route that suits the request, for either Portkey."""

import json

import pytest

from edge_gateway import chat_request, prompt_messages
from edge_gateway.adaptations import Adaptations, Asked
from edge_gateway.forms import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from edge_gateway.portkey.config import MAX_TARGETS, Bounds, Features, Hosted, OpenSource, Plans, fitting, plan
from edge_gateway.providers import ProviderEntry, reachable
from edge_gateway.settings import load_config

MESSAGES_FIELD = [{"role": "user", "content": "hi"}]
KEYS = {
    "OPENAI_API_KEY": "k-o",
    "ANTHROPIC_API_KEY": "k-a",
    "DEEPSEEK_API_KEY": "k-d",
    "GEMINI_API_KEY": "k-g",
    "EDGE_OLLAMA_URL": "http://127.0.0.1:9/v1",
}
SHIPPED = load_config("")
ENTRIES = SHIPPED.providers


def make(*ranking, form=CHAT, emitter=None, keys=KEYS, entries=ENTRIES, bounds=None, **fields):
    """The first plan for a ranking, as the dispatcher makes it, and its config."""
    emitter = emitter or OpenSource(Features())
    asks = {"messages": MESSAGES_FIELD} if form in (CHAT, MESSAGES) else {"input": "hi"}
    raw = json.dumps({"model": "auto", **asks, **fields}).encode()
    request = form.parse(raw)
    asked = Asked(form.name, request)
    providers = reachable(entries, ENTRIES, keys, hosted=isinstance(emitter, Hosted))
    models = fitting(ranking, providers, asked)
    made = plan(form, raw, models, providers, asked, Adaptations({}), emitter, bounds or Bounds(60))
    return made, json.loads(made.config) if made.config.startswith("{") else made.config


def test_the_ranking_becomes_a_fallback_chain_in_its_order():
    made, config = make("openai/gpt-5.2", "deepseek/deepseek-v4-pro")
    assert config["strategy"]["mode"] == "fallback"
    assert {408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529} == set(config["strategy"]["on_status_codes"])
    assert [target["override_params"]["model"] for target in config["targets"]] == ["gpt-5.2", "deepseek-v4-pro"]
    assert [target["api_key"] for target in config["targets"]] == ["k-o", "k-d"]
    assert [target["request_timeout"] for target in config["targets"]] == [60_000, 60_000]
    assert made.route == "/proxy/chat/completions"
    assert config["targets"][1]["custom_host"] == "https://api.deepseek.com/v1"


def test_the_body_goes_on_in_the_clients_own_bytes():
    raw = b'{ "model":"auto",\n "messages":[{"role":"user","content":"gr\\u00fc\xc3\x9f"}], "seed": 18446744073709551615 }'
    request = chat_request.parse(raw)
    asked = Asked(CHAT.name, request)
    providers = reachable(ENTRIES, ENTRIES, KEYS)
    made = plan(
        CHAT,
        raw,
        ["openai/gpt-4.1"],
        providers,
        asked,
        Adaptations(SHIPPED.adaptations),
        OpenSource(Features()),
        Bounds(1),
    )
    assert made.body is raw


def test_a_provider_with_a_form_of_its_own_is_translated_under_its_own_address():
    made, config = make("anthropic/claude-sonnet-5-5", "openai/gpt-5.2", "ollama/qwen")
    assert made.route == "/chat/completions"
    assert [target["provider"] for target in config["targets"]] == ["anthropic", "openai", "openai"]
    assert [target.get("custom_host") for target in config["targets"]] == [None, None, KEYS["EDGE_OLLAMA_URL"]]


def test_a_mixed_chain_is_kept_whole_only_while_no_field_of_the_request_is_lost():
    ranking = ("openai/gpt-5.2", "anthropic/claude-sonnet-5-5", "deepseek/deepseek-v4-pro")
    raw = json.dumps({"model": "auto", "messages": MESSAGES_FIELD, "temperature": 0}).encode()
    providers = reachable(ENTRIES, ENTRIES, KEYS)
    assert fitting(ranking, providers, Asked(CHAT.name, chat_request.parse(raw))) == ranking
    made, _ = make(*ranking, unheard_of=1)
    assert (made.route, made.models) == ("/proxy/chat/completions", ("openai/gpt-5.2", "deepseek/deepseek-v4-pro"))


def test_models_of_unreachable_providers_are_left_out_and_the_chain_is_bounded():
    made, config = make("xai/grok-4.7", *(f"openai/m{number}" for number in range(20)))
    assert made.models[0] == "openai/m0"
    assert len(config["targets"]) == MAX_TARGETS
    made, config = make("openai/a", "openai/b", "openai/c", bounds=Bounds(60, targets=2))
    assert made.models == ("openai/a", "openai/b")
    with pytest.raises(LookupError):
        make("xai/grok-4.7")


@pytest.mark.parametrize(
    ("index", "position"),
    [("config.targets[1]", 1), ("config.targets[1].targets[0].targets[1]", 1), ("", 0), ("targets[9]", 0)],
)
def test_the_model_that_served_is_read_from_portkeys_index(index, position):
    made, _ = make("openai/a", "openai/b")
    assert made.position(index) == position


def test_the_longest_chain_fits_portkeys_header_limit():
    several = [{"key": "OPENAI_API_KEY", "base_url": f"https://{number}.example/v1"} for number in range(4)]
    entries = {**ENTRIES, "openai": ProviderEntry(**{**ENTRIES["openai"].model_dump(), "deployments": several})}
    keys = {entry.key or entry.url: "x" * 200 for entry in ENTRIES.values()}
    made, _ = make(*(f"{name}/{'m' * 80}" for name in entries), entries=entries, keys=keys)
    assert len(made.config) < 12_000
    assert made.models


@pytest.mark.parametrize("count", [7, 16])
def test_many_deployments_with_long_keys_leave_room_for_other_models(count):
    several = [{"key": f"KEY_{number}"} for number in range(count)]
    entries = {**ENTRIES, "openai": ProviderEntry(**{**ENTRIES["openai"].model_dump(), "deployments": several})}
    keys = {**KEYS, **{f"KEY_{number}": "x" * 164 for number in range(count)}}
    made, config = make("openai/gpt-5.2", "deepseek/x", entries=entries, keys=keys)
    assert made.models == ("openai/gpt-5.2", "deepseek/x")
    assert [len(branch["targets"]) for branch in config["targets"][0]["targets"]] == [2] * count


def test_of_several_deployments_one_is_drawn_by_weight_and_the_others_follow_it():
    several = [
        {"key": "FIRST", "weight": 3},
        {"key": "SECOND", "base_url": "https://second.example/v1"},
        {"key": "UNSET"},
    ]
    entries = {**ENTRIES, "openai": ProviderEntry(**{**ENTRIES["openai"].model_dump(), "deployments": several})}
    made, config = make("openai/gpt-5.2", "deepseek/x", entries=entries, keys={**KEYS, "FIRST": "k1", "SECOND": "k2"})
    target = config["targets"][0]
    assert target["strategy"] == {"mode": "loadbalance"}
    assert target["override_params"] == {"model": "gpt-5.2"}
    assert [branch["weight"] for branch in target["targets"]] == [3, 1]
    keys = [[one["api_key"] for one in branch["targets"]] for branch in target["targets"]]
    assert keys == [["k1", "k2"], ["k2", "k1"]]
    assert target["targets"][1]["targets"][0]["custom_host"] == "https://second.example/v1"
    assert made.models == ("openai/gpt-5.2", "deepseek/x")


def test_the_demo_models_stand_in_only_while_no_other_provider_is_reachable():
    demo = {"EDGE_DEMO_URL": "http://127.0.0.1:9/v1"}
    assert set(reachable(ENTRIES, ENTRIES, demo)) == {"demo"}
    assert set(reachable(ENTRIES, ENTRIES, {**demo, "XAI_API_KEY": "k"})) == {"xai"}


def test_a_provider_does_not_show_its_key_when_it_is_printed():
    provider = reachable(ENTRIES, ENTRIES, {"OPENAI_API_KEY": "sentinel"})["openai"]
    assert "sentinel" not in repr(provider) + repr(provider.deployments)


@pytest.mark.parametrize(
    ("form", "model", "route", "provider", "host"),
    [
        (RESPONSES, "openai/gpt-5.2", "/proxy/responses", "openai", "https://api.openai.com/v1"),
        (EMBEDDINGS, "openai/text-embedding-3-small", "/proxy/embeddings", "openai", "https://api.openai.com/v1"),
        (EMBEDDINGS, "google/gemini-embedding-001", "/embeddings", "google", None),
        (MESSAGES, "anthropic/claude-opus-5-5", "/proxy/messages", "anthropic", None),
        (MESSAGES, "deepseek/deepseek-v4-pro", "/proxy/messages", "anthropic", "https://api.deepseek.com/anthropic/v1"),
    ],
)
def test_each_form_takes_the_route_on_which_nothing_of_it_is_lost(form, model, route, provider, host):
    made, config = make(model, form=form)
    target = config["targets"][0]
    assert (made.route, target["provider"], target.get("custom_host")) == (route, provider, host)


def test_guardrails_are_sent_on_a_route_that_heeds_them():
    rule = {"default.contains": {"operator": "none", "words": ["secret"]}, "deny": True}
    made, config = make(
        "openai/gpt-5.2", emitter=OpenSource(Features(input_guardrails=[rule], output_guardrails=["pg-1"]))
    )
    assert made.route == "/chat/completions"
    assert (config["input_guardrails"], config["output_guardrails"]) == ([rule], ["pg-1"])


def test_hosted_portkey_takes_virtual_keys_catalogue_slugs_and_saved_configurations():
    hosted = Hosted(Features(cache={"mode": "simple", "max_age": 60}))
    entries = {
        "team": ProviderEntry(slug="openai", virtual_key="openai-team-1a2b", verbatim=True),
        "catalogue": ProviderEntry(slug="@anthropic-prod"),
        "saved": ProviderEntry(slug="openai", config="pc-saved-1"),
    }
    _, config = make("team/gpt-5.2", "catalogue/claude", "@openai-dev/gpt-5.2", emitter=hosted, entries=entries)
    assert config["cache"] == {"mode": "simple", "max_age": 60}
    team, catalogue, slug = config["targets"]
    assert team == {
        "virtual_key": "openai-team-1a2b",
        "request_timeout": 60_000,
        "override_params": {"model": "gpt-5.2"},
    }
    assert catalogue == {
        "provider": "@anthropic-prod",
        "request_timeout": 60_000,
        "override_params": {"model": "claude"},
    }
    assert slug["provider"] == "@openai-dev"
    made, config = make("saved/gpt-5.2", "team/gpt-5.2", emitter=hosted, entries=entries)
    assert (config, made.models) == ("pc-saved-1", ("saved/gpt-5.2",))
    assert json.loads(made.body)["model"] == "gpt-5.2"


def test_hosted_portkey_translates_a_form_for_those_that_do_not_speak_it():
    hosted, keys = Hosted(Features()), {**KEYS, "MISTRAL_API_KEY": "k-m"}
    made, _ = make("mistral/codestral-latest", form=RESPONSES, emitter=hosted, keys=keys)
    assert made.route == "/responses"
    made, _ = make("openai/gpt-5.2", "mistral/codestral-latest", form=RESPONSES, emitter=hosted, keys=keys)
    assert (made.route, len(made.models)) == ("/responses", 2)
    assert make("openai/gpt-5.2", form=RESPONSES, emitter=hosted, keys=keys)[0].route == "/proxy/responses"


@pytest.mark.parametrize("kept", [{"virtual_key": "deepseek-1a2b", "key": ""}, {"slug": "@deepseek-prod", "key": ""}])
def test_a_provider_whose_key_hosted_portkey_keeps_is_asked_in_anthropics_form_through_it(kept):
    entries = {**ENTRIES, "deepseek": ENTRIES["deepseek"].model_copy(update=kept)}
    made, config = make("deepseek/x", form=MESSAGES, emitter=Hosted(Features()), entries=entries)
    (target,) = config["targets"]
    assert made.route == "/messages"
    assert target.get("virtual_key", target.get("provider")) in kept.values()
    assert "custom_host" not in target


def test_without_hosted_portkey_what_only_it_holds_is_not_offered():
    entries = {
        "team": ProviderEntry(slug="openai", virtual_key="openai-team-1a2b"),
        "catalogue": ProviderEntry(slug="@anthropic-prod"),
        "saved": ProviderEntry(slug="openai", config="pc-saved-1"),
    }
    found = reachable(entries, ENTRIES, {})
    assert not found
    assert "@openai-dev" not in found


def test_a_remembered_plan_is_the_one_that_would_be_made_anew():
    providers, rules = reachable(ENTRIES, ENTRIES, KEYS), Adaptations(SHIPPED.adaptations)
    plans = Plans(providers, rules, OpenSource(Features()))
    ranking = ("anthropic/claude-opus-5", "openai/gpt-5.2", "deepseek/deepseek-v4-pro", "ollama/qwen")
    fields = [
        {},
        {"temperature": 0},
        {"temperature": 0.5},
        {"temperature": 0, "max_tokens": 77},
        {"temperature": 0, "max_tokens": 78},
        {"temperature": 0, "user": "x" * 10_000},
        {"temperature": float("1" + "0" * 200)},
    ]
    configs = set()
    for more, stable, models in [
        (more, stable, ranking[start:]) for more in fields * 3 for stable in (0, 1) for start in range(len(ranking))
    ]:
        raw = json.dumps({"model": "auto", "messages": [*MESSAGES_FIELD, *MESSAGES_FIELD], **more}).encode()
        request = chat_request.parse(raw)
        asked = Asked(CHAT.name, request, stable, prompt_messages.repeats_user(request.turns))
        made = plan(CHAT, raw, models, providers, asked, rules, OpenSource(Features()), Bounds(60))
        assert plans.plan(CHAT, raw, models, asked, Bounds(60)) == made
        configs.add(made.config)
    assert len(configs) > len(ranking) * 2
