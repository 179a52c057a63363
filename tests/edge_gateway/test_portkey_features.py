"""What the operator configures of Portkey, through the real open-source gateway: deployments and guardrails."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import System, edge_beside
from tests.edge_gateway.test_completion import MESSAGES, ask
from tests.fakes import provider as fake

DEPLOYMENTS = """
deployments = [
    { key = "FIRST_KEY", weight = 3 },
    { key = "SECOND_KEY", weight = 1 },
    { key = "MISSING_KEY", weight = 50 },
]
"""
UNREACHED = """
[providers.several]
slug = "openai"
deployments = [{ key = "NO_KEY" }, { key = "NO_KEY_2" }]

[providers.vault]
slug = "openai"
virtual_key = "openai-team-1a2b"
"""
GUARDRAILS = """
[portkey]
input_guardrails = [
    { "default.contains" = { operator = "none", words = ["forbidden"] }, deny = true },
    { "default.contains" = { operator = "none", words = ["doubtful"] }, deny = false },
]
"""


@pytest.fixture(scope="module")
def deployed(running: System, portkey: int, edge_config: Path, tmp_path_factory) -> Iterator[System]:
    path = tmp_path_factory.mktemp("deployments") / "edge.toml"
    path.write_text(edge_config.read_text().replace("[providers.fake]\n", f"[providers.fake]{DEPLOYMENTS}"))
    with edge_beside(running, portkey, path, FIRST_KEY="k-first", SECOND_KEY="k-second") as edge:
        yield edge


@pytest.fixture(scope="module")
def unreached(running: System, portkey: int, edge_config: Path, tmp_path_factory) -> Iterator[System]:
    path = tmp_path_factory.mktemp("unreached") / "edge.toml"
    path.write_text(edge_config.read_text() + UNREACHED)
    with edge_beside(running, portkey, path) as edge:
        yield edge


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("several", "set NO_KEY or NO_KEY_2."),
        ("vault", "set PORTKEY_API_KEY."),
    ],
)
async def test_a_provider_that_is_not_reachable_is_named_with_what_it_lacks(http, unreached, missing, says):
    status, _, body = await ask(http, unreached, model=f"{missing}/model")
    assert status == 404
    assert json.loads(body)["error"]["message"].endswith(f"Provider {missing} is not reachable: {says}")


def keys_used(system: System) -> list[str]:
    headers = [{name.lower(): value for name, value in seen.headers.items()} for seen in system.provider.seen]
    return [one["authorization"].removeprefix("Bearer ") for one in headers]


async def test_requests_are_spread_over_a_models_deployments_by_weight(http, system, deployed):
    for _ in range(40):
        status, _, _ = await ask(http, deployed, model="fake/second")
        assert status == 200
    used = keys_used(deployed)
    assert set(used) == {"k-first", "k-second"}
    assert used.count("k-first") > used.count("k-second")


async def test_a_deployment_that_fails_is_followed_by_the_models_other_ones_before_another_model(
    http, system, deployed
):
    async def first_is_busy(request, body):
        if request.headers["authorization"] == "Bearer k-first":
            return await fake.refuse(429)(request, body)
        return await fake.answer(request, body)

    deployed.provider.script["first"] = first_is_busy
    for _ in range(8):
        status, headers, _ = await ask(http, deployed, stream=True)
        assert (status, headers["x-served-model"]) == (200, "fake/first")
    assert set(deployed.provider.models_tried()) == {"first"}
    assert "k-first" in keys_used(deployed)


@pytest.fixture(scope="module")
def guarded(running: System, portkey: int, edge_config: Path, tmp_path_factory) -> Iterator[System]:
    path = tmp_path_factory.mktemp("guardrails") / "edge.toml"
    path.write_text(edge_config.read_text() + GUARDRAILS)
    with edge_beside(running, portkey, path) as edge:
        yield edge


def asking(words: str) -> list[dict]:
    return [{"role": "user", "content": words}]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_a_guardrail_denies_is_asked_of_nobody_and_told_as_the_clients_to_change(
    http, system, guarded, stream
):
    status, _, body = await ask(http, guarded, messages=asking("forbidden fruit"), stream=stream)
    error = json.loads(body)["error"]
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "guardrail_denied")
    assert guarded.provider.seen == []


async def test_an_answer_to_which_a_guardrail_only_objects_is_served_and_says_so(http, system, guarded):
    status, headers, body = await ask(http, guarded, messages=asking("doubtful"))
    assert (status, headers["x-router-guardrail"]) == (200, "objected")
    assert json.loads(body)["choices"][0]["message"]["content"] == "hi"
    status, headers, _ = await ask(http, guarded, messages=MESSAGES)
    assert status == 200
    assert "x-router-guardrail" not in headers
