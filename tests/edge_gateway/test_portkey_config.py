"""One inline config a request: the ranking as a fallback chain, on the route that suits the request's fields."""

import json

import pytest

from edge_gateway.portkey_config import MAX_TARGETS, TRANSLATED_ROUTE, VERBATIM_ROUTE, plan
from edge_gateway.providers import reachable
from edge_gateway.settings import load_config

PLAIN = frozenset({"model", "messages", "stream", "temperature"})
KEYS = {
    "OPENAI_API_KEY": "k-o",
    "ANTHROPIC_API_KEY": "k-a",
    "DEEPSEEK_API_KEY": "k-d",
    "EDGE_OLLAMA_URL": "http://127.0.0.1:9/v1",
}


def make(*ranking, fields=PLAIN, keys=KEYS):
    entries = load_config("").providers
    made = plan(ranking, reachable(entries, entries, keys), fields, 60)
    return made, json.loads(made.config)


def test_the_ranking_becomes_a_fallback_chain_in_its_order():
    made, config = make("openai/gpt-5.2", "deepseek/deepseek-v4-pro")
    assert config["strategy"]["mode"] == "fallback"
    assert {408, 429, 500, 502, 503, 504, 529} == set(config["strategy"]["on_status_codes"])
    assert [target["override_params"]["model"] for target in config["targets"]] == ["gpt-5.2", "deepseek-v4-pro"]
    assert [target["api_key"] for target in config["targets"]] == ["k-o", "k-d"]
    assert [target["request_timeout"] for target in config["targets"]] == [60_000, 60_000]
    assert made.route == VERBATIM_ROUTE
    assert config["targets"][1]["custom_host"] == "https://api.deepseek.com/v1"


def test_a_provider_with_a_form_of_its_own_is_translated_under_its_own_address():
    made, config = make("anthropic/claude-sonnet-5-5", "openai/gpt-5.2", "ollama/qwen")
    assert made.route == TRANSLATED_ROUTE
    assert [target["provider"] for target in config["targets"]] == ["anthropic", "openai", "openai"]
    assert [target.get("custom_host") for target in config["targets"]] == [None, None, KEYS["EDGE_OLLAMA_URL"]]


def test_a_mixed_chain_is_kept_whole_only_while_no_field_of_the_request_is_lost():
    made, _ = make("openai/gpt-5.2", "anthropic/claude-sonnet-5-5", "deepseek/deepseek-v4-pro")
    assert (made.route, len(made.models)) == (TRANSLATED_ROUTE, 3)
    made, _ = make(
        "openai/gpt-5.2", "anthropic/claude-sonnet-5-5", "deepseek/deepseek-v4-pro", fields=PLAIN | {"unheard_of"}
    )
    assert (made.route, made.models) == (VERBATIM_ROUTE, ("openai/gpt-5.2", "deepseek/deepseek-v4-pro"))


def test_models_of_unreachable_providers_are_left_out_and_the_chain_is_bounded():
    made, config = make("xai/grok-4.7", *(f"openai/m{number}" for number in range(20)))
    assert made.models[0] == "openai/m0"
    assert len(config["targets"]) == MAX_TARGETS
    with pytest.raises(LookupError):
        make("xai/grok-4.7")


@pytest.mark.parametrize(
    ("index", "model"), [("config.targets[1]", "openai/b"), ("", "openai/a"), ("targets[9]", "openai/a")]
)
def test_the_model_that_served_is_read_from_portkeys_index(index, model):
    made, _ = make("openai/a", "openai/b")
    assert made.served(index) == model


def test_the_longest_chain_fits_portkeys_header_limit():
    keys = {entry.key or entry.url: "x" * 200 for entry in load_config("").providers.values()}
    ranking = [f"{name}/{'m' * 80}" for name in load_config("").providers]
    made, _ = make(*ranking, keys=keys)
    assert len(made.config) < 12_000


def test_the_demo_models_stand_in_only_while_no_other_provider_is_reachable():
    entries = load_config("").providers
    demo = {"EDGE_DEMO_URL": "http://127.0.0.1:9/v1"}
    assert set(reachable(entries, entries, demo)) == {"demo"}
    assert set(reachable(entries, entries, {**demo, "XAI_API_KEY": "k"})) == {"xai"}


def test_a_provider_does_not_show_its_key_when_it_is_printed():
    entries = load_config("").providers
    assert "sentinel" not in repr(reachable(entries, entries, {"OPENAI_API_KEY": "sentinel"}))
