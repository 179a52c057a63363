"""The clients' errors for keys and limits, worded so that Aider waits where waiting mends it and stops at once where not."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from edge_gateway.access.entries import Key
from edge_gateway.access.limits import Limit, Refusal
from edge_gateway.errors import TOO_MANY, UNAUTHORIZED, UNAVAILABLE, GatewayError, invalid_request

FORBIDDEN = 403
# Seconds after which to ask again whether the sums are known.
UNKNOWN_RETRY = 2
# OpenAI's clients take no longer word for it; the text says the rest.
LONGEST_RETRY = 60
# Clients take these for a reason to try again, wherever they stand.
_RETRIED = re.compile(r"429|rate limit", re.IGNORECASE)
_HOW = "as `Authorization: Bearer KEY` (Aider: --openai-api-key KEY)."


def missing_key() -> GatewayError:
    """The request carries no key."""
    made = 'Whoever runs this gateway makes one with: make keys ARGS="make NAME".'
    return _unauthorized(f"This gateway needs a key. Send one {_HOW} {made}")


def invalid_key() -> GatewayError:
    """The request carries no valid key; it says what to send, and never which part of what was sent is wrong."""
    return _unauthorized(f"The key is not valid at this gateway. Send a valid one {_HOW}")


def price_unknown(name: str) -> GatewayError:
    """A key with a budget asks for what has no known price."""
    text = f"The key {name} has a budget, and what this request may cost is not known: the model has no price in the catalogue."
    return invalid_request(f"{text} Ask for a model with a price, or for a profile.", "model", "model_price_unknown")


def budget_unknown(key: Key) -> GatewayError:
    """The router has not yet told what has been spent, or what models cost."""
    text = f"What the key {key.name} has spent of its budget is not known yet. Try again in {UNKNOWN_RETRY} s."
    headers = {"retry-after": str(UNKNOWN_RETRY)}
    return GatewayError(UNAVAILABLE, "service_unavailable", "budget_unknown", text, headers=headers)


def refused(key: Key, refusal: Refusal) -> GatewayError:
    """A limit of the key is reached: requests or tokens a minute, requests at once, or what its budget has left."""
    if refusal.limit is Limit.UNKNOWN:
        return budget_unknown(key)
    if refusal.limit in (Limit.DAY, Limit.MONTH) and not refusal.passing:
        return _spent(key, refusal)
    text = f"{_limited(key, refusal)} Try again in {refusal.seconds} s."
    headers = {"retry-after": str(min(refusal.seconds, LONGEST_RETRY))}
    return GatewayError(TOO_MANY, "rate_limit_error", "rate_limit_exceeded", text, headers=headers)


def _unauthorized(text: str) -> GatewayError:
    headers = {"www-authenticate": "Bearer"}
    return GatewayError(UNAUTHORIZED, "authentication_error", "invalid_api_key", text, headers=headers)


def _spent(key: Key, refusal: Refusal) -> GatewayError:
    # Anything but an invalid_request_error would have Aider try again for a minute.
    text = f"The key {key.name} has spent its budget of {_budget(key, refusal.limit)}"
    if _RETRIED.search(text):
        # A name or an amount may hold the digits.
        text = f"The key has spent its budget for the {_period(refusal.limit)}"
    anew = datetime.fromtimestamp(refusal.room, UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = f"{text}; it starts anew on {anew}."
    return GatewayError(FORBIDDEN, "invalid_request_error", "budget_exceeded", text)


def _limited(key: Key, refusal: Refusal) -> str:
    """Which limit of which key is reached, as a sentence."""
    limits = key.limits
    if refusal.limit is Limit.PARALLEL:
        return f"The key {key.name} has as many requests under way as it may: {limits.parallel} (parallel)."
    if refusal.limit is Limit.REQUESTS:
        return f"The key {key.name} has used its requests a minute: {limits.requests_per_minute} (requests_per_minute)."
    if refusal.limit is Limit.TOKENS:
        used = "may be used up by requests under way" if refusal.passing else "are used up"
        return f"The {limits.tokens_per_minute} tokens a minute of the key {key.name} {used} (tokens_per_minute)."
    what = f"What is left of the key {key.name}'s budget of {_budget(key, refusal.limit)}"
    return f"{what} may be used up by requests under way ({refusal.limit})."


def _budget(key: Key, limit: Limit) -> str:
    usd = key.limits.budget_usd_per_day if limit is Limit.DAY else key.limits.budget_usd_per_month
    return f"${usd:.10g} a {_period(limit)}"


def _period(limit: Limit) -> str:
    return "day" if limit is Limit.DAY else "month"
