"""Models whose provider is a slug such as `@openai-prod`: routed like any other, and Not Diamond hears nothing of them."""

import tomllib
import uuid
from collections.abc import Iterator

import grpc
import pytest

from protos.router.v1 import router_pb2 as pb
from router_service.catalog import Catalog, parse
from router_service.errors import InvalidConfiguration
from tests.fakes import not_diamond as fake
from tests.processes import free_port, start_router
from tests.router_service.calls import call, select
from tests.router_service.test_select_model import details

ENTRY = """
[[models]]
id = "{name}"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = 1
output_usd_per_mtok = 2
source = "made up"
checked = "2026-11-23"
prior = "gpt-4.1"
prior_kind = "inherited"
"""
SLUGS = ["@openai-prod/gpt-5", "@openai-prod/openai/gpt-5-mini", "@azure/gpt-5"]
KNOWN = ["x/one", "x/two"]
CONFIG = (
    "".join(ENTRY.format(name=name) for name in [*SLUGS, *KNOWN])
    + """
[tenants.acme]
allow = ["@azure/*"]

[profiles.mine]
candidates = ["@openai-prod/*", "x/*"]
cost_quality_tradeoff = 5

[profiles.slugs]
candidates = ["@*"]
cost_quality_tradeoff = 5
"""
)


@pytest.fixture(scope="module")
def hosted() -> Iterator[fake.FakeNotDiamond]:
    server = fake.FakeNotDiamond()
    yield server
    server.close()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, hosted: fake.FakeNotDiamond) -> Iterator[int]:
    path = tmp_path_factory.mktemp("slugs") / "router.toml"
    path.write_text(CONFIG)
    number = free_port()
    process = start_router(
        number,
        ROUTER_CONFIG=str(path),
        NOT_DIAMOND_API_KEY="sk-sentinel-nd",
        NOTDIAMOND_BASE_URL=hosted.url,
        ROUTER_NOT_DIAMOND_RATE="1000",
    )
    yield number
    process.stop()


def catalogue_of(name: str) -> Catalog:
    (entry,) = tomllib.loads(ENTRY.format(name=name))["models"]
    return parse({"schema": 1, "models": [{**entry, "prior": ""}], "profiles": {}, "expected_output_tokens": {}})


def models_of(decision: pb.SelectModelResponse) -> set[str]:
    return {entry.model for entry in decision.ranking}


def asking(profile: str) -> dict[str, object]:
    """A question to Not Diamond that has not been asked before."""
    messages = [{"role": "user", "text": f"fix bug {uuid.uuid4()}"}]
    return {"profile": profile, "messages": messages, "purpose": "PURPOSE_CODE"}


def test_globs_find_slugs_and_a_glob_without_the_at_sign_does_not(port):
    profiles = {entry.name: entry for entry in call(port, "ListProfiles", pb.ListProfilesRequest()).profiles}
    assert list(profiles["mine"].candidates) == [*SLUGS[:2], *KNOWN]
    assert list(profiles["slugs"].candidates) == SLUGS


def test_a_slugs_provider_is_the_part_before_the_first_slash_with_its_at_sign(port):
    decision = select(port, profile="mine", availableProviders=["@openai-prod"])
    assert models_of(decision) == set(SLUGS[:2])
    assert models_of(select(port, profile="mine", unhealthyProviders=["@openai-prod"])) == set(KNOWN)
    with pytest.raises(grpc.RpcError) as caught:
        select(port, profile="slugs", availableProviders=["openai-prod", "azure"])
    assert "the caller cannot reach @openai-prod" in caught.value.details()


def test_a_tenants_lists_bar_slugs_by_glob(port):
    assert models_of(select(port, profile="slugs", tenant="acme")) == {"@azure/gpt-5"}


@pytest.mark.parametrize("name", ["@azure/gpt-5", "@of-tomorrow/any.model:free"])
def test_a_slug_asked_for_by_name_is_served_as_asked(port, name):
    decision = select(port, model=name)
    assert (decision.model, decision.source) == (name, pb.DECISION_SOURCE_REQUESTED)


def test_a_reply_of_a_slug_is_priced_by_its_entry(port):
    decision = select(port, candidates={"models": ["@azure/gpt-5"]})
    report = pb.ReportOutcomeRequest(
        decision_id=decision.decision_id,
        served_model="@azure/gpt-5",
        outcome=pb.OUTCOME_COMPLETED,
        input_tokens=1_000_000,
        output_tokens=1_000_000,
    )
    assert call(port, "ReportOutcome", report).cost_usd == pytest.approx(3.0)


@pytest.mark.parametrize("name", ["@/gpt-5", "@@azure/gpt-5", "azure@prod/gpt-5", "@azure", "@azure/", "@ azure/gpt-5"])
def test_what_only_looks_like_a_slug_is_refused(port, name):
    for field, fields in (("model", {"model": name}), ("candidates.models", {"candidates": {"models": [name]}})):
        with pytest.raises(grpc.RpcError) as caught:
            select(port, **fields)
        assert [entry.field for entry in details(caught.value)["BadRequest"].field_violations] == [field]
    with pytest.raises(InvalidConfiguration, match=r"\.id: String should match"):
        catalogue_of(name)


def test_an_entry_of_the_catalogue_may_be_a_slug():
    (model,) = catalogue_of("@openai-prod/gpt-5").models
    assert model.provider == "@openai-prod"


def test_not_diamond_is_offered_the_other_candidates_and_a_slug_never_by_guess(port, hosted):
    hosted.answer = fake.recommend("x", "two")
    before = len(hosted.seen)
    decision = select(port, **asking("mine"))
    assert (decision.model, decision.source) == ("x/two", pb.DECISION_SOURCE_NOT_DIAMOND)
    assert models_of(decision) == {*SLUGS[:2], *KNOWN}
    ((_, _, body),) = hosted.seen[before:]
    assert {f"{entry['provider']}/{entry['model']}" for entry in body["llm_providers"]} == set(KNOWN)
    trace = call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id)).not_diamond
    assert list(trace.not_offered) == SLUGS[:2]


def test_where_all_are_slugs_not_diamond_is_not_asked_and_the_reason_says_why(port, hosted):
    before = len(hosted.seen)
    decision = select(port, **asking("slugs"))
    assert decision.source == pb.DECISION_SOURCE_LOCAL
    assert "it knows fewer than two of the candidates" in decision.reason
    assert len(hosted.seen) == before
