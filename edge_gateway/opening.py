"""Holds a stream back until its model has begun to answer: before that, another model can still take over."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edge_gateway.event_stream import EventTooLarge, StreamObserver
from edge_gateway.portkey.client import BrokenOff, Stalled, Upstream

# Whoever sends so much without a word of an answer is let through.
MOST_HELD = 256 * 1024


class NotBegun(Exception):
    """The stream failed before its first token; `error` is what the provider says, in its form, empty if nothing."""

    def __init__(self, error: bytes = b"", *, late: bool = False) -> None:
        super().__init__()
        self.error = error
        self.late = late


@dataclass(slots=True)
class Opening:
    """A stream that has begun: what has come of it, unaltered, and when the first of it came (time.monotonic())."""

    upstream: Upstream
    observer: StreamObserver
    held: bytes
    first_byte: float


async def wait_for_opening(upstream: Upstream, observer: StreamObserver, deadline: float) -> Opening:
    """Wait for the first token until `deadline`; NotBegun when it does not come."""
    held: list[bytes] = []
    size, first_byte = 0, 0.0
    try:
        while not observer.begun and size < MOST_HELD:
            chunk = await upstream.receive(deadline)
            first_byte = first_byte or time.monotonic()
            if not chunk:
                held.append(observer.rest())
                if observer.begun and not observer.failed:
                    break
                raise NotBegun(observer.error)
            held.append(observer.feed(chunk))
            size += len(chunk)
            if observer.failed or (observer.cut_short and not observer.begun):
                raise NotBegun(observer.error)
    except Stalled:
        raise NotBegun(late=True) from None
    except (BrokenOff, EventTooLarge):
        raise NotBegun from None
    return Opening(upstream, observer, b"".join(held), first_byte)
