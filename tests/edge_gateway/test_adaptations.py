"""The rules by which a request is made to fit its model: each by name, each only where it is needed, each visible."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

from edge_gateway import chat_request
from edge_gateway.adaptations import RULES, Adaptation, Adaptations, Asked, Changes
from edge_gateway.errors import GatewayError
from edge_gateway.forms import COMPLETIONS
from edge_gateway.prompt_messages import repeats_user
from edge_gateway.settings import InvalidSetting, load_config
from protos.router.v1 import router_pb2 as pb
from tests.conftest import System, edge_beside, router_beside
from tests.fakes import anthropic
from tests.fakes import provider as fake
from tests.processes import wait_until
from tests.router_service.calls import call

USER = {"role": "user", "content": "hi"}
LONG = "rules " * 1000


def adapted_body(raw: bytes, adaptations: list[Adaptation], stable: int) -> tuple[bytes, list[dict]]:
    """The body for models that need these, and what each of them is sent beside it."""
    changes = Changes.of(adaptations)
    members = changes.members(raw)
    params = changes.given(members, adaptations)
    return changes.body(raw, members, stable), params


def fitted(rule: str, stable: int = 0, **body) -> dict:
    """What of a request one rule makes for a model that it is for."""
    raw = json.dumps({"model": "auto", "messages": [USER], **body}).encode()
    request = chat_request.parse(raw)
    asked = Asked("chat", request, stable, repeats_user(request.turns))
    needed = Adaptations({rule: ["x/*"]}).needed("x/model", asked, 4096)
    fitted, (params,) = adapted_body(raw, [needed], stable)
    if not needed.names:
        assert fitted is raw
    return {**json.loads(fitted), **params, "applied": needed.names}


def test_temperature_is_left_out_where_a_model_refuses_it():
    made = fitted("drop_temperature", temperature=0)
    assert "temperature" not in made
    assert made["applied"] == ("drop_temperature",)
    assert fitted("drop_temperature")["applied"] == ()


@pytest.mark.parametrize(
    ("rule", "sent", "wanted"),
    [
        ("use_max_completion_tokens", "max_tokens", "max_completion_tokens"),
        ("use_max_tokens", "max_completion_tokens", "max_tokens"),
    ],
)
def test_the_limit_is_sent_under_the_name_that_the_model_knows(rule, sent, wanted):
    made = fitted(rule, **{sent: 77})
    assert sent not in made
    assert (made[wanted], made["applied"]) == (77, (rule,))
    assert fitted(rule, **{wanted: 77})["applied"] == ()


def test_a_limit_is_added_only_where_there_is_none():
    assert fitted("add_max_tokens")["max_tokens"] == 4096
    assert fitted("add_max_tokens", max_completion_tokens=5)["applied"] == ()


def test_user_messages_that_follow_each_other_are_joined_and_no_others():
    messages = [
        {"role": "system", "content": "s"},
        USER,
        {"role": "user", "content": [{"type": "text", "text": "again"}]},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "one"},
        {"role": "user", "content": "two", "name": "x"},
    ]
    made = fitted("merge_user_messages", messages=messages)["messages"]
    assert [message["role"] for message in made] == ["system", "user", "assistant", "user"]
    assert made[1]["content"] == [{"type": "text", "text": "hi"}, {"type": "text", "text": "again"}]
    assert made[3]["content"] == "one\n\ntwo"
    assert fitted("merge_user_messages")["applied"] == ()


def test_markers_stand_at_the_end_of_the_rules_and_of_what_is_stable():
    messages = [{"role": "system", "content": LONG}, USER, {"role": "assistant", "content": "a"}, USER]
    made = fitted("add_cache_markers", stable=3, messages=messages)["messages"]
    mark = {"cache_control": {"type": "ephemeral"}}
    assert made[0]["content"] == [{"type": "text", "text": LONG, **mark}]
    assert made[2]["content"] == [{"type": "text", "text": "a", **mark}]
    assert made[1] == made[3] == USER
    assert fitted("add_cache_markers", messages=messages)["applied"] == ()


def test_markers_that_the_client_has_set_are_left_alone():
    own = [
        {"role": "system", "content": [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]},
        USER,
    ]
    assert fitted("add_cache_markers", stable=1, messages=own)["messages"] == own


def test_a_field_that_one_target_refuses_is_given_to_the_others_and_all_else_keeps_its_bytes():
    message = b'{"role":"user","content":"gr\\u00fc\xc3\x9f"}'
    raw = b'{"model":"auto","messages":[' + message + b'],"temperature":0.50,"seed":18446744073709551615}'
    asked = Asked("chat", chat_request.parse(raw))
    rules = Adaptations({"drop_temperature": ["x/*"]})
    both = [rules.needed(model, asked, None) for model in ("x/a", "y/b")]
    body, params = adapted_body(raw, both, 0)
    assert params == [{}, {"temperature": 0.5}]
    assert body == b'{"model":"auto","messages":[' + message + b'],"seed":18446744073709551615}'


@pytest.mark.parametrize("rule", ["add_cache_markers", "merge_user_messages"])
def test_a_message_that_holds_what_python_cannot_is_left_as_it_is(rule):
    message = b'{"role":"user","content":"hi","odd":1e999}'
    raw = b'{"model":"auto","messages":[' + message + b"," + message + b"]}"
    asked = Asked("chat", chat_request.parse(raw), stable=1, merges=True)
    needed = Adaptations({rule: ["x/*"]}).needed("x/model", asked, None)
    body, _ = adapted_body(raw, [needed], stable=1)
    assert needed.names == (rule,)
    assert body == raw


def test_a_field_that_holds_what_python_cannot_is_left_out_or_refused_by_name():
    raw = b'{"model":"auto","prompt":"hi","temperature":1e999}'
    asked = Asked("completions", COMPLETIONS.parse(raw))
    rules = Adaptations({"drop_temperature": ["x/*"]})
    needed = [rules.needed(model, asked, None) for model in ("x/a", "y/b")]
    assert adapted_body(raw, needed[:1], 0) == (b'{"model":"auto","prompt":"hi"}', [{}])
    with pytest.raises(GatewayError) as refusal:
        adapted_body(raw, needed, 0)
    assert (refusal.value.status, refusal.value.param) == (400, "temperature")


def test_every_rule_is_configured_and_can_be_switched_off():
    assert set(load_config("").adaptations) == set(RULES)
    assert fitted("none of them", temperature=0, max_tokens=5)["applied"] == ()


def test_a_rule_that_does_not_exist_is_named(tmp_path: Path):
    path = tmp_path / "edge.toml"
    path.write_text('[adaptations]\ndrop_everything = ["*"]\n')
    with pytest.raises(InvalidSetting, match="there is no rule drop_everything; the rules are drop_temperature"):
        load_config(str(path))


MODELS = """
[profiles.claude]
candidates = ["anthropic/claude-sonnet-5-5", "fake/second"]
cost_quality_tradeoff = 0

