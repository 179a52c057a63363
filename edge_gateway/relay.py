"""Relays an answer's bytes as they came, and tells the truth about its end: what broke off is never passed off as whole."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from edge_gateway import errors
from edge_gateway.call import header_value
from edge_gateway.event_stream import EventTooLarge, Said, StreamObserver, Usage, read_plain
from edge_gateway.portkey import BrokenOff, Stalled, Upstream

EVENT_STREAM, JSON = "text/event-stream", "application/json"
# What of a provider's headers goes on: its own account of time and limits.
PASSED_HEADERS = ("openai-processing-ms", "openai-version", "retry-after")
PASSED_PREFIX = "x-ratelimit-"


class Listener(Protocol):
    """Who is told of an answer on its way."""

    def heard(self, said: Said) -> None:
        """The reply is whole, and its last bytes are about to go out."""

    def finished(self, outcome: str, usage: Usage, first_byte: float, said: Said) -> None:
        """The answer has ended; called once. `first_byte`: when it came (time.monotonic()), 0 if none did."""


def passed_headers(upstream: Upstream) -> Mapping[str, str]:
    """Those of the provider's headers that the client gets."""
    lowered = ((name.lower(), value) for name, value in upstream.response.headers.items())
    return {
        name: header_value(value) for name, value in lowered if name in PASSED_HEADERS or name.startswith(PASSED_PREFIX)
    }


async def whole(upstream: Upstream, served: str, listener: Listener) -> bytes:
    """A plain completion's bytes, read to the end before any goes on; a GatewayError when it is none."""
    try:
        if upstream.content_type != JSON:
            raise errors.bad_upstream_response(upstream.content_type or "an unnamed media type")
        body = await upstream.read()
        found = read_plain(body)
        if found is None:
            raise errors.bad_upstream_response("JSON that is no completion")
    except (BrokenOff, Stalled):
        listener.finished("provider_failed", Usage(), 0, Said())
        raise errors.stream_truncated(served) from None
    except errors.GatewayError:
        listener.finished("provider_failed", Usage(), 0, Said())
        raise
    finally:
        upstream.close()
    usage, said = found
    listener.finished("completed", usage, 0, said)
    return body


async def stream(upstream: Upstream, served: str, listener: Listener) -> AsyncIterator[bytes]:
    """A stream's bytes as they come; an answer that broke off ends in an error event, never cleanly."""
    observer = StreamObserver()
    first_byte = 0.0
    outcome = ""
    heard = False
    try:
        async for chunk in upstream.chunks():
            first_byte = first_byte or time.monotonic()
            relayed = observer.feed(chunk)
            if observer.finished and not heard:
                # A client that has read the end may ask again before this connection is closed.
                heard = True
                listener.heard(observer.said)
            if relayed:
                yield relayed
        if rest := observer.rest():
            yield rest
        outcome = "provider_failed" if observer.failed or not observer.complete else "completed"
        if not observer.complete:
            yield errors.stream_truncated(served).event()
    except (BrokenOff, EventTooLarge):
        # A connection lost after the model had finished costs nothing.
        outcome = "completed" if observer.finished else "provider_failed"
        if not observer.finished:
            yield errors.stream_truncated(served).event()
    except Stalled:
        outcome = "provider_failed"
        yield errors.stream_stalled(served, upstream.idle_timeout).event()
    finally:
        upstream.close()
        # Without an outcome the client left; where the reply was whole by then, it has it.
        left = "completed" if observer.finished and not observer.failed else "interrupted"
        listener.finished(outcome or left, observer.usage, first_byte, observer.said)
