"""The client has all of the contract: every call, every word, every field, in both of its forms."""

import ast
import dataclasses
import inspect
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor

import router_client
from protos.router.v1 import router_pb2 as pb
from router_client import AsyncRouter, Router
from tests.processes import ROOT

PACKAGES = sysconfig.get_path("purelib")
METHODS = {
    "SelectModel": "select",
    "SelectModels": "select_many",
    "SelectModelStream": "select_stream",
    "ReportOutcome": "report",
    "ReportOutcomes": "report_many",
    "ListModels": "models",
    "ListProfiles": "profiles",
    "ExplainDecision": "explain",
    "ListDecisions": "list_decisions",
    "WatchDecisions": "watch",
    "GetSavings": "savings",
    "GetSpending": "spending",
    "GetServerInfo": "server_info",
}
VALUES = {
    "SelectModelRequest": router_client.Question,
    "SelectModelResponse": router_client.Decision,
    "ReportOutcomeRequest": router_client.Report,
    "ReportOutcomeResponse": router_client.Receipt,
    "ExplainDecisionResponse": router_client.Explanation,
    "GetSavingsResponse": router_client.Savings,
    "GetServerInfoResponse": router_client.ServerInfo,
    **{
        name: getattr(router_client, name)
        for name in (
            "Message", "Requirements", "PreviousReply", "TraceContext", "RankedModel", "LeasedDecision", "Model", "Profile",
            "RemovedCandidate", "NotDiamondTrace", "PinTrace", "ShadowTrace", "LearningTrace", "DecisionSummary", "SavingsRow",
            "Spending", "FieldViolation",
        )
    },
}  # fmt: skip
# What has no value of its own: requests that are a method's arguments, and wrappings that are a tuple or a RouterError here.
ARGUMENTS = {
    "SelectModelsRequest", "SelectModelStreamRequest", "ReportOutcomesRequest", "ListModelsRequest", "ListProfilesRequest",
    "ExplainDecisionRequest", "ListDecisionsRequest", "WatchDecisionsRequest", "GetSavingsRequest", "GetSpendingRequest",
    "GetServerInfoRequest",
}  # fmt: skip
WRAPPINGS = {
    "CandidateList", "SelectModelsResponse", "SelectModelsResult", "SelectModelStreamResponse", "SelectModelStreamResult",
    "Refusal", "ReportOutcomesResponse", "ReportOutcomesResult", "ListModelsResponse", "ListProfilesResponse",
    "ListDecisionsResponse", "WatchDecisionsResponse", "GetSpendingResponse",
}  # fmt: skip


def fields_of(value: type) -> list[str]:
    return [field.name for field in dataclasses.fields(value)]


def test_every_call_has_a_method():
    assert {method.name for method in pb.DESCRIPTOR.services_by_name["RouterService"].methods} == set(METHODS)
    assert all(callable(getattr(Router, name)) for name in METHODS.values())


def public(client: type) -> dict[str, list[tuple[str, object]]]:
    members = inspect.getmembers(client, inspect.isfunction)
    return {
        name: [(parameter.name, parameter.default) for parameter in inspect.signature(member).parameters.values()]
        for name, member in members
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_methods_with_the_same_arguments():
    assert public(Router) == public(AsyncRouter)


@pytest.mark.parametrize("name", sorted(pb.DESCRIPTOR.message_types_by_name))
def test_every_field_of_a_message_has_its_place(name: str):
    message: Descriptor = pb.DESCRIPTOR.message_types_by_name[name]
    if name in ARGUMENTS | WRAPPINGS:
        return
    assert sorted(fields_of(VALUES[name])) == sorted(field.name for field in message.fields)


@pytest.mark.parametrize("name", ["Purpose", "Outcome", "DecisionSource"])
def test_every_word_of_the_contract_is_known(name: str):
    prefix = {"Purpose": "PURPOSE_", "Outcome": "OUTCOME_", "DecisionSource": "DECISION_SOURCE_"}[name]
    words = {value.name.removeprefix(prefix) for value in pb.DESCRIPTOR.enum_types_by_name[name].values}
    assert words == {word.name for word in getattr(router_client, name)}


def test_no_protobuf_type_is_in_what_the_client_shows():
    for name in router_client.__all__:
        shown = getattr(router_client, name)
        for hint in getattr(shown, "__annotations__", {}).values():
            assert "pb." not in str(hint)
            assert "pb2" not in str(hint)


def test_the_client_loads_nothing_but_grpc_and_protobuf():
    ask = "import sys, router_client; print({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    words = [sys.executable, "-S", "-c", f"import sys; sys.path.append({PACKAGES!r}); {ask}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    loaded = {name for name in ast.literal_eval(done.stdout) if not name.startswith("_")}
    # grpc loads its other packages where they are installed.
    of_grpc = {"grpc_health", "grpc_reflection", "grpc_tools", "cython_runtime", "typing_extensions"}
    assert loaded - of_grpc <= {"grpc", "google", "protos", "router_client"}


def test_the_wheel_tells_others_that_it_is_typed():
    assert (Path(ROOT) / "router_client" / "py.typed").exists()
