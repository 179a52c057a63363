"""Relays an answer's bytes as they came, and tells the truth about its end: what broke off is never passed off as whole."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from edge_gateway import errors
from edge_gateway.call import header_value
from edge_gateway.event_stream import EventTooLarge, Said, Usage
from edge_gateway.forms import Form
from edge_gateway.opening import Opening
from edge_gateway.portkey.client import BrokenOff, ShuttingDown, Stalled, Upstream

EVENT_STREAM, JSON = "text/event-stream", "application/json"
# What of a provider's headers goes on: its own account of time and limits.
PASSED_HEADERS = ("openai-processing-ms", "openai-version", "retry-after")
# Nothing but comments for so many idle time-outs counts as silence.
SILENCES = 2
PASSED_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")


class Listener(Protocol):
    """Who is told of an answer on its way."""

    def passed(self, chunk: bytes) -> None:
        """These bytes of the provider's are about to go out."""

    def heard(self, said: Said) -> None:
        """The reply is whole, and its last bytes are about to go out."""

    def cut(self) -> None:
        """Of the provider's bytes some are missing at the end, though the reply may be whole."""

    def finished(self, outcome: str, usage: Usage, first_byte: float, said: Said, end: str = "") -> None:
        """The answer has ended; called once. `first_byte`: when it came (time.monotonic()), 0 if none did.

        `end`: what ended a stream: done, client_closed, upstream_error, truncated, idle, total or shutdown.
        """


def passed_headers(upstream: Upstream) -> Mapping[str, str]:
    """Those of the provider's headers that the client gets."""
    return {
        name: header_value(value)
        for name, value in upstream.headers
        if name in PASSED_HEADERS or name.startswith(PASSED_PREFIXES)
    }


class _Patience:
    """How long the next bytes are waited for. Comments keep a connection open, and a client waiting; they are no answer."""

    def __init__(self, idle_timeout: float) -> None:
        self._idle_timeout = idle_timeout
        self._events = 0
        self._heard_from = time.monotonic()

    def deadline(self, events: int) -> float:
        """Until when (time.monotonic()), after so many events that were more than comments."""
        now = time.monotonic()
        if events != self._events:
            self._events, self._heard_from = events, now
        return min(now + self._idle_timeout, self._heard_from + SILENCES * self._idle_timeout)


async def stream(
    opening: Opening, form: Form, served: str, listener: Listener, note: bytes
) -> AsyncGenerator[bytes, None]:
    """A stream's bytes as they come; an answer that broke off ends in an error event, never cleanly.

    `note`: an event of our own that goes before them, empty for none.
    """
    upstream, observer = opening.upstream, opening.observer
    first_byte = opening.first_byte
    outcome = end = ""
    heard = False
    patience = _Patience(upstream.idle_timeout)
    relayed = opening.held
    try:
        if note:
            yield note
        while True:
            first_byte = first_byte or time.monotonic()
            if observer.finished and not heard:
                # A client that has read the end may ask again before this connection is closed.
                heard = True
                listener.heard(observer.said)
            if relayed:
                listener.passed(relayed)
                yield relayed
            if observer.cut_short:
                break
            chunk = await upstream.receive(patience.deadline(observer.events))
            if not chunk:
                break
            relayed = observer.feed(chunk)
        if rest := observer.rest():
            listener.passed(rest)
            yield rest
        outcome = "provider_failed" if observer.failed or not observer.complete else "completed"
        end = "done" if outcome == "completed" else "upstream_error" if observer.failed else "truncated"
        if not observer.complete:
            yield form.error_event(errors.stream_truncated(served))
    except (BrokenOff, EventTooLarge, ShuttingDown, Stalled) as broken:
        # A connection lost after the model had finished costs nothing.
        ours = "interrupted" if isinstance(broken, ShuttingDown) else "provider_failed"
        outcome = "completed" if observer.finished else ours
        end = "done" if observer.finished else _end_of(broken)
        if not observer.finished:
            yield form.error_event(_told(broken, served, upstream.idle_timeout))
    finally:
        upstream.close()
        if not observer.over:
            # Portkey ends cleanly what its provider broke off, so an end is no proof.
            listener.cut()
        # Without an outcome the client left; where the reply was whole by then, it has it.
        left = "completed" if observer.finished and not observer.failed else "interrupted"
        end = end or ("done" if left == "completed" else "client_closed")
        listener.finished(outcome or left, observer.usage, first_byte, observer.said, end)


def _end_of(broken: Exception) -> str:
    """What ended a stream that did not come to its end, in a word."""
    if isinstance(broken, Stalled):
        return "total" if broken.overdue else "idle"
    return "shutdown" if isinstance(broken, ShuttingDown) else "truncated"


def _told(broken: Exception, served: str, idle_timeout: float) -> errors.GatewayError:
    """What the client is told of a stream that did not come to its end."""
    if isinstance(broken, ShuttingDown):
        return errors.stream_shutdown(served)
    if not isinstance(broken, Stalled):
        return errors.stream_truncated(served)
    return errors.stream_overdue(served) if broken.overdue else errors.stream_stalled(served, idle_timeout)
