"""Both services with tracing on, before a collector and a fake Not Diamond, and what tests look up in what they send."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import System, edge_beside, router_beside
from tests.fakes.collector import Collector, Exported
from tests.fakes.not_diamond import FakeNotDiamond, recommend
from tests.faults.asking import Answer, ask

EDGE, ROUTER = "edge_gateway", "router_service"
REQUEST, ASKED, CHAT = "POST /v1/chat/completions", "router.v1.RouterService/SelectModel", "chat fake/second"
RECOMMENDED = "POST /v2/modelRouter/modelSelect"
# Who did what, and within which of the others: of a request that Not Diamond is asked about, and of one that it is not.
OF_A_REQUEST = [
    (EDGE, "SERVER", REQUEST, "the client's"),
    (EDGE, "CLIENT", ASKED, REQUEST),
    (EDGE, "CLIENT", CHAT, REQUEST),
    (ROUTER, "SERVER", ASKED, ASKED),
]
WITH_NOT_DIAMOND = [*OF_A_REQUEST, (ROUTER, "CLIENT", RECOMMENDED, ASKED)]


def sending_to(collector: Collector) -> dict[str, str]:
    """What switches tracing on, and has spans sent soon."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}


@dataclass
class TracedHouse:
    """The running services and those who hear of their work."""

    system: System
    collector: Collector
    not_diamond: FakeNotDiamond
    portkey: int
    edge_config: Path
    router_config: Path
    router_settings: Mapping[str, str]

    async def trace(self, least: int, url: str = "", **body: object) -> tuple[Answer, list[Exported]]:
        """The answer to a request with a traceparent of its own, and the spans of its trace."""
        trace_id, parent = new_parent()
        answer = await ask(url or self.system.url, headers={"traceparent": parent}, **body)
        return answer, self.collector.trace(trace_id, least)

    @contextmanager
    def edge(self, **env: str) -> Iterator[System]:
        """An edge of a test's own, traced to the same collector unless `env` says otherwise."""
        usual = {**sending_to(self.collector), **env}
        with edge_beside(self.system, self.portkey, self.edge_config, **usual) as system:
            yield system

    @contextmanager
    def in_a_hurry(self) -> Iterator[System]:
        """A router that gives Not Diamond little time, and an edge before it, traced to the same collector."""
        brief = {**self.router_settings, "ROUTER_NOT_DIAMOND_BUDGET_SECONDS": "0.8"}
        with (
            router_beside(self.system, self.router_config, **brief) as routed,
            self.edge(EDGE_ROUTER=f"dns:///127.0.0.1:{routed.router_port}") as system,
        ):
            yield system


@contextmanager
def traced_house(running: System, portkey: int, edge_config: Path, router_config: Path) -> Iterator[TracedHouse]:
    collector, not_diamond = Collector(), FakeNotDiamond()
    not_diamond.answer = recommend("fake", "second")
    router = {"NOT_DIAMOND_API_KEY": "nd-key", "NOTDIAMOND_BASE_URL": not_diamond.url}
    cautious = {"ROUTER_NOT_DIAMOND_CACHE_SECONDS": "0", "ROUTER_NOT_DIAMOND_RATE": "1000"}
    settings = {**router, **cautious, **sending_to(collector)}
    try:
        with (
            router_beside(running, router_config, **settings) as routed,
            edge_beside(routed, portkey, edge_config, **sending_to(collector)) as system,
        ):
            yield TracedHouse(system, collector, not_diamond, portkey, edge_config, router_config, settings)
    finally:
        not_diamond.close()
        collector.close()


def new_parent(flags: str = "01") -> tuple[str, str]:
    """The id of a new trace, and the traceparent of a span in it."""
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def told(spans: Sequence[Exported]) -> list[tuple[str, str, str, str]]:
    """Who did what, and within which of the others, in an order of its own."""
    by_id = {span.span_id: span.name for span in spans}
    return sorted((span.service, span.kind, span.name, by_id.get(span.parent_id, "the client's")) for span in spans)


def one(spans: Sequence[Exported], name: str, service: str = EDGE) -> Exported:
    """The one span of this name."""
    (found,) = [span for span in spans if (span.name, span.service) == (name, service)]
    return found
