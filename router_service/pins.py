"""Pins in a store: which model a conversation is on, and what its replies came to."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from router_service.conversation import Pin, is_pinned
from router_service.domain import Purpose, Request
from router_service.stores import Store


class Pins:
    """Reads and writes pins; a store that is gone costs stickiness, never an answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, request: Request) -> Pin | None:
        """The pin of the request's conversation and purpose, warm or cold."""
        if not is_pinned(request):
            return None
        value = await self._store.get(_key(request))
        return None if value is None else _read(value)

    async def keep(self, request: Request, pin: Pin | None, seconds: float) -> None:
        """Remember a conversation's pin for so many seconds; nothing without one, or with 0 seconds."""
        if pin is None or not is_pinned(request) or seconds <= 0:
            return
        # What is as it is without saying is not written: there may be a million pins.
        unsaid = {field.name: field.default for field in fields(Pin)}
        said = {name: value for name, value in asdict(pin).items() if value != unsaid[name]}
        await self._store.put(_key(request), json.dumps(said).encode(), seconds)


def _read(value: bytes) -> Pin | None:
    """A stored pin; None when somebody else wrote it. What a later version adds is left out."""
    try:
        document = json.loads(value)
        pin = Pin(**{field.name: document[field.name] for field in fields(Pin) if field.name in document})
    except (ValueError, TypeError):
        return None
    kinds = {"model": str, "input_tokens": int, "request": str, "failures": int, "tries": int, "escalated_from": str}
    right = all(isinstance(getattr(pin, name), kind) for name, kind in kinds.items())
    return pin if right and isinstance(pin.mended, bool) and isinstance(pin.used, float | int) else None


def _key(request: Request) -> str:
    # A ping keeps the code turns' cache warm, so it follows their model.
    purpose = Purpose.CODE if request.purpose is Purpose.CACHE_PING else request.purpose
    return json.dumps(["pin", request.tenant, request.conversation_id, purpose])