[profiles.strict]
candidates = ["fake/first", "fake/second"]
cost_quality_tradeoff = 0
"""
RULES_OF_FAKES = """
[providers.anthropic]
base_url = "{provider}"

[adaptations]
drop_temperature = ["fake/first", "anthropic/*"]
"""


@pytest.fixture(scope="module")
def fitting(running: System, portkey: int, edge_config, router_config, tmp_path_factory) -> Iterator[tuple[str, int]]:
    folder = tmp_path_factory.mktemp("adaptations")
    (folder / "router.toml").write_text(MODELS)
    config = edge_config.read_text() + RULES_OF_FAKES.format(provider=running.provider.url)
    (folder / "edge.toml").write_text(config)
    with (
        router_beside(running, router_config, folder / "router.toml") as routed,
        edge_beside(routed, portkey, folder / "edge.toml", ANTHROPIC_API_KEY="k-anthropic") as adapting,
    ):
        yield f"{adapting.url}/v1/chat/completions", adapting.router_port


async def test_each_provider_gets_what_it_takes_and_explain_decision_says_what_was_changed(http, system, fitting):
    url, router_port = fitting
    system.provider.script["first"] = fake.refuse(503)
    body = {"model": "strict", "messages": [USER], "temperature": 0, "unheard_of": {"a": 1}}
    async with http.post(url, json=body) as answer:
        assert answer.status == 200
        assert "x-router-adaptations" not in answer.headers
    first, second = system.provider.seen
    assert first.body == {"model": "first", "messages": [USER], "unheard_of": {"a": 1}}
    assert second.body == {"model": "second", "messages": [USER], "unheard_of": {"a": 1}, "temperature": 0}
    system.provider.reset()
    async with http.post(url, json=body) as answer:
        assert answer.headers["x-router-adaptations"] == "drop_temperature"
        decision = answer.headers["x-router-decision-id"]

    def told() -> list:
        explained = call(router_port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision))
        return [MessageToDict(outcome).get("adaptations") for outcome in explained.outcomes]

    wait_until(lambda: bool(told()), "the report")
    assert told() == [["drop_temperature"]]


async def test_markers_reach_anthropic_and_no_other_provider(http, system, fitting):
    url, _ = fitting
    talk = [{"role": "system", "content": LONG}, USER, {"role": "assistant", "content": "hello"}, USER]
    system.provider.script["claude-sonnet-5-5"] = anthropic.refuse(529)
    body = {"model": "claude", "messages": talk, "temperature": 0}
    async with http.post(url, json=body) as answer:
        assert answer.status == 200
        assert answer.headers["x-served-model"] == "fake/second"
    claude, second = system.provider.seen
    assert claude.body["system"] == [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    assert claude.body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert "temperature" not in claude.body
    assert claude.body["max_tokens"] > 1000
    assert second.body == {"model": "second", "messages": talk, "temperature": 0}
