"""Dashboards and alerts rest on the names of what spans say: they change on purpose alone, here and in one module a service."""

import ast
from types import ModuleType

import pytest
from opentelemetry.semconv import schemas
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, rpc_attributes
from opentelemetry.semconv._incubating.attributes import url_attributes as url_in_the_making
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes, url_attributes

from edge_gateway.tracing import names as edge_names
from router_service.tracing import names as router_names
from tests.processes import ROOT

RPC = {"rpc.system", "rpc.service", "rpc.method", "rpc.grpc.status_code"}
SERVER = {"server.address", "server.port", "error.type"}
HTTP = {"http.request.method", "http.response.status_code"}
EDGE = {
    *RPC, *SERVER, *HTTP, "http.route", "url.path", "url.scheme",
    "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.conversation.id", "gen_ai.request.model", "gen_ai.request.stream",
    "gen_ai.response.model", "gen_ai.response.finish_reasons", "gen_ai.response.time_to_first_chunk",
    "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.input.messages", "gen_ai.output.messages",
    "router.decision.source", "router.decision.reason", "router.decision.id", "router.decision.lease", "router.purpose",
    "router.previous_outcome", "edge.requested_model", "edge.fallback_index", "edge.request_id", "edge.outcome",
    "edge.answered_again", "edge.tokens_estimated",
}  # fmt: skip
ROUTER = {
    *RPC, *SERVER, *HTTP, "url.template",
    "router.decision.source", "router.decision.reason", "router.decision.id", "router.decision.lease",
    "router.decision.model", "router.profile", "router.purpose", "router.previous_outcome", "router.not_diamond.problem",
}  # fmt: skip
CONVENTIONS = [
    gen_ai_attributes, rpc_attributes, url_in_the_making, error_attributes, http_attributes, server_attributes, url_attributes,
]  # fmt: skip
SERVICES = [(edge_names, EDGE, "edge_gateway"), (router_names, ROUTER, "router_service")]


def names_in(module: ModuleType) -> set[str]:
    return {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)} - {
        module.SCHEMA
    }


@pytest.mark.parametrize(("module", "golden", "service"), SERVICES)
def test_the_names_are_these(module, golden, service):
    assert names_in(module) == golden


@pytest.mark.parametrize(("module", "golden", "service"), SERVICES)
def test_those_that_are_not_ours_are_of_the_conventions_that_are_named(module, golden, service):
    assert schemas.Schemas.V1_44_0.value == module.SCHEMA
    theirs = {value for conventions in CONVENTIONS for value in vars(conventions).values() if isinstance(value, str)}
    assert {name for name in golden if not name.startswith(("router.", "edge."))} <= theirs


@pytest.mark.parametrize(("module", "golden", "service"), SERVICES)
def test_no_other_module_spells_one_of_them(module, golden, service):
    own = f"{module.__name__.replace('.', '/')}.py"
    spelt = []
    for path in (ROOT / service).rglob("*.py"):
        tree = ast.parse(path.read_text())
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        if str(path.relative_to(ROOT)) != own:
            spelt += [(str(path), text) for text in texts & golden]
    assert spelt == []


async def test_spans_say_nothing_under_other_names(house):
    _, spans = await house.trace(5, stream=True)
    for span in spans:
        assert span.said.keys() <= (EDGE if span.service == "edge_gateway" else ROUTER)
