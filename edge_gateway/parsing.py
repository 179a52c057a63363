"""Reads a request's bytes in its form: a large one in a thread, so that nobody else waits for it."""

from __future__ import annotations

import asyncio

from edge_gateway.chat_request import ChatRequest
from edge_gateway.forms import Form

# Up to here reading takes less time than two threads take to meet.
SMALL = 512 * 1024


async def parsed(form: Form, raw: bytes) -> ChatRequest:
    """What routing needs of a request; an invalid_request error names the field that is wrong."""
    # Each step of it is one call that cannot be interrupted, of milliseconds for 16 MB; the loop has its turn between two.
    return form.parse(raw) if len(raw) <= SMALL else await asyncio.to_thread(form.parse, raw)
