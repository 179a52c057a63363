"""Pins: a conversation stays on its model while its provider's prompt cache is warm, unless something speaks against it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from router_service.candidates import Shortlist
from router_service.domain import FAILURES, PinTrace, Purpose, Request
from router_service.stores import Store

# Any model does these well, and their prompts are all different: there is no cache to keep warm.
UNPINNED = frozenset({Purpose.COMMIT, Purpose.SUMMARY})


@dataclass(frozen=True, slots=True)
class Pin:
    """The model a conversation is on, the input tokens of its latest request, and which request that was."""

    model: str
    input_tokens: int
    request: str = ""


def judge(pin: Pin, request: Request, choice: Shortlist) -> PinTrace:
    """Whether to stay on the pinned model, and why; pure."""
    if request.ignore_pin:
        return PinTrace(pin.model, False, "the caller asked for a fresh choice")
    for entry in choice.removed:
        if entry.model == pin.model:
            return PinTrace(pin.model, False, f"filter {entry.filter!r} removed it: {entry.detail}")
    if pin.model not in {model.id for model in choice.kept}:
        return PinTrace(pin.model, False, "it is no longer a candidate")
    previous = request.previous_reply
    if previous.outcome in FAILURES and request.purpose is not Purpose.CACHE_PING:
        if pin.request and pin.request == identity(request):
            # A retry, or another replica's answer to the same call: the failure has had its consequence.
            return PinTrace(pin.model, True, "this very request has been decided before")
        if previous.model in ("", pin.model):
            return PinTrace(pin.model, False, f"its previous reply fared badly ({previous.outcome})")
        return PinTrace(pin.model, True, f"the reply that fared badly was {previous.model}'s")
    return PinTrace(pin.model, True, "the conversation stays on its model while the prompt cache is warm")


def identity(request: Request) -> str:
    """What tells a repeated request from the conversation's next; empty when its text is not known."""
    if not request.messages:
        return ""
    parts = [request.profile, request.purpose, request.previous_reply.outcome, request.previous_reply.decision_id]
    parts += [text for message in request.messages for text in (message.role, message.text)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def is_pinned(request: Request) -> bool:
    """Whether a decision about this request pins its conversation."""
    return bool(request.conversation_id) and not request.model and request.purpose not in UNPINNED


class Pins:
    """Reads and writes pins; a store that is gone costs stickiness, never an answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, request: Request) -> Pin | None:
        """The pin of the request's conversation and purpose, if it is still warm."""
        if not is_pinned(request):
            return None
        value = await self._store.get(_key(request))
        return None if value is None else _read(value)

    async def keep(self, request: Request, model: str, idle_seconds: float, found: Pin | None) -> None:
        """Pin the conversation to a model for as long as it is not idle; `found` is the pin until now."""
        if not is_pinned(request) or idle_seconds <= 0:
            return
        pin = Pin(model, request.requirements.input_tokens, identity(request))
        if request.purpose is Purpose.CACHE_PING:
            # A ping keeps a pin alive; it is no reason for one, and says nothing about the next turn's length.
            if found is None or found.model != model:
                return
            pin = found
        await self._store.put(_key(request), json.dumps(asdict(pin)).encode(), idle_seconds)


def _read(value: bytes) -> Pin | None:
    """A stored pin; None when another version, or somebody else, wrote it."""
    try:
        pin = Pin(**json.loads(value))
    except (ValueError, TypeError):
        return None
    right = isinstance(pin.model, str) and isinstance(pin.input_tokens, int) and isinstance(pin.request, str)
    return pin if right else None


def _key(request: Request) -> str:
    # A ping keeps the code turns' cache warm, so it follows their model.
    purpose = Purpose.CODE if request.purpose is Purpose.CACHE_PING else request.purpose
    return json.dumps(["pin", request.tenant, request.conversation_id, purpose])
