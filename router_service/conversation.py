"""What is remembered of a conversation, and what follows for its model: it stays while the prompt cache is warm; pure."""

from __future__ import annotations

import hashlib
import json

from msgspec.structs import replace

from router_service.candidates import Shortlist
from router_service.domain import FAILURES, Decision, Outcome, PinTrace, Purpose, Request, Source, Word
from router_service.escalation import Failed

# Any model does these well, and their prompts are all different: there is no cache to keep warm.
UNPINNED = frozenset({Purpose.COMMIT, Purpose.SUMMARY})
# What is asked for on the side: the previous reply's failure is no reason for a stronger model here.
ASIDE = UNPINNED | {Purpose.CACHE_PING}
# What edits no files: the failure that such a request tells of is that of a code turn's reply.
TALK = frozenset({Purpose.ASK, Purpose.CONTEXT})
# Models of a row that are remembered.
MOST_BEATEN = 8


class Pin(Word, frozen=True):
    """The model a conversation is on, and what its replies came to.

    `input_tokens`, `request`: of the latest request, its length and which one it was. `failures`: replies that have failed
    in a row up to now; `tries`: how many of them are the model's own; `beaten`: who failed before it in the row; `owed`: a
    failure that was told on the side and is still to be answered. `escalated_from`: the model whose failure brought the
    conversation here, empty when none did; `mended`: whether a reply has been applied since. `used`: seconds since the epoch,
    0 when an earlier version wrote it.
    """

    model: str
    input_tokens: int
    request: str = ""
    failures: int = 0
    tries: int = 0
    escalated_from: str = ""
    mended: bool = False
    used: float = 0.0
    beaten: tuple[str, ...] = ()
    owed: str = ""

    def is_warm(self, idle_seconds: float, now: float) -> bool:
        """Whether the provider still has the prompt cache; what an earlier version wrote lives no longer than the cache."""
        return not self.used or now - self.used < idle_seconds


def hear(pin: Pin, request: Request, name: str) -> Pin:
    """The pin with what the request tells of the previous reply; one that is repeated tells nothing new.

    `name`: the request's `identity`.
    """
    previous = request.previous_reply
    if request.purpose is Purpose.CACHE_PING or request.continuation:
        return pin
    if previous.outcome is Outcome.APPLIED:
        return replace(pin, failures=0, tries=0, mended=True, beaten=(), owed="")
    if request.purpose in TALK or (previous.outcome is Outcome.NONE and pin.owed):
        return pin
    if previous.outcome is Outcome.NONE:
        return replace(pin, failures=0, tries=0, beaten=())
    if previous.outcome in FAILURES and not _repeats(pin, name):
        row = max(pin.failures + 1, previous.consecutive_failures)
        own = previous.model in ("", pin.model)
        return replace(pin, failures=row, tries=pin.tries + own, mended=False)
    return pin


def owe(pin: Pin, request: Request) -> Pin | None:
    """The code turns' pin with a failure that was told on the side; None when there is nothing to add to it."""
    previous = request.previous_reply
    if previous.outcome not in FAILURES or pin.owed or previous.model not in ("", pin.model):
        return None
    row = max(pin.failures + 1, previous.consecutive_failures)
    return replace(pin, failures=row, tries=pin.tries + 1, mended=False, owed=previous.outcome)


def judge(pin: Pin, request: Request, name: str, choice: Shortlist, *, warm: bool) -> PinTrace:
    """Whether to stay on the pinned model, and why."""
    gone = _gone(pin, request, choice)
    if gone:
        return PinTrace(pin.model, False, gone)
    if request.continuation:
        return PinTrace(pin.model, True, "goes on with the reply it began")
    if request.purpose is Purpose.CACHE_PING:
        return PinTrace(pin.model, True, "a ping warms the prompt cache of the conversation's model")
    if request.previous_reply.outcome in FAILURES and request.purpose not in TALK:
        return _after_failure(pin, request, name)
    if pin.owed:
        return PinTrace(pin.model, False, f"an earlier reply of its fared badly ({pin.owed})")
    if warm:
        return PinTrace(pin.model, True, "the conversation stays on its model while the prompt cache is warm")
    if not pin.escalated_from:
        return PinTrace(pin.model, False, "the conversation has been idle, and its prompt cache is cold")
    if pin.mended:
        reason = f"what {pin.escalated_from} failed at is mended and the prompt cache is cold: it may step down"
        return PinTrace(pin.model, False, reason)
    reason = (
        f"{pin.escalated_from} failed before it and nothing has been applied since: it stays, though its cache is cold"
    )
    return PinTrace(pin.model, True, reason)


