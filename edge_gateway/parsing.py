"""Reads a request's bytes in its form: a large one in a thread, so that nobody else waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from edge_gateway.chat_request import ChatRequest
from edge_gateway.forms import Form

# Up to here reading takes less time than two threads take to meet.
SMALL = 512 * 1024

Result = TypeVar("Result")


async def parsed(form: Form, raw: bytes) -> ChatRequest:
    """What routing needs of a request; an invalid_request error names the field that is wrong."""
    return await aside(raw, lambda: _parse(form, raw))


async def aside(raw: bytes, work: Callable[[], Result]) -> Result:
    """Do some work over a request's bytes, in a thread if they are many.

    Each step of it is one call that cannot be interrupted, of some ten milliseconds for 16 MB; the loop has its turn between
    two.
    """
    return work() if len(raw) <= SMALL else await asyncio.to_thread(work)


def _parse(form: Form, raw: bytes) -> ChatRequest:
    request = form.parse(raw)
    # Python remembers it with the bytes; whoever asks for it later has it at once.
    hash(raw)
    return request
