"""Traces by OpenTelemetry's SDK, sent over OTLP in a thread of their own; imported only where tracing is switched on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace import Tracer as OtelTracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from edge_gateway import telemetry
from edge_gateway.tracing.names import ERROR_TYPE, SCHEMA
from edge_gateway.tracing.span import Attributes, Span, TraceContext, Value

SERVICE = "edge_gateway"
# Seconds for what is still to be sent when the process ends.
LAST_WORDS = 2.0
# Seconds for which the exporter's thread may keep the interpreter while a request wants it.
SHORT_TURN = 0.001
# Seconds between two log lines about what could not be sent.
QUIET = 10.0
# Of a context that somebody sends; what is longer is none.
LONGEST_PARENT, LONGEST_STATE = 200, 512
_PROPAGATOR = TraceContextTextMapPropagator()


class OtlpTracer:
    """One exporter and its queue, both set up by the standard OTEL_ variables."""

    traces = True

    def __init__(self, *, contents: bool) -> None:
        """`contents`: whether prompts and replies may be said."""
        sys.setswitchinterval(min(sys.getswitchinterval(), SHORT_TURN))
        _tell_problems()
        _drop_blanks()
        self._contents = contents
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(SERVICE, schema_url=SCHEMA)

    def begin(self, name: str, context: TraceContext, said: Attributes) -> Span:
        """Work that somebody asks for from outside."""
        span = self._tracer.start_span(name, _context(context), SpanKind.SERVER, _plain(said))
        return OtlpSpan(self._tracer, span, contents=self._contents)

    async def close(self) -> None:
        """Send what is still to be sent; a collector that is slow or gone keeps nobody for long."""
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):
                # Nobody waits any more.
                loop.call_soon_threadsafe(sent.set)

        # Not the loop's own threads: these are waited for, however long they take.
        threading.Thread(target=send, daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sent.wait(), LAST_WORDS)


class OtlpSpan:
    """One span."""

    __slots__ = ("_span", "_tracer", "contents")
    traced = True

    def __init__(self, tracer: OtelTracer, span: OtelSpan, *, contents: bool) -> None:
        self._tracer = tracer
        self._span = span
        self.contents = contents

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def context(self) -> TraceContext:
        """This span, as the parent of what is done elsewhere."""
        told = self._span.get_span_context()
        parent = f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}"
        return TraceContext(parent, told.trace_state.to_header() if told.trace_state else "")

    def child(self, name: str, said: Attributes, *, calls: bool) -> Span:
        """A part of this work that begins now."""
        parent = set_span_in_context(self._span, Context())
        kind = SpanKind.CLIENT if calls else SpanKind.INTERNAL
        span = self._tracer.start_span(name, parent, kind, _plain(said))
        return OtlpSpan(self._tracer, span, contents=self.contents)

    def say(self, said: Attributes) -> None:
        """Add what is known by now."""
        if self._span.is_recording():
            self._span.set_attributes(_plain(said))

    def fail(self, error_type: str) -> None:
        """It has failed, of this kind."""
        if self._span.is_recording():
            self._span.set_attribute(ERROR_TYPE, error_type)
            self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """It is done."""
        if self._span.is_recording():
            self._span.end()


class _Problems(logging.Handler):
    """What OpenTelemetry complains of, as lines of ours: seldom, and without what may hold an address or a key."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._told < QUIET:
            return
        self._told = now
        telemetry.problem("tracing_problem", problem=_words(record))


def _words(record: logging.LogRecord) -> str:
    values = record.args if isinstance(record.args, tuple) else ()
    known = tuple(value if isinstance(value, int | float) else _word(value) for value in values)
    try:
        return str(record.msg) % known
    except (TypeError, ValueError):
        return str(record.msg)


def _word(value: object) -> str:
    """A word as it is, an error by its kind, and of all else nothing."""
    if isinstance(value, str) and value.replace(" ", "").replace("_", "").isalnum():
        return value[:40]
    return type(value).__name__


def _tell_problems() -> None:
    log = logging.getLogger("opentelemetry")
    log.handlers = [_Problems()]
    log.propagate = False


def _drop_blanks() -> None:
    """By OpenTelemetry's rules a blank variable is one that is not set; its SDK takes some for values."""
    for name in [name for name, value in os.environ.items() if name.startswith("OTEL_") and not value.strip()]:
        del os.environ[name]


def _resource() -> Resource:
    """What the variables say of this service, and its name where they give none."""
    told = Resource.create(schema_url=SCHEMA)
    if str(told.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        told = told.merge(Resource({SERVICE_NAME: SERVICE}, SCHEMA))
    return told


def _context(told: TraceContext) -> Context:
    """The span that somebody names as the parent; none where it cannot be read."""
    carrier: dict[str, list[str]] = {}
    if 0 < len(told.traceparent) <= LONGEST_PARENT:
        carrier["traceparent"] = [told.traceparent]
        if 0 < len(told.tracestate) <= LONGEST_STATE:
            carrier["tracestate"] = [told.tracestate]
    return _PROPAGATOR.extract(carrier, Context())


def _plain(said: Attributes) -> dict[str, Value]:
    """What can be sent as it is: one value that cannot would take all of its batch with it."""
    return {name: _sendable(value) if isinstance(value, str) else value for name, value in said.items()}


def _sendable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
