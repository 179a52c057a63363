"""A collector of traces over OTLP/HTTP, that keeps what it is sent, or does not answer, as a test says."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.fakes.threads import ServerThread
from tests.processes import wait_until

PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True)
class Exported:
    """One span as it was sent."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: bool
    start: int
    end: int
    said: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)
    schemas: tuple[str, str] = ("", "")


@dataclass
class Collector:
    """Answers POST /v1/traces: with `status`, or never while it is `frozen`; `raw` are the bodies that came."""

    status: int = 200
    frozen: bool = False
    spans: list[Exported] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = ServerThread(self._start)
        self.url = f"http://127.0.0.1:{self._thread.port}"

    def close(self) -> None:
        self._thread.close()

    def trace(self, trace_id: str, least: int) -> list[Exported]:
        """A trace's spans by their beginning, once there are so many of them."""
        wait_until(lambda: len(self._of(trace_id)) >= least, f"{least} spans of {trace_id}")
        return sorted(self._of(trace_id), key=lambda span: span.start)

    def _of(self, trace_id: str) -> list[Exported]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    async def _start(self) -> tuple[int, Callable[[], Awaitable[None]]]:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/traces", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner.addresses[0][1], runner.cleanup

    async def _take(self, request: web.Request) -> web.Response:
        # What is compressed has been unpacked by now.
        body = await request.read()
        self.headers.append(dict(request.headers))
        self.raw.append(body)
        if self.frozen:
            await asyncio.Event().wait()
        assert request.content_type == PROTOBUF
        if self.status == 200:
            self.spans += _exported(ExportTraceServiceRequest.FromString(body))
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), status=self.status, content_type=PROTOBUF
        )


def _exported(request: ExportTraceServiceRequest) -> list[Exported]:
    found = []
    for sent in request.resource_spans:
        resource = {pair.key: _value(pair.value) for pair in sent.resource.attributes}
        for scope in sent.scope_spans:
            schemas = (sent.schema_url, scope.schema_url)
            found += [_span(span, resource, schemas) for span in scope.spans]
    return found


def _span(span: trace_pb2.Span, resource: dict[str, Any], schemas: tuple[str, str]) -> Exported:
    return Exported(
        service=resource["service.name"],
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        said={pair.key: _value(pair.value) for pair in span.attributes},
        resource=resource,
        schemas=schemas,
    )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_value(entry) for entry in value.array_value.values] if kind == "array_value" else getattr(value, kind)
