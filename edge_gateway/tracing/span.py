"""What the edge says of a request to whoever traces it: spans behind a small port, and nothing at all unless switched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

Value: TypeAlias = str | bool | int | float | Sequence[str]
Attributes: TypeAlias = Mapping[str, Value]


class TraceContext(NamedTuple):
    """Where in a trace something belongs, in the W3C's words; empty where nobody says."""

    traceparent: str = ""
    tracestate: str = ""


class Span(Protocol):
    """A piece of work within a trace.

    `traced`: whether there is a trace at all; whoever has something to say looks first, as saying it costs something.
    `contents`: whether prompts and replies may be said. `trace_id`: 32 hexadecimal digits, empty without a trace.
    """

    @property
    def traced(self) -> bool:
        """See above."""

    @property
    def contents(self) -> bool:
        """See above."""

    @property
    def trace_id(self) -> str:
        """See above."""

    def context(self) -> TraceContext:
        """What to tell whoever works on it elsewhere."""

    def child(self, name: str, said: Attributes, *, calls: bool) -> Span:
        """A part of this work that begins now; `calls`: another process does it."""

    def say(self, said: Attributes) -> None:
        """Add what is known by now."""

    def fail(self, error_type: str) -> None:
        """It has failed, of this kind."""

    def end(self) -> None:
        """It is done; the first word counts."""


class Tracer(Protocol):
    """Begins traces, or goes on with others'."""

    @property
    def traces(self) -> bool:
        """Whether it does anything."""

    def begin(self, name: str, context: TraceContext, said: Attributes) -> Span:
        """Work that somebody asks for from outside; a trace of its own where the context is none."""

    async def close(self) -> None:
        """Send what is still to be sent, for a moment at most."""


class _NotTraced:
    """A span of no trace."""

    traced = contents = False
    trace_id = ""

    def context(self) -> TraceContext:
        return TraceContext()

    def child(self, name: str, said: Attributes, *, calls: bool) -> Span:
        return self

    def say(self, said: Attributes) -> None:
        pass

    def fail(self, error_type: str) -> None:
        pass

    def end(self) -> None:
        pass


class _NoTracer:
    """A tracer that is switched off."""

    traces = False

    def begin(self, name: str, context: TraceContext, said: Attributes) -> Span:
        return NOT_TRACED

    async def close(self) -> None:
        pass


NOT_TRACED: Span = _NotTraced()
NO_TRACER: Tracer = _NoTracer()