def failed_reply(request: Request, pin: Pin | None, trace: PinTrace | None) -> Failed | None:
    """The failed reply that the decision must answer; None when there is none, or it has had its consequence."""
    previous = request.previous_reply
    if request.purpose in ASIDE | TALK or request.ignore_pin or request.continuation:
        return None
    if pin and trace and not trace.kept and pin.owed and previous.outcome not in FAILURES:
        return Failed(pin.model, Outcome(pin.owed), max(1, pin.failures), max(1, pin.tries), pin.beaten)
    if previous.outcome not in FAILURES:
        return None
    if pin is None or trace is None:
        # Nothing is remembered, so all of the row is taken for this model's.
        row = max(1, previous.consecutive_failures)
        return Failed(previous.model, previous.outcome, row, row)
    if trace.kept:
        return None
    model = previous.model or pin.model
    row, own = max(1, pin.failures), max(1, pin.tries) if model == pin.model else 1
    return Failed(model, previous.outcome, row, own, pin.beaten)


def follow(pin: Pin | None, failed: Failed | None, decision: Decision, name: str) -> Pin | None:
    """The pin after a decision, from what was heard before it; None when there is nothing to keep."""
    request, model = decision.request, decision.model
    if request.purpose is Purpose.CACHE_PING:
        # A ping keeps a pin alive; it is no reason for one, and says nothing about the next turn.
        return replace(pin, used=decision.time) if pin and pin.model == model else None
    beaten = pin.beaten if pin else ()
    after = Pin(model, request.requirements.input_tokens, name, used=decision.time, beaten=beaten)
    if failed:
        after = replace(after, failures=failed.in_a_row, tries=failed.tries if failed.model == model else 0)
    elif pin:
        after = replace(after, failures=pin.failures, tries=pin.tries if pin.model == model else 0)
    if failed and decision.source is Source.ESCALATED:
        return replace(after, escalated_from=failed.model, beaten=(*beaten, failed.model)[-MOST_BEATEN:])
    # A model that is chosen afresh, even the same, stands there on its own merits.
    if pin and decision.pin and decision.pin.kept:
        return replace(after, escalated_from=pin.escalated_from, mended=pin.mended)
    return after


def lease(request: Request, after: Pin | None, seconds: float) -> float:
    """For how long the caller may keep the conversation on its model by itself, 0 for not at all; `after`: its pin from now on.

    While something has failed, what comes next is decided here.
    """
    if (
        after is None
        or not is_pinned(request)
        or request.purpose in ASIDE
        or request.continuation
        or request.ignore_pin
    ):
        return 0.0
    failed = request.previous_reply.outcome in FAILURES
    return 0.0 if failed or after.failures or after.owed else seconds


def is_overtaken(pin: Pin, model: str, time: float) -> bool:
    """Whether more is known of a conversation than when its caller decided by itself that it stays on a model.

    `time`: when that was, seconds since the epoch. It may be told after a failure that has moved the conversation elsewhere.
    """
    return pin.model != model or bool(pin.owed) or pin.failures > 0 or pin.used > time


def identity(request: Request) -> str:
    """What tells a repeated request from the conversation's next; empty when nothing could."""
    previous = request.previous_reply
    if not request.messages and not previous.decision_id:
        return ""
    # A clipped text may repeat itself, when the same test fails once more; the conversation has grown then.
    parts = [request.profile, request.purpose, previous.outcome, previous.decision_id, previous.consecutive_failures]
    turns = [(message.role, len(message.text)) for message in request.messages]
    digest = hashlib.sha256(json.dumps([*parts, request.requirements.input_tokens, turns]).encode())
    for message in request.messages:
        digest.update(message.text.encode())
    return digest.hexdigest()[:16]


def is_pinned(request: Request) -> bool:
    """Whether a decision about this request pins its conversation."""
    return bool(request.conversation_id) and not request.model and request.purpose not in UNPINNED


def _gone(pin: Pin, request: Request, choice: Shortlist) -> str:
    """Why the pinned model cannot answer; empty when it can."""
    if request.ignore_pin:
        return "the caller asked for a fresh choice"
    for entry in choice.removed:
        if entry.model == pin.model:
            return f"filter {entry.filter!r} removed it: {entry.detail}"
    return "" if choice.keeps(pin.model) else "it is no longer a candidate"


def _after_failure(pin: Pin, request: Request, name: str) -> PinTrace:
    previous = request.previous_reply
    if _repeats(pin, name):
        # A retry, or another replica's answer to the same call: the failure has had its consequence.
        return PinTrace(pin.model, True, "this very request has been decided before")
    if previous.model in ("", pin.model):
        return PinTrace(pin.model, False, f"its previous reply fared badly ({previous.outcome})")
    return PinTrace(pin.model, True, f"the reply that fared badly was {previous.model}'s")


def _repeats(pin: Pin, name: str) -> bool:
    return bool(pin.request) and pin.request == name
