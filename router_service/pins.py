"""Pins in a store: which model a conversation is on, and what its replies came to."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quoted

import msgspec
from msgspec.structs import replace

from router_service.conversation import TALK, Pin, is_pinned, owe
from router_service.domain import FAILURES, Purpose, Request
from router_service.stores import Store

# What is as it is without saying is not written: there may be a million pins. What a later version adds is left out.
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Pin)


class Pins:
    """Reads and writes pins; a store that is gone costs stickiness, never an answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, request: Request) -> Pin | None:
        """The pin of the request's conversation and purpose, warm or cold."""
        if not is_pinned(request):
            return None
        value = await self._store.get(_key(request, request.purpose))
        return None if value is None else _read(value)

    async def keep(self, request: Request, pin: Pin | None, seconds: float) -> None:
        """Remember a conversation's pin for so many seconds; nothing without one, or with 0 seconds."""
        if pin is None or not is_pinned(request) or seconds <= 0:
            return
        await self._store.put(_key(request, request.purpose), _ENCODER.encode(pin), seconds)

    async def owe(self, request: Request, seconds: float) -> None:
        """Remember with the code turns' pin what a question tells of their reply's failure."""
        if request.purpose not in TALK or request.previous_reply.outcome not in FAILURES or not is_pinned(request):
            return
        code = replace(request, purpose=Purpose.CODE)
        pin = await self.find(code)
        await self.keep(code, owe(pin, request) if pin else None, seconds)


def _read(value: bytes) -> Pin | None:
    """A stored pin; None when somebody else wrote it."""
    try:
        pin = _DECODER.decode(value)
    except ValueError:
        return None
    return pin if pin.owed in ("", *FAILURES) else None


def _key(request: Request, purpose: Purpose) -> str:
    # A ping keeps the code turns' cache warm, so it follows their model.
    purpose = Purpose.CODE if purpose is Purpose.CACHE_PING else purpose
    # As a JSON array, which every release has written it as.
    return f'["pin", {quoted(request.tenant)}, {quoted(request.conversation_id)}, "{purpose}"]'
