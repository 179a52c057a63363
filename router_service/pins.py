"""Pins in a store: which model a conversation is on, and what its replies came to."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

from router_service.conversation import TALK, Pin, is_pinned, owe
from router_service.domain import FAILURES, Purpose, Request
from router_service.stores import Store

# What a stored pin's fields must be.
KINDS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "input_tokens": int,
    "request": str,
    "failures": int,
    "tries": int,
    "escalated_from": str,
    "mended": bool,
    "used": (float, int),
    "beaten": (list, tuple),
    "owed": str,
}


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
        # What is as it is without saying is not written: there may be a million pins.
        unsaid = {field.name: field.default for field in fields(Pin)}
        said = {name: value for name, value in asdict(pin).items() if value != unsaid[name]}
        await self._store.put(_key(request, request.purpose), json.dumps(said).encode(), seconds)

    async def owe(self, request: Request, seconds: float) -> None:
        """Remember with the code turns' pin what a question tells of their reply's failure."""
        if request.purpose not in TALK or request.previous_reply.outcome not in FAILURES or not is_pinned(request):
            return
        code = replace(request, purpose=Purpose.CODE)
        pin = await self.find(code)
        await self.keep(code, owe(pin, request) if pin else None, seconds)


def _read(value: bytes) -> Pin | None:
    """A stored pin; None when somebody else wrote it. What a later version adds is left out."""
    try:
        document = json.loads(value)
        pin = Pin(**{field.name: document[field.name] for field in fields(Pin) if field.name in document})
    except (ValueError, TypeError):
        return None
    right = all(isinstance(getattr(pin, name), kind) for name, kind in KINDS.items())
    if not right or not all(isinstance(model, str) for model in pin.beaten) or pin.owed not in ("", *FAILURES):
        return None
    return replace(pin, beaten=tuple(pin.beaten))


def _key(request: Request, purpose: Purpose) -> str:
    # A ping keeps the code turns' cache warm, so it follows their model.
    purpose = Purpose.CODE if purpose is Purpose.CACHE_PING else purpose
    return json.dumps(["pin", request.tenant, request.conversation_id, purpose])
