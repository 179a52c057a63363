"""Pins: a conversation stays on its model while its provider's prompt cache is warm, unless something speaks against it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from router_service.candidates import Shortlist
from router_service.domain import Outcome, PinTrace, Purpose, Request
from router_service.stores import Store

# A reply of these shows that the model did not manage: staying would repeat it.
FAILURES = frozenset({Outcome.EDIT_FAILED, Outcome.LINT_FAILED, Outcome.COMMAND_FAILED, Outcome.UNDONE})
# Any model does these well, and their prompts are all different: there is no cache to keep warm.
UNPINNED = frozenset({Purpose.COMMIT, Purpose.SUMMARY})


@dataclass(frozen=True, slots=True)
class Pin:
    """The model a conversation is on, and the input tokens of its latest request."""

    model: str
    input_tokens: int


def judge(pin: Pin, request: Request, choice: Shortlist) -> PinTrace:
    """Whether to stay on the pinned model, and why; pure."""
    if request.ignore_pin:
        return PinTrace(pin.model, False, "the caller asked for a fresh choice")
    for entry in choice.removed:
        if entry.model == pin.model:
            return PinTrace(pin.model, False, f"filter {entry.filter!r} removed it: {entry.detail}")
    if pin.model not in {model.id for model in choice.kept}:
        return PinTrace(pin.model, False, "it is no longer a candidate")
    outcome = request.previous_reply.outcome
    if outcome in FAILURES:
        return PinTrace(pin.model, False, f"its previous reply fared badly ({outcome})")
    return PinTrace(pin.model, True, "the conversation stays on its model while the prompt cache is warm")


class Pins:
    """Reads and writes pins; a store that is gone costs stickiness, never an answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, request: Request) -> Pin | None:
        """The pin of the request's conversation and purpose, if it is still warm."""
        if not self._pinned(request):
            return None
        value = await self._store.get(_key(request))
        try:
            return None if value is None else Pin(**json.loads(value))
        except (ValueError, TypeError):
            # Written by another version: as good as none.
            return None

    async def keep(self, request: Request, model: str, idle_seconds: float) -> None:
        """Pin the conversation to a model for as long as it is not idle."""
        if self._pinned(request) and idle_seconds > 0:
            pin = Pin(model, request.requirements.input_tokens)
            await self._store.put(_key(request), json.dumps(asdict(pin)).encode(), idle_seconds)

    @staticmethod
    def _pinned(request: Request) -> bool:
        return bool(request.conversation_id) and request.purpose not in UNPINNED


def _key(request: Request) -> str:
    # A ping keeps the code turns' cache warm, so it follows their model.
    purpose = Purpose.CODE if request.purpose is Purpose.CACHE_PING else request.purpose
    return f"pin:{request.tenant}:{request.conversation_id}:{purpose}"
