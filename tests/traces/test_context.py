"""Which trace a request belongs to is what its caller says, in W3C words; what goes on is that alone."""

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.faults.asking import ask
from tests.processes import NEVER, log_line
from tests.traces.house import ASKED, CHAT, RECOMMENDED, REQUEST, ROUTER, TracedHouse, new_parent, one

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NO_PARENTS = [
    "",
    "evil.test",
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"ff-{TRACE}-{SPAN}-01",
    f"00-{TRACE.upper()}-{SPAN}-01",
    f"00-{TRACE}-{SPAN}",
    f"00-{TRACE}-{SPAN}-01-more",
    f"00-{TRACE}-{SPAN}-01-" + "x" * 4000,
    f"00-{TRACE[1:]}-{SPAN}-01",
    "00-ünïcode",
]


@pytest.mark.parametrize("parent", NO_PARENTS)
async def test_a_traceparent_that_is_none_begins_a_new_trace(house, parent):
    answer = await ask(house.system.url, headers={"traceparent": parent})
    assert answer.status == 200
    spans = house.collector.trace(trace_of(house, answer.headers["x-router-decision-id"]), 5)
    assert spans[0].trace_id != TRACE
    assert one(spans, REQUEST).parent_id == ""


@pytest.mark.parametrize("parent", NO_PARENTS)
def test_nor_is_it_one_to_the_router(house, parent):
    metadata = (("traceparent", parent),) if parent.isascii() else ()
    decision = selected(house, metadata, trace_context={"traceparent": parent})
    (span,) = house.collector.trace(decided_in(house, decision), 1)
    assert span.trace_id != TRACE
    assert span.parent_id == ""


@pytest.mark.parametrize("flags", ["01", "03"])
async def test_a_clients_trace_goes_on_with_its_flags(house, flags):
    trace_id, parent = new_parent(flags)
    await ask(house.system.url, headers={"traceparent": parent})
    spans = house.collector.trace(trace_id, 5)
    assert one(spans, REQUEST).parent_id == parent.split("-")[2]


@pytest.mark.parametrize("flags", ["00", "02"])
async def test_of_a_trace_that_is_not_sampled_nothing_is_sent_and_the_log_still_names_it(house, flags):
    trace_id, parent = new_parent(flags)
    answer = await ask(house.system.url, headers={"traceparent": parent})
    assert trace_of(house, answer.headers["x-router-decision-id"]) == trace_id
    assert decided_in(house, answer.headers["x-router-decision-id"]) == trace_id
    # What came later has been sent by now.
    await house.trace(5)
    assert not [span for span in house.collector.spans if span.trace_id == trace_id]


async def test_portkey_and_not_diamond_hear_of_the_trace_and_of_nothing_else(house):
    baggage = {"baggage": "secret=1", "tracestate": "vendor=secret"}
    # In the place of Portkey, which keeps its headers to itself.
    with house.edge(PORTKEY_BASE_URL=house.system.provider.url) as system:
        trace_id, parent = new_parent()
        answer = await ask(system.url, headers={"traceparent": parent, **baggage})
        spans = house.collector.trace(trace_id, 5)
    sent = {name.lower(): value for name, value in house.system.provider.seen[-1].headers.items()}
    asked = next(head for _, head, _ in house.not_diamond.seen if trace_id in head.get("traceparent", ""))
    for headers, span in ((sent, one(spans, CHAT)), (asked, one(spans, RECOMMENDED, ROUTER))):
        assert headers["traceparent"].split("-")[1:3] == [trace_id, span.span_id]
        assert "secret" not in str(headers)
        assert not {"baggage", "tracestate"} & headers.keys()
    # Portkey's own word for it stays the decision's: its cache and its feedback go by that.
    assert sent["x-portkey-trace-id"] == answer.headers["x-router-decision-id"]


def test_another_service_names_its_trace_in_the_calls_metadata(house):
    trace_id, parent = new_parent()
    selected(house, (("traceparent", parent),))
    (span,) = house.collector.trace(trace_id, 1)
    assert (span.service, span.kind, span.name) == (ROUTER, "SERVER", ASKED)
    assert span.parent_id == parent.split("-")[2]


def test_each_request_of_a_batch_belongs_to_its_own_trace_and_the_rest_to_the_calls(house):
    own = [new_parent() for _ in range(20)]
    calls_id, calls_parent = new_parent()
    requests = [
        pb.SelectModelRequest(profile="auto-weak", trace_context=pb.TraceContext(traceparent=parent))
        for _, parent in own
    ]
    requests.append(pb.SelectModelRequest(profile="auto-weak"))
    batch = pb.SelectModelStreamRequest(requests=requests)
    decisions = {}
    with grpc.insecure_channel(f"127.0.0.1:{house.system.router_port}") as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)
        for answer in stub.SelectModelStream(batch, metadata=(("traceparent", calls_parent),), timeout=NEVER):
            decisions |= {result.position: result.decision.decision_id for result in answer.results}
    for position, (trace_id, parent) in enumerate([*own, (calls_id, calls_parent)]):
        (span,) = house.collector.trace(trace_id, 1)
        assert span.parent_id == parent.split("-")[2]
        assert span.said["router.decision.id"] == decisions[position]


def selected(house: TracedHouse, metadata: tuple[tuple[str, str], ...], **fields: object) -> str:
    """A decision of the router's, asked for as another service would."""
    request = ParseDict({"profile": "auto-weak", **fields}, pb.SelectModelRequest())
    with grpc.insecure_channel(f"127.0.0.1:{house.system.router_port}") as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)
        return stub.SelectModel(request, metadata=metadata, timeout=NEVER).decision_id


def trace_of(house: TracedHouse, decision: str) -> str:
    """The trace that the edge's log names."""
    line = log_line(house.system.edge, "completion", decision_id=decision)
    return line["trace_id"]


def decided_in(house: TracedHouse, decision: str) -> str:
    """The trace that the router's log names."""
    line = log_line(house.system.router, "decided", decision_id=decision)
    return line["trace_id"]
